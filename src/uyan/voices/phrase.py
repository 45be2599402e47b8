"""The word alone or in running speech, and where in the sound it is.

Where the engine times its words, the sentence is said in one breath and the word's place is the engine's, tightened to
the sound; where it does not, the parts are said one by one and joined, and the place is known from their lengths. It
knows nothing of files.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.errors import ConfigError, VoiceError
from uyan.voices.speech import Engine, EngineVoice, SpokenWord, at_16_khz, checked_text

PLACE = "{}"
"""Stands for the word in a carrier."""
GAP_S = (0.05, 0.2)
"""Between parts that were said one by one."""
BLOCK_SAMPLES = SAMPLE_RATE // 100
QUIET_SHARE = 0.02
"""Of the loudest 10 ms' RMS: below it nobody speaks."""
LEAST_SPEECH_S, LEAST_RMS = 0.1, 1e-3
"""Less than this is no speech: -60 dB below full scale."""


@dataclass(frozen=True)
class Phrase:
    """What is said, and which part of it is the word."""

    before: str
    word: str
    after: str

    @property
    def text(self) -> str:
        """All of it."""
        return self.before + self.word + self.after

    @property
    def alone(self) -> bool:
        """Nothing but the word."""
        return not (self.before or self.after)


class Utterance(NamedTuple):
    """Speech without silence around it, and the seconds [start_s, end_s) of the word."""

    samples: Samples
    start_s: float
    end_s: float


def make_phrase(word: str, carrier: str = PLACE) -> Phrase:
    """The word where the carrier has {}; ConfigError for a carrier without one, and for nothing to say.

    >>> make_phrase("jarvis", "hello {}, play").text
    'hello jarvis, play'
    """
    if carrier.count(PLACE) != 1:
        raise ConfigError(f"carrier {carrier[:60]!r}: needs one {PLACE} where the word goes")
    before, after = " ".join(carrier.split()).split(PLACE)
    phrase = Phrase(before, checked_text(word), after)
    checked_text(phrase.text)
    return phrase


def say_phrase(
    engine: Engine, voice: EngineVoice, phrase: Phrase, rate: float, pitch_semitones: float, rng: np.random.Generator
) -> Utterance:
    """The phrase at 16 kHz. Raises VoiceError where the engine says nothing, and what the engine raises."""
    speech = at_16_khz(engine.say(phrase.text, voice, rate, pitch_semitones, rng))
    samples = speech.samples
    first, end = speech_span(samples)
    if phrase.alone:
        return Utterance(samples[first:end], 0.0, (end - first) / SAMPLE_RATE)
    placed = _placed(speech.words, phrase)
    if placed is None:
        return _joined(engine, voice, phrase, rate, pitch_semitones, rng)
    low, high = (min(max(0, round(time_s * SAMPLE_RATE)), samples.size) for time_s in placed)
    if high - low < LEAST_SPEECH_S * SAMPLE_RATE:
        return _joined(engine, voice, phrase, rate, pitch_semitones, rng)
    inner = speech_span(samples[low:high])
    start, stop = low + inner[0] - first, low + inner[1] - first
    return Utterance(samples[first:end], max(0, start) / SAMPLE_RATE, stop / SAMPLE_RATE)


def speech_span(samples: Samples) -> tuple[int, int]:
    """Samples [first, end) between the first and the last 10 ms that are loud enough for speech.

    Raises VoiceError where there is next to nothing.
    """
    blocks = samples[: samples.size // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
    rms = np.sqrt(np.mean(np.square(blocks, dtype=np.float64), axis=1))
    loud = np.flatnonzero(rms > max(QUIET_SHARE * rms.max(initial=0.0), LEAST_RMS))
    if loud.size < LEAST_SPEECH_S * 100:
        raise VoiceError(f"empty: {loud.size * 10} ms above -60 dB in {samples.size / SAMPLE_RATE:.2f} s")
    return int(loud[0]) * BLOCK_SAMPLES, int(loud[-1] + 1) * BLOCK_SAMPLES


def _placed(words: tuple[SpokenWord, ...], phrase: Phrase) -> tuple[float, float] | None:
    """When the word is said, by the engine's timing; None where that does not tell the word from its neighbours."""
    first = len(phrase.before)
    end = first + len(phrase.word)
    touching = [word for word in words if word.first_char < end and word.end_char > first]
    if not touching or touching[0].first_char < first or phrase.text[end : touching[-1].end_char].strip(" .,;:!?'\""):
        return None
    return touching[0].start_s, touching[-1].end_s


def _joined(
    engine: Engine, voice: EngineVoice, phrase: Phrase, rate: float, pitch_semitones: float, rng: np.random.Generator
) -> Utterance:
    """The parts one by one, with short pauses between."""
    pieces: list[Samples] = []
    at = start = stop = 0
    for number, text in enumerate((phrase.before, phrase.word, phrase.after)):
        if not any(char.isalnum() for char in text):
            continue
        said = at_16_khz(engine.say(text.strip(), voice, rate, pitch_semitones, rng)).samples
        low, high = speech_span(said)
        gap = np.zeros(round(rng.uniform(*GAP_S) * SAMPLE_RATE) if pieces else 0, np.float32)
        pieces += [gap, said[low:high]]
        at += gap.size + high - low
        if number == 1:
            start, stop = at - (high - low), at
    return Utterance(np.concatenate(pieces), start / SAMPLE_RATE, stop / SAMPLE_RATE)
