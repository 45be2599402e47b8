"""The voices on this computer as rows of a table, and in words what is missing."""

from collections import defaultdict
from pathlib import Path

from uyan.errors import UyanError
from uyan.voices.installed import ENGINES, EXTRAS, PACKAGES, importable, installed
from uyan.voices.speech import EngineVoice, speaks

SHOWN = 6
"""Languages in a cell."""

Row = tuple[str, str, str, int, str]


def installed_rows(folder: Path, language: str | None = None) -> tuple[list[Row], list[str]]:
    """Voice, engine, languages, speakers and licence of each file, and in words what is missing or cannot be read.

    Speakers are those that the engine tells apart; generating varies each in rate, pitch, formants and effort.
    """
    groups: dict[tuple[str, str], list[EngineVoice]] = defaultdict(list)
    problems = [
        f"{name}: not installed; pip install 'uyan[{EXTRAS[name]}]'"
        for name in ENGINES
        if name in PACKAGES and not importable(name)
    ]
    for engine in installed(folder):
        try:
            voices = engine.voices()
        except UyanError as reason:
            problems.append(str(reason))
            continue
        for voice in voices:
            if language is None or speaks(voice.language, language):
                groups[engine.name, voice.file.stem if voice.file else "variants"].append(voice)
    return [_row(engine, name, voices) for (engine, name), voices in groups.items()], problems


def _row(engine: str, name: str, voices: list[EngineVoice]) -> Row:
    languages = list(dict.fromkeys(voice.language for voice in voices))
    more = f" and {len(languages) - SHOWN} more" if len(languages) > SHOWN else ""
    speakers = {voice.name.partition("+")[2] or voice.name for voice in voices}
    return (name, engine, ", ".join(languages[:SHOWN]) + more, len(speakers), voices[0].license or "not stated")
