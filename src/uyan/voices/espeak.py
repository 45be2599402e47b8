"""espeak-ng, driven in this process through its C interface.

A `Voice` is an espeak voice with a speed and a pitch; `say` turns text into samples that depend on text and
voice alone, `say_timed` tells when each word begins, and `many_voices` draws distinct voices. It knows nothing of
corpora, levels or noise, and it is no stand-in for real recordings: formant synthesis (Klatt 1980) is far more regular
than people are.
"""

import _ctypes
import ctypes
import itertools
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples, to_float
from uyan.errors import ConfigError

VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alex", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Lee", "Mario", "Michael"),
    *("Mike", "Reed", "adam", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward"),
    *("grandma", "grandpa", "gustave", "ian", "john", "linda", "max", "miguel", "norbert", "pablo"),
    *("paul", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "victor", "zac"),
)
"""The espeak variants that sound like people; robots, whispers and effects are left out."""

NATURAL_WPM, MIDDLE_PITCH = 165, 50
"""Of a voice as espeak has it."""
RATES_WPM = (140, 190)
PITCHES = (25, 75)
PITCH_RANGES = (30, 75)
"""Bounds, both included, within which `many_voices` draws."""

VOLUME = 40
"""Of espeak's 0..200, default 100: its loudest variants clip at 100."""

SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
CHARACTER_POSITION = 1
UTF8 = 1
PARAMETER_RATE, PARAMETER_VOLUME, PARAMETER_PITCH, PARAMETER_RANGE = 1, 2, 3, 4
"""Numbers of espeak's C interface, speak_lib.h."""

LAST_EVENT, WORD_EVENT = 0, 1
"""Types of events there."""


class _Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_RECEIVER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
_LOCK = threading.Lock()
"""espeak keeps one synthesiser per process in static variables: two threads in it would mix their audio."""


class WordStart(NamedTuple):
    """When espeak begins a word."""

    first_char: int
    end_char: int
    """Characters [first_char, end_char) of the text."""
    start_s: float


@dataclass(frozen=True)
class Voice:
    """Who speaks, and how."""

    name: str
    """An espeak voice, with its variant after a plus: `en-us+f3`."""
    rate_wpm: int
    """Words a minute, 80..450."""
    pitch: int
    """0..99; 50 is the variant's own."""
    pitch_range: int
    """How lively the melody is, 0..99; 50 is the variant's own."""

    def __post_init__(self) -> None:
        if not 80 <= self.rate_wpm <= 450:
            raise ConfigError(f"voice {self.name}: rate_wpm must lie in 80..450, not {self.rate_wpm}")
        if not (0 <= self.pitch <= 99 and 0 <= self.pitch_range <= 99):
            tone = f"{self.pitch} and {self.pitch_range}"
            raise ConfigError(f"voice {self.name}: pitch and pitch_range must lie in 0..99, not {tone}")

    @property
    def language(self) -> str:
        """The language or accent: the name without its variant."""
        return self.name.partition("+")[0]

    @property
    def speaker_id(self) -> str:
        """What a manifest calls this speaker; rate and pitch as they differ from the voice's own.

        >>> Voice("en-us+f3", 150, 60, 50).speaker_id
        'tts:espeak:en-us+f3:r-15:p+10'
        """
        return f"tts:espeak:{self.name}:r{self.rate_wpm - NATURAL_WPM:+d}:p{self.pitch - MIDDLE_PITCH:+d}"


def say(text: str, voice: Voice) -> Samples:
    """The text as spoken by the voice, shape (samples,), with espeak's own silence around it.

    The same text and voice give the same samples, whatever was said before. Raises ConfigError for text
    without anything to say, an unknown voice, and when espeak-ng is not installed.
    """
    return say_timed(text, voice)[0]


def say_timed(text: str, voice: Voice) -> tuple[Samples, list[WordStart]]:
    """`say`, and when each word of the text begins; words that espeak runs together begin as one."""
    if not text.strip():
        raise ConfigError(f"nothing to say: the text is {text!r}; give at least one word")
    with locked_espeak() as (library, rate_hz):
        _choose(library, voice)
        pcm, starts = _synthesise(library, text)
    if not pcm.any():
        raise ConfigError(f"voice {voice.name} has no sound for {text!r}; give at least one word")
    resampled: Samples = soxr.resample(to_float(pcm), rate_hz, SAMPLE_RATE)
    return resampled, starts


def languages() -> dict[str, str]:
    """Code and name of every language and accent that espeak-ng speaks, for example `tr`: Turkish.

    Some of its distributions describe languages whose dictionary they leave out; these are mute, and not listed.
    """
    data = _espeak_paths()[1]
    found: dict[str, str] = {}
    for file in sorted((data / "lang").rglob("*")):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            lines = [line.partition("//")[0].split(None, 1) for line in text.splitlines()]
            fields = {line[0]: line[1].strip() for line in reversed(lines) if len(line) == 2}
            dictionary = fields.get("dictionary", file.name.lower().partition("-")[0])
            if (data / f"{dictionary}_dict").is_file():
                found[file.name.lower()] = fields.get("name", file.name)
    return found


