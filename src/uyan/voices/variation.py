"""Many speakers from few: a voice, slower or faster, higher, with a longer or shorter vocal tract, softer or louder.

Every combination of levels is a speaker of its own, named after them. Rate and pitch are the engine's to change;
formants and effort are changed here. It knows nothing of texts and files.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.voice_change import change_voice
from uyan.errors import VoiceError
from uyan.voices.speech import EngineVoice

RATE_FACTOR, PITCH_SEMITONES, FORMANT_PERCENT, EFFORT_DB_PER_OCTAVE = 1.12, 1.5, 4.0, 1.5
"""What one level means."""
RATES, PITCHES, FORMANTS, EFFORTS = range(-2, 3), range(-2, 3), range(-2, 3), range(-1, 2)
"""Levels that are drawn."""
EFFORT_HZ = (250.0, 1000.0, 6000.0)
"""Raised voices have stronger high harmonics: the slope lies between the outer two and turns about the middle one."""
NOMINAL_EFFORT_DB = 4.0
"""A level louder, too."""


@dataclass(frozen=True)
class Variation:
    """Levels, 0 being the voice's own."""

    rate: int = 0
    pitch: int = 0
    formant: int = 0
    effort: int = 0

    @property
    def suffix(self) -> str:
        """For the speaker_id.

        >>> Variation(rate=1, formant=-2).suffix
        ':r+1:f-2'
        """
        levels = zip("rpfe", (self.rate, self.pitch, self.formant, self.effort), strict=True)
        return "".join(f":{letter}{level:+d}" for letter, level in levels if level)

    @property
    def rate_factor(self) -> float:
        """How many times as fast."""
        return float(RATE_FACTOR**self.rate)

    @property
    def semitones(self) -> float:
        """How much higher."""
        return PITCH_SEMITONES * self.pitch

    @property
    def effort_db(self) -> float:
        """How much louder."""
        return NOMINAL_EFFORT_DB * self.effort

    def timbre(self, samples: Samples) -> Samples:
        """Formants and effort changed in samples of shape (samples,); the same length, nothing moves in time."""
        if self.formant:
            samples = change_voice(samples, formant_percent=FORMANT_PERCENT * self.formant)
        return tilted(samples, EFFORT_DB_PER_OCTAVE * self.effort) if self.effort else samples


@dataclass(frozen=True)
class Speaker:
    """A voice in one variation."""

    voice: EngineVoice
    variation: Variation

    @property
    def id(self) -> str:
        """What a manifest calls this speaker: the splitter keeps all of it together.

        >>> Speaker(EngineVoice("piper", "joe:0", "en-us"), Variation(rate=1, formant=-2)).id
        'tts:piper:joe:0:r+1:f-2'
        """
        return f"tts:{self.voice.engine}:{self.voice.name}{self.variation.suffix}"


def tilted(samples: Samples, db_per_octave: float) -> Samples:
    """Samples of shape (samples,) with a spectrum that rises by so much; RMS unchanged."""
    size = 1 << (max(2, samples.size) - 1).bit_length()
    low_hz, middle_hz, high_hz = EFFORT_HZ
    frequency_hz = np.clip(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), low_hz, high_hz)
    gain = 10 ** (db_per_octave * np.log2(frequency_hz / middle_hz) / 20)
    changed = np.fft.irfft(np.fft.rfft(samples, size) * gain, size)[: samples.size]
    before, after = (float(np.sqrt(np.mean(np.square(sound)))) for sound in (samples, changed))
    return (changed * (before / max(after, 1e-12))).astype(np.float32)


def speakers(voices: Sequence[EngineVoice], rng: np.random.Generator) -> Iterator[Speaker]:
    """Distinct speakers, every voice as often as the others; the first are the same however many are taken.

    Raises VoiceError when all combinations are used up.
    """
    if len({(voice.engine, voice.name) for voice in voices}) < len(voices):
        raise VoiceError("the same voice is named twice; name it once")
    order = rng.permutation(len(voices))
    levels = [Variation(*combination) for combination in itertools.product(RATES, PITCHES, FORMANTS, EFFORTS)]
    seen: set[str] = set()
    while len(seen) < len(voices) * len(levels):
        for number in order:
            speaker = Speaker(voices[number], levels[rng.integers(len(levels))])
            while speaker.id in seen:
                speaker = Speaker(voices[number], levels[rng.integers(len(levels))])
            seen.add(speaker.id)
            yield speaker
    raise VoiceError(f"{len(voices)} voices make {len(seen)} speakers and no more; ask for fewer clips, or more takes")
