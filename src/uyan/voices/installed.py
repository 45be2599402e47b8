"""Which engines and voices are on this computer, and which of them are meant by the names a user gives.

Piper voices lie in the folder of voices, anywhere below; a Kokoro model is an .onnx beside one .npz or .bin of styles,
or beside one .bin a style.
"""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uyan.errors import ConfigError, VoiceError
from uyan.voices.advice import no_such_voice, other_languages
from uyan.voices.command_engine import CommandEngine, command_arguments
from uyan.voices.espeak_engine import EspeakEngine
from uyan.voices.kokoro_engine import BARE_STYLE_BYTES, KokoroEngine
from uyan.voices.piper_engine import PiperEngine
from uyan.voices.speech import Engine, EngineVoice, speaks

NEURAL = ("piper", "kokoro")
ENGINES = ("espeak", *NEURAL, "command")
PACKAGES = {"espeak": "espeakng_loader", "piper": "piper", "kokoro": "kokoro_onnx"}
EXTRAS = {"espeak": "voices", "piper": "voices", "kokoro": "kokoro"}
DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True)
class Wish:
    """What the user asks for; empty means whatever fits."""

    engines: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    """Names, or paths of .onnx files."""
    languages: tuple[str, ...] = ()
    """Of the text; further ones are accents that other voices say it in."""
    command: str | None = None
    limit_s: float = 60.0


def default_folder() -> Path:
    """Where voices are kept unless another folder is named."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "uyan" / "voices"


def installed(folder: Path, files: Sequence[Path] = ()) -> list[Engine]:
    """The engines whose packages are there and that have a voice, in the folder or among the files.

    There is one Kokoro model, that among the files before the first of the folder.
    """
    return [engine for engine in _with_voices(folder, files) if importable(engine.name)]


def not_installed(folder: Path) -> list[str]:
    """In words, the engines that have a voice in the folder and whose package is missing."""
    whole = [engine for engine in _with_voices(folder) if not isinstance(engine, PiperEngine) or engine.readable()[0]]
    missing = [engine.name for engine in whole if not importable(engine.name)]
    return [f"voices of {name} lie in {folder}, but {_to_install(name)}" for name in missing if name in NEURAL]


def _with_voices(folder: Path, files: Sequence[Path] = ()) -> list[Engine]:
    given = [_absolute(file) for file in files]
    models = sorted({*(folder.resolve().rglob("*.onnx") if folder.is_dir() else ()), *given})
    piper = [model for model in models if _description(model).is_file() or not find_styles(model)]
    engines: list[Engine] = [EspeakEngine()]
    if piper:
        engines.append(PiperEngine(tuple(piper)))
    for model in (*given, *models):
        if styles := find_styles(model):
            engines.append(KokoroEngine(model, styles))
            break
    return engines


def choose(folder: Path, wish: Wish) -> tuple[list[Engine], list[EngineVoice]]:
    """The engines and voices meant. Raises ConfigError for a name that means nothing, VoiceError where none fits."""
    files = tuple(dict.fromkeys(_absolute(Path(name)) for name in wish.voices if name.endswith(".onnx")))
    names = tuple(name for name in wish.voices if not name.endswith(".onnx"))
    engines = _engines(folder, files, wish)
    voices = there = [voice for engine in engines for voice in engine.voices()]
    if wish.voices:
        voices = [voice for voice in there if voice.file in files or _named(voice, names)]
        for file in files:
            if not any(voice.file == file for voice in voices):
                raise VoiceError(f"{file}: no chosen engine speaks with it; name one Kokoro model at most")
        for name in names:
            if not any(_named(voice, (name,)) for voice in voices):
                raise VoiceError(_unnamed(name, there, folder, files, wish))
    languages = wish.languages or (() if wish.voices else (DEFAULT_LANGUAGE,))
    any_engine = not wish.engines and not wish.voices
    chosen = _one_language_each([_speaking(voices, language, any_engine) for language in languages] or [voices])
    used = {voice.engine for voice in chosen}
    return [engine for engine in engines if engine.name in used], chosen


def check_files(engines: Sequence[Engine], voices: Sequence[EngineVoice]) -> None:
    """Load each voice's network once, so that a damaged file is told before anything is made. Raises VoiceError."""
    of_file = {voice.file: voice for voice in voices if voice.file}
    for voice in of_file.values():
        for engine in engines:
            if engine.name == voice.engine and isinstance(engine, (PiperEngine, KokoroEngine)):
                engine.check(voice)


