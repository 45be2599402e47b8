"""espeak-ng as an engine: every language it has, each with some sixty variants, words timed by its own events.

It knows how espeak counts speed and pitch, and nothing of corpora.
"""

from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.voices.espeak import MIDDLE_PITCH, NATURAL_WPM, VARIANTS, Voice, WordStart, languages, say_timed
from uyan.voices.speech import EngineVoice, Speech, SpokenWord

LICENSE = "spoken by espeak-ng, a GPL-3.0-or-later program"
PITCH_PER_SEMITONE = 50 / 12
"""espeak's pitch runs from an octave below, 0, to an octave above, 99."""
PITCH_RANGES = (30, 75)
"""How lively the melody is, drawn for every utterance."""


@dataclass(frozen=True)
class EspeakEngine:
    """The embedded engine; needs espeakng-loader alone."""

    @property
    def name(self) -> str:
        """Part of every speaker_id."""
        return "espeak"

    def voices(self) -> list[EngineVoice]:
        """Every language with every variant."""
        names = [(f"{language}+{variant}", language) for language in languages() for variant in VARIANTS]
        return [EngineVoice(self.name, name, language, LICENSE) for name, language in names]

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        """See `Engine.say`."""
        chosen = Voice(
            name=voice.name,
            rate_wpm=int(np.clip(round(NATURAL_WPM * rate), 80, 450)),
            pitch=int(np.clip(round(MIDDLE_PITCH + PITCH_PER_SEMITONE * pitch_semitones), 0, 99)),
            pitch_range=int(rng.integers(*PITCH_RANGES, endpoint=True)),
        )
        samples, starts = say_timed(text, chosen)
        return Speech(samples, SAMPLE_RATE, _until_the_next(starts, samples.size / SAMPLE_RATE))


def _until_the_next(starts: list[WordStart], length_s: float) -> tuple[SpokenWord, ...]:
    """Words that each last until the next begins."""
    ends_s = [start.start_s for start in starts[1:]] + [length_s]
    return tuple(SpokenWord(*start, end_s) for start, end_s in zip(starts, ends_s, strict=True))
