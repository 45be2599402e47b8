"""Kokoro as an engine: a model with styles on disk; styles mixed in pairs are more voices.

A style is an array that says who speaks; one between two styles is somebody else. Every style speaks every language
that Kokoro learnt, with its own accent. It knows nothing of where models are kept. Needs the package kokoro-onnx.
"""

import atexit
import itertools
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uyan.errors import VoiceError
from uyan.voices.seeded_session import SeededSession, first_line
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
STYLE_NAME = re.compile(r"[^\W\d_][\w.-]{0,63}")
"""A name becomes part of speaker ids and of folders' names."""
SPEEDS = (0.5, 2.0)
STYLE_VALUES = 256
STYLE_SHAPE = (510, 1, STYLE_VALUES)
"""A vector for every number of phonemes."""
BARE_STYLE_BYTES = 4 * 510 * STYLE_VALUES
MAX_STYLES_BYTES = 200_000_000


@dataclass(frozen=True)
class KokoroEngine:
    """One model and its styles."""

    model: Path
    """.onnx"""
    styles: Path
    """.npz, or the .bin that is one: name → (phonemes, 1, 256); or a folder with a .bin of bare float32 a style."""

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
        style = mixed_style(_styles(self.styles), voice.name)
        try:
            samples, rate_hz = kokoro.create(text, style, float(np.clip(rate, *SPEEDS)), voice.language)
        except Exception as reason:  # onnxruntime's, espeak's and Python's errors have no base in common
            problem = f"voice {voice.name} cannot say {text!r} in {voice.language}: {first_line(reason)}"
            raise VoiceError(problem) from reason
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
    """Every style of the file or folder; nothing in it is unpickled."""
    if path.is_dir():
        files = {file.stem: file for file in sorted(path.glob("*.bin"))}
        if wrong := [name for name in files if not STYLE_NAME.fullmatch(name)]:
            raise VoiceError(f"{path}: {wrong[0]!r} is no style's name; letters, digits, _ . and - make one")
        return {name: _bare_style(file) for name, file in files.items()}
    try:
        if path.stat().st_size > MAX_STYLES_BYTES:
            raise VoiceError(f"{path}: too large for a file of styles")
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MAX_STYLES_BYTES:
                raise VoiceError(f"{path}: unpacked, too large for a file of styles")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            styles = {name: np.asarray(archive[name], np.float32) for name in archive.files}
    except VoiceError:
        raise
    except Exception as reason:  # numpy's, zipfile's and the system's errors have no base in common
        raise VoiceError(f"{path}: is no file of Kokoro's styles, or only part of one ({reason})") from reason
    wrong = [name for name, style in styles.items() if not STYLE_NAME.fullmatch(name) or not _is_style(style)]
    if wrong or not styles:
        shown = ", ".join(map(repr, wrong))[:100]
        raise VoiceError(f"{path}: is no file of Kokoro's styles ({shown or 'it is empty'}); get it again")
    return styles


def _is_style(values: NDArray[np.float32]) -> bool:
    return values.ndim == 3 and len(values) > 0 and values.shape[1:] == (1, STYLE_VALUES)


def _bare_style(path: Path) -> NDArray[np.float32]:
    """One style in a file of its own: float32, little-endian, nothing else in it."""
    try:
        if path.stat().st_size != BARE_STYLE_BYTES:
            raise VoiceError(f"{path}: is no style of Kokoro's, or only part of one; remove it or get it again")
        return np.fromfile(path, "<f4").astype(np.float32).reshape(STYLE_SHAPE)
    except OSError as reason:
        raise VoiceError(f"{path}: cannot be read ({reason.strerror})") from reason


@lru_cache(maxsize=1)
def _loaded(model: Path, styles: Path) -> tuple[Any, SeededSession]:
    """The model, its phonemes made by a copy of espeak-ng of its own.

    kokoro-onnx keeps the library loaded, and a library that stays loaded remembers what it said: the espeak engine
    needs a fresh one every time, so the two must not share a file.
    """
    try:
        import espeakng_loader
        from kokoro_onnx import Kokoro
        from kokoro_onnx.config import EspeakConfig
    except ImportError as reason:
        raise VoiceError("Kokoro voices need kokoro-onnx; pip install 'uyan[kokoro]'") from reason
    session = SeededSession(model)
    folder = Path(tempfile.mkdtemp(prefix="uyan-kokoro-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = Path(shutil.copy(espeakng_loader.get_library_path(), folder))
    config = EspeakConfig(lib_path=str(library), data_path=espeakng_loader.get_data_path())
    if styles.is_dir():  # which styles it is told of makes no difference: it gets each as an array
        first, style = next(iter(_styles(styles).items()))
        styles = folder / "style.npz"
        np.savez(styles, **{first: style})  # type: ignore[arg-type]  # numpy's stubs take the names for its options
    try:
        return Kokoro.from_session(session, str(styles), config), session
    except (KeyError, ValueError, OSError, RuntimeError) as reason:
        raise VoiceError(f"{model}: is no Kokoro model ({reason})") from reason
