"""What to tell of a corpus before it is made: by whom and by whom not, in which language, by how few, and
letters that are not read.

It changes nothing of it.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uyan.errors import VoiceError
from uyan.voices.advice import counted
from uyan.voices.installed import Wish, choose, importable, not_installed
from uyan.voices.order import Order
from uyan.voices.speech import EngineVoice

FEW = 10
"""Fewer voices than this are told."""
LATIN = (
    *("cs", "da", "de", "en", "es", "fi", "fr", "hu", "id", "it"),
    *("nb", "nl", "no", "pl", "pt", "ro", "sv", "sw", "tr", "vi"),
)
"""Languages that are written in Latin letters; the common ones."""


def remarks(order: Order, voices: Sequence[EngineVoice], wish: Wish, folder: Path) -> list[str]:
    """Lines to tell; the first says who speaks."""
    engines = list(dict.fromkeys(voice.engine for voice in voices))
    default = not (wish.languages or wish.voices or wish.command)
    told = [f"{counted(len(voices), 'voice')} of {', '.join(engines)}{', spoken as English (--language)' * default}"]
    if not (wish.engines or wish.voices or wish.command):
        told += [f"warning: {missing}" for missing in not_installed(folder)]
    if order.kind == "keyword" and len(voices) < FEW:
        told.append(few_voices(len(voices), engines, _left_out(wish, folder)))
    language = wish.languages[0] if wish.languages else voices[0].language
    foreign = [text for text in order.texts if foreign_text(text, language)]
    if foreign:
        told.append(f"warning: {foreign[0]!r} has no Latin letter and is read as {language!r}; name its --language")
    return told


def few_voices(voices: int, engines: Sequence[str], left_out: int) -> str:
    """That they are few, and how to have more where espeak-ng's were left out.

    >>> few_voices(1, ["piper"], 495)
    'all by 1 voice; add --engine espeak --engine piper for 495 more'
    """
    options = " ".join(f"--engine {name}" for name in ("espeak", *engines))
    return f"all by {counted(voices, 'voice')}" + (f"; add {options} for {left_out} more" if left_out else "")


def foreign_text(text: str, language: str) -> bool:
    """Whether the text has letters, and none of those in which the language is written.

    >>> foreign_text("漢字", "en-us"), foreign_text("漢字", "cmn"), foreign_text("hey 漢字", "en")
    (True, False, False)
    """
    letters = [char for char in text if char.isalpha()]
    latin = any(unicodedata.name(char, "").startswith("LATIN") for char in letters)
    return bool(letters) and not latin and language.lower().replace("_", "-").partition("-")[0] in LATIN


def _left_out(wish: Wish, folder: Path) -> int:
    """How many voices of espeak-ng stand back, because neural ones speak the language."""
    if wish.engines or wish.voices or wish.command or not importable("espeak"):
        return 0
    try:
        return len(choose(folder, replace(wish, engines=("espeak",)))[1])
    except VoiceError:
        return 0