def _speaking(voices: Sequence[EngineVoice], language: str, any_engine: bool) -> list[EngineVoice]:
    """Those that speak the language, only neural ones where there are any of these among voices of any engine."""
    fitting = [voice for voice in voices if speaks(voice.language, language)]
    if not fitting:
        instead = other_languages(language, [voice.language for voice in voices])
        raise VoiceError(f"no chosen voice speaks {language!r}; {instead}")
    neural = [voice for voice in fitting if voice.engine in NEURAL]
    return neural if neural and any_engine else fitting


def _one_language_each(by_language: Sequence[Sequence[EngineVoice]]) -> list[EngineVoice]:
    """Every voice once: one that speaks several of the languages gets one of them, in turn."""
    spoken: dict[tuple[str, str], list[EngineVoice]] = {}
    for fitting in by_language:
        first = {(voice.engine, voice.name): voice for voice in reversed(fitting)}
        for key in dict.fromkeys((voice.engine, voice.name) for voice in fitting):
            spoken.setdefault(key, []).append(first[key])
    return [ways[number % len(ways)] for number, ways in enumerate(spoken.values())]


def _engines(folder: Path, files: tuple[Path, ...], wish: Wish) -> list[Engine]:
    """Those that are there, or those asked for."""
    for name in wish.engines:
        if name not in ENGINES:
            raise ConfigError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    for file in files:
        if not file.is_file():
            raise VoiceError(f"{file}: no such voice; `uyan voices list` shows what is there")
    command: list[Engine] = []
    if wish.command is not None:
        arguments = command_arguments(wish.command)
        command = [CommandEngine(arguments, (*wish.languages, DEFAULT_LANGUAGE)[0], wish.limit_s)]
        if not wish.engines and not wish.voices:
            return command
    there = installed(folder, files) + command
    for name in wish.engines:
        if name not in [engine.name for engine in there]:
            raise VoiceError(_why_not(name, folder))
    wanted = [engine for engine in there if not wish.engines or engine.name in wish.engines]
    if not wanted:
        raise VoiceError("no engine is installed; pip install 'uyan[voices]'")
    if files and not any(importable(name) for name in NEURAL):
        raise VoiceError(_why_not("piper", folder))
    return wanted


def _why_not(engine: str, folder: Path) -> str:
    if engine == "command":
        return "the engine `command` needs a program: --command 'say -o {out} {text}'"
    if not importable(engine):
        return _to_install(engine)
    hint = "`uyan voices fetch` gets one" if engine == "piper" else "put its .onnx beside its styles"
    return f"{folder}: no voice of {engine} there; {hint}, or name a file: --voice PATH.onnx"


def _to_install(engine: str) -> str:
    return f"the engine {engine} is not installed; pip install 'uyan[{EXTRAS[engine]}]'"


def importable(engine: str) -> bool:
    """Whether the engine's package is there; nothing is imported."""
    return importlib.util.find_spec(PACKAGES[engine]) is not None


def _unnamed(name: str, voices: Sequence[EngineVoice], folder: Path, files: tuple[Path, ...], wish: Wish) -> str:
    """What to say of a name that no chosen voice has."""
    left_out = [engine for engine in installed(folder, files) if wish.engines and engine.name not in wish.engines]
    elsewhere = [engine.name for engine in left_out if any(_named(voice, (name,)) for voice in engine.voices())]
    return no_such_voice(name, (*wish.languages, DEFAULT_LANGUAGE)[0], voices, elsewhere)


def _named(voice: EngineVoice, names: Sequence[str]) -> bool:
    """`joe` means every speaker of it, `joe:0` one; a Piper voice also goes by its file's name."""
    return any(voice.name == name or voice.name.startswith(f"{name}:") or _stem(voice) == name for name in names)


def _stem(voice: EngineVoice) -> str:
    return voice.file.stem if voice.file and voice.engine == "piper" else ""


def _absolute(path: Path) -> Path:
    """However a file is spelt, it is one voice; a link to one stays, for its description lies beside."""
    return path.parent.resolve() / path.name


def _description(model: Path) -> Path:
    return model.with_name(f"{model.name}.json")


def find_styles(model: Path) -> Path | None:
    """The file of styles in a model's folder, the folder where each has its own; none beside a Piper voice."""
    if _description(model).is_file():
        return None
    archives, files = sorted(model.parent.glob("*.npz")), sorted(model.parent.glob("*.bin"))
    found = archives + files
    if len(found) == 1 and found[0].stat().st_size != BARE_STYLE_BYTES:
        return found[0]
    return model.parent if files and not archives else None
