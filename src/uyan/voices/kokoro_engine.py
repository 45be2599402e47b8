"""Kokoro as an engine: a model with styles on disk; styles mixed in pairs are more voices.

A style is an array that says who speaks; one between two styles is somebody else. Every style speaks every language
that Kokoro learnt, with its own accent. It knows nothing of where models are kept. Needs the package kokoro-onnx.
"""

import atexit
import itertools
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uyan.errors import VoiceError
from uyan.voices.seeded_session import SeededSession
from uyan.voices.speech import EngineVoice, Speech, at_16_khz

LICENSE = "Kokoro-82M, Apache-2.0"
LANGUAGES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}
"""A style's first letter says which is its own."""
MIXES = (25, 50, 75)
"""Percent of the second style in a mixture."""
BETWEEN = "~"
SPEEDS = (0.5, 2.0)
STYLE_VALUES = 256
MAX_STYLES_BYTES = 200_000_000


@dataclass(frozen=True)
class KokoroEngine:
    """One model and its styles."""

    model: Path
    """.onnx"""
    styles: Path
    """.npz, or the .bin that is one: name → (phonemes, 1, 256)."""

    @property
    def name(self) -> str:
        """Part of every speaker_id."""
        return "kokoro"

    def voices(self) -> list[EngineVoice]:
        """Every style and mixture in every language, a style's own language first."""
        if not self.model.is_file():
            raise VoiceError(f"{self.model}: no such model")
        styles = sorted(_styles(self.styles))
        pairs = itertools.combinations(styles, 2)
        mixed = [f"{one}{BETWEEN}{two}{BETWEEN}{percent}" for one, two in pairs for percent in MIXES]
        return [
            EngineVoice(self.name, name, language, LICENSE, self.model)
            for name in (*styles, *mixed)
            for language in sorted(LANGUAGES.values(), key=lambda code: code != LANGUAGES.get(name[0]))
        ]

    def check(self, voice: EngineVoice) -> None:
        """Raises VoiceError where the network cannot be loaded."""
        _loaded(self.model, self.styles)

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        """See `Engine.say`; Kokoro times no words."""
        kokoro, session = _loaded(self.model, self.styles)
        session.rng = rng
        try:
            samples, rate_hz = kokoro.create(
                text, mixed_style(_styles(self.styles), voice.name), float(np.clip(rate, *SPEEDS)), voice.language
            )
        except (ValueError, RuntimeError) as reason:
            raise VoiceError(f"voice {voice.name} cannot say {text!r} in {voice.language}: {reason}") from reason
        speech = Speech(np.asarray(samples, np.float32).reshape(-1), int(rate_hz))
        return at_16_khz(speech, pitch_semitones)


def mixed_style(styles: dict[str, NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    """A style, or a mixture such as `one~two~25`: three quarters of one, one of two. VoiceError for an unknown name.

    >>> styles = {"one": np.zeros((1, 1, 1), np.float32), "two": np.ones((1, 1, 1), np.float32)}
    >>> mixed_style(styles, "one~two~25").item()
    0.25
    """
    try:
        if BETWEEN not in name:
            return styles[name]
        one, two, percent = name.split(BETWEEN)
        share = np.float32(int(percent) / 100)
        mixed: NDArray[np.float32] = (1 - share) * styles[one] + share * styles[two]
        return mixed
    except (KeyError, ValueError) as reason:
        raise VoiceError(f"no style {name!r}; there are {', '.join(sorted(styles))}") from reason


@lru_cache(maxsize=2)
def _styles(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every style of the file; nothing in it is unpickled."""
    try:
        if path.stat().st_size > MAX_STYLES_BYTES:
            raise VoiceError(f"{path}: too large for a file of styles")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            styles = {name: np.asarray(archive[name], np.float32) for name in archive.files}
    except VoiceError:
        raise
    except Exception as reason:  # numpy's, zipfile's and the system's errors have no base in common
        raise VoiceError(f"{path}: is no file of Kokoro's styles, or only part of one ({reason})") from reason
    wrong = [name for name, style in styles.items() if style.ndim != 3 or style.shape[1:] != (1, STYLE_VALUES)]
    if wrong or not styles:
        raise VoiceError(f"{path}: is no file of Kokoro's styles ({', '.join(wrong)[:100] or 'it is empty'})")
    return styles


@lru_cache(maxsize=1)
def _loaded(model: Path, styles: Path) -> tuple[Any, SeededSession]:
    """The model, its phonemes made by a copy of espeak-ng of its own.

    kokoro-onnx keeps the library loaded, and a library that stays loaded remembers what it said: the espeak engine
    needs a fresh one every time, so the two must not share a file.
    """
    try:
        import espeakng_loader
        from kokoro_onnx import EspeakConfig, Kokoro
    except ImportError as reason:
        raise VoiceError("Kokoro voices need kokoro-onnx; pip install 'uyan[kokoro]'") from reason
    session = SeededSession(model)
    folder = Path(tempfile.mkdtemp(prefix="uyan-kokoro-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = Path(shutil.copy(espeakng_loader.get_library_path(), folder))
    config = EspeakConfig(lib_path=str(library), data_path=espeakng_loader.get_data_path())
    try:
        return Kokoro.from_session(session, str(styles), config), session
    except (KeyError, ValueError, OSError, RuntimeError) as reason:
        raise VoiceError(f"{model}: is no Kokoro model ({reason})") from reason
