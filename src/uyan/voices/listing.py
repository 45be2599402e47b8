"""The voices on this computer as rows of a table, and in words what is missing."""

from collections import defaultdict
from pathlib import Path

from uyan.errors import ConfigError, UyanError, VoiceError
from uyan.voices.advice import other_languages
from uyan.voices.espeak import VARIANTS, languages
from uyan.voices.installed import DEFAULT_LANGUAGE, ENGINES, EXTRAS, PACKAGES, importable, installed
from uyan.voices.piper_engine import PiperEngine
from uyan.voices.speech import Engine, EngineVoice, speaks

SHOWN = 6
"""Languages in a cell."""

Row = tuple[str, str, str, int, str]


def installed_rows(folder: Path, language: str | None = None, only: str | None = None) -> tuple[list[Row], list[str]]:
    """Voice, engine, languages, speakers and licence of each file, and in words what is missing or cannot be read.

    Speakers are those that the engine tells apart; generating varies each in rate, pitch, formants and effort.
    Raises ConfigError for a name of no engine, VoiceError where no voice speaks the language.
    """
    if only not in (None, *ENGINES):
        raise ConfigError(f"no engine {only!r}; there are {', '.join(ENGINES)}")
    groups: dict[tuple[str, str], list[EngineVoice]] = defaultdict(list)
    problems = [
        f"{name}: not installed; pip install 'uyan[{EXTRAS[name]}]'"
        for name in ENGINES
        if name in PACKAGES and only in (None, name) and not importable(name)
    ]
    spoken: list[str] = []
    for engine in installed(folder):
        if only not in (None, engine.name):
            continue
        voices, wrong = _readable(engine)
        problems += wrong
        spoken += [voice.language for voice in voices]
        for voice in voices:
            if language is None or speaks(voice.language, language):
                groups[engine.name, voice.file.stem if voice.file else ""].append(voice)
    if language is not None and not groups:
        raise VoiceError(f"no voice speaks {language!r}; {other_languages(language, spoken)}")
    return [_row(engine, name or _example(voices), voices) for (engine, name), voices in groups.items()], problems


def _readable(engine: Engine) -> tuple[list[EngineVoice], list[str]]:
    """The engine's voices, and in words what is wrong with others."""
    if isinstance(engine, PiperEngine):
        voices, wrong = engine.readable()
        return voices, [str(reason) for reason in wrong]
    try:
        return engine.voices(), []
    except UyanError as reason:
        return [], [str(reason)]


def espeak_names() -> list[str]:
    """How espeak-ng's voices are called: every language with its name, and every variant."""
    spoken = sorted(languages().items())
    return [
        f"a voice of espeak is LANGUAGE+VARIANT, such as {DEFAULT_LANGUAGE}+{VARIANTS[0]}",
        f"languages: {'; '.join(f'{code} {name}' for code, name in spoken)}",
        f"variants: {', '.join(VARIANTS)}",
    ]


def _example(voices: list[EngineVoice]) -> str:
    """The name of one, of English where it is spoken."""
    names = [voice.name for voice in voices]
    return next((name for name in names if name.startswith(f"{DEFAULT_LANGUAGE}+")), names[0]) + " …"


def _row(engine: str, name: str, voices: list[EngineVoice]) -> Row:
    spoken = sorted({voice.language for voice in voices})
    more = f" and {len(spoken) - SHOWN} more" if len(spoken) > SHOWN else ""
    speakers = {voice.name.partition("+")[2] or voice.name for voice in voices}
    return (name, engine, ", ".join(spoken[:SHOWN]) + more, len(speakers), voices[0].license or "not stated")
