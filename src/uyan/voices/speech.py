"""What every engine of synthetic speech takes and gives: a voice, a text, and speech with its words' places.

One small protocol; it knows no engine. Whoever adds one writes `voices` and `say`.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import soxr

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.voice_change import change_voice
from uyan.errors import ConfigError

MAX_TEXT_CHARS = 300
"""A wake word in a sentence has 100; a longer text is a file given by mistake."""


class SpokenWord(NamedTuple):
    """Where a word of the text is heard."""

    first_char: int
    end_char: int
    """Characters [first_char, end_char) of the text."""
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Speech:
    """What an engine said."""

    samples: Samples
    rate_hz: int
    words: tuple[SpokenWord, ...] = ()
    """In order; none where the engine does not tell."""


@dataclass(frozen=True)
class EngineVoice:
    """One person of an engine: an espeak variant, a speaker of a Piper voice, a Kokoro style."""

    engine: str
    name: str
    """Unique within the engine, the same on every machine: `joe:0`."""
    language: str
    """As the engine calls it: `en-us`, `tr`."""
    license: str = ""
    """Empty where nothing beside the voice tells."""
    file: Path | None = None
    number: int = 0
    """Of the speaker within the file."""


class Engine(Protocol):
    """Turns text into speech; small, and can be sent to another process."""

    @property
    def name(self) -> str:
        """One word, part of every speaker_id."""

    def voices(self) -> list[EngineVoice]:
        """All that can be used now. Raises VoiceError for a file that is damaged, or an engine not installed."""

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        """The text as the voice says it, `rate` times as fast and so much higher; the same `rng`, the same samples.

        Raises VoiceError or ConfigError where it cannot.
        """


def checked_text(text: str) -> str:
    """The text without spaces around it; ConfigError where there is nothing to say, too much, or a control character.

    >>> checked_text(" hey  uyan ")
    'hey uyan'
    """
    words = " ".join(unicodedata.normalize("NFC", text).split())
    if not any(char.isalnum() for char in words):
        raise ConfigError(f"nothing to say: the text is {text[:40]!r}; give at least one word")
    if len(words) > MAX_TEXT_CHARS:
        raise ConfigError(f"{len(words)} characters to say, {words[:30]!r}…; at most {MAX_TEXT_CHARS} at a time")
    if any(unicodedata.category(char) == "Cc" for char in words):
        raise ConfigError(f"a control character in the text {words[:40]!r}; take it out")
    return words


def speaks(language: str, wanted: str) -> bool:
    """Whether a voice's language is the wanted one, or an accent of it.

    >>> speaks("en-us", "en"), speaks("en_GB", "en-gb"), speaks("en", "en-us"), speaks("es", "e")
    (True, True, False, False)
    """
    has, want = (code.lower().replace("_", "-") for code in (language, wanted))
    return has == want or has.startswith(f"{want}-")


def at_16_khz(speech: Speech, pitch_semitones: float = 0.0) -> Speech:
    """The same at 16 kHz, and higher, for engines that cannot change the pitch themselves; words stay in place."""
    samples = speech.samples
    if speech.rate_hz != SAMPLE_RATE:
        samples = soxr.resample(samples, speech.rate_hz, SAMPLE_RATE).astype(np.float32, copy=False)
    if pitch_semitones:
        samples = change_voice(samples, pitch_semitones=pitch_semitones)
    return Speech(samples, SAMPLE_RATE, speech.words)
