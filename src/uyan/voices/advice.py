"""What to tell a user whose wish for a voice or a language cannot be met: what was probably meant, and what is there.

It chooses no voice.
"""

import difflib
from collections.abc import Sequence

from uyan.errors import ConfigError
from uyan.voices.espeak import languages
from uyan.voices.speech import EngineVoice

SHOWN, CLOSE = 12, 3


def counted(number: int, noun: str) -> str:
    """A number and what is counted.

    >>> counted(1, "voice"), counted(2, "voice")
    ('1 voice', '2 voices')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def other_languages(wanted: str, spoken: Sequence[str]) -> str:
    """Languages to name in place of one that nobody speaks: those that are meant, or what is spoken.

    >>> other_languages("turkish", ["en-us", "tr"])
    'did you mean tr (Turkish)?'
    >>> other_languages("xx", ["tr", "en-us"])
    'they speak en-us, tr'
    """
    codes = sorted(set(spoken))
    if meant := _meant(wanted.lower().replace("_", "-"), codes):
        return f"did you mean {' or '.join(meant)}?"
    more = len(codes) - SHOWN
    rest = f" and {more} more; `uyan voices list --engine espeak` shows them" if more > 0 else ""
    return f"they speak {', '.join(codes[:SHOWN]) or 'nothing'}{rest}"


def no_such_voice(name: str, language: str, voices: Sequence[EngineVoice], elsewhere: Sequence[str]) -> str:
    """What to say of a name that no chosen voice has; `elsewhere` are the engines left out that have it."""
    if elsewhere:
        return f"no voice {name!r} among the chosen engines; it is one of {elsewhere[0]}: add --engine {elsewhere[0]}"
    if any(voice.name == f"{language}+{name}" for voice in voices):
        return f"no voice {name!r}; name its language, too: {language}+{name}"
    return f"no voice {name!r}; `uyan voices list` shows what is there"


def _meant(wanted: str, codes: Sequence[str]) -> list[str]:
    """The languages of that name, or with a code like it."""
    try:
        names = {code: name for code, name in languages().items() if code in codes}
    except ConfigError:
        names = {}
    named = [code for code, name in sorted(names.items()) if name.lower().partition(" (")[0] == wanted]
    close = [] if len(wanted) < CLOSE else difflib.get_close_matches(wanted, codes, CLOSE)
    return [f"{code} ({names[code]})" if code in names else code for code in (named or close)[:CLOSE]]