def many_voices(count: int, languages: Sequence[str], rng: np.random.Generator) -> list[Voice]:
    """Draw voices with distinct speaker ids; a language and variant recur only once all pairs are used.

    >>> voices = many_voices(9, ["en-us", "tr"], np.random.default_rng(0))
    >>> len({voice.name for voice in voices})
    9
    """
    pairs = [f"{language}+{variant}" for language in dict.fromkeys(languages) for variant in VARIANTS]
    tones = (RATES_WPM[1] - RATES_WPM[0] + 1) * (PITCHES[1] - PITCHES[0] + 1)
    if not 0 < count <= len(pairs) * tones:
        raise ConfigError(f"cannot draw {count} voices from {len(pairs)} language and variant pairs")
    names = [pairs[index] for index in rng.permutation(len(pairs))]
    voices: dict[str, Voice] = {}
    while len(voices) < count:
        voice = Voice(
            name=names[len(voices) % len(names)],
            rate_wpm=int(rng.integers(*RATES_WPM, endpoint=True)),
            pitch=int(rng.integers(*PITCHES, endpoint=True)),
            pitch_range=int(rng.integers(*PITCH_RANGES, endpoint=True)),
        )
        voices.setdefault(voice.speaker_id, voice)
    return list(voices.values())


@contextmanager
def locked_espeak() -> Iterator[tuple[ctypes.CDLL, int]]:
    """A freshly loaded library for this thread alone, with its sample rate in Hz."""
    with _LOCK, _fresh_espeak() as (library, rate_hz):
        yield library, rate_hz


@contextmanager
def _fresh_espeak() -> Iterator[tuple[ctypes.CDLL, int]]:
    """espeak-ng loaded for one utterance and unloaded after it, with its sample rate in Hz.

    Its pitch flutter, roughness cycle and gain control live in static variables that no call resets, not even
    espeak_Initialize: only a newly loaded library starts from known values. Loading costs under 1 ms. The
    hiss of some voices comes from two random generators, espeak's own, which espeak_Initialize seeds with the
    time, and the C library's: both are seeded here.
    """
    if sys.platform == "win32":
        raise ConfigError("synthetic speech needs Linux or macOS; on Windows run it under WSL")
    path, data = _espeak_paths()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as reason:
        raise ConfigError(f"{path}: cannot be loaded ({reason}); reinstall espeakng-loader") from reason
    try:
        rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, os.fsencode(data), DO_NOT_EXIT)
        if rate_hz <= 0:
            raise ConfigError(f"{data}: espeak-ng cannot read its voices; reinstall espeakng-loader")
        ctypes.CDLL(None).srand(1)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        try:
            yield library, rate_hz
        finally:
            library.espeak_Terminate()  # ends espeak's own thread, which must not outlive its code
    finally:
        _ctypes.dlclose(library._handle)


def _espeak_paths() -> tuple[Path, Path]:
    """The shared library and the folder of its voices."""
    try:
        import espeakng_loader
    except ImportError as reason:
        raise ConfigError("synthetic speech needs espeak-ng; pip install 'uyan[train]'") from reason
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


def _synthesise(library: ctypes.CDLL, text: str) -> tuple[NDArray[np.int16], list[WordStart]]:
    """What espeak hands over block by block, joined: shape (samples,), and its words."""
    pieces: list[bytes] = []
    words: list[WordStart] = []

    def receive(samples: int | None, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        for number in itertools.count():
            event = events[number]
            if event.type == LAST_EVENT:
                return 0
            if event.type == WORD_EVENT:
                first = event.text_position - 1
                words.append(WordStart(first, first + event.length, event.audio_position / 1000))
        return 0

    receiver = _RECEIVER(receive)
    library.espeak_SetSynthCallback(receiver)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, CHARACTER_POSITION, 0, UTF8, None, None)
    return np.frombuffer(b"".join(pieces), np.int16), words


def _choose(library: ctypes.CDLL, voice: Voice) -> None:
    """Set every parameter; espeak itself ignores a variant that it does not know, so it is looked up here."""
    variant = voice.name.partition("+")[2]
    _, data = _espeak_paths()
    known = not variant or (data / "voices" / "!v" / variant).is_file()
    if not known or library.espeak_SetVoiceByName(voice.name.encode()) != 0:
        raise ConfigError(f"espeak-ng has no voice {voice.name!r}; for example en-us+f3 or tr+m2")
    library.espeak_SetParameter(PARAMETER_RATE, voice.rate_wpm, 0)
    library.espeak_SetParameter(PARAMETER_VOLUME, VOLUME, 0)
    library.espeak_SetParameter(PARAMETER_PITCH, voice.pitch, 0)
    library.espeak_SetParameter(PARAMETER_RANGE, voice.pitch_range, 0)
