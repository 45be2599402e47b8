"""One text by one voice into a file, within a time limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.engine.task_map import Lost
from uyan.errors import ConfigError, VoiceError
from uyan.voices.clip import write_sound
from uyan.voices.limited_pool import run_limited
from uyan.voices.phrase import make_phrase, say_phrase
from uyan.voices.speech import Engine, EngineVoice

FORMATS = (".wav", ".flac")


@dataclass(frozen=True)
class _Saying:
    """What the process has to know."""

    engine: Engine
    voice: EngineVoice
    out: Path
    rate: float
    pitch_semitones: float
    seed: int

    def __call__(self, text: str) -> float:
        """Write the file; returns its length in seconds."""
        rng = np.random.default_rng(self.seed)
        said = say_phrase(self.engine, self.voice, make_phrase(text), self.rate, self.pitch_semitones, rng)
        write_sound(self.out, said.samples)
        return said.samples.size / SAMPLE_RATE


def say_to_file(
    text: str,
    engines: Sequence[Engine],
    voice: EngineVoice,
    out: Path,
    rate: float = 1.0,
    pitch_semitones: float = 0.0,
    seed: int = 42,
    limit_s: float = 60.0,
) -> float:
    """Say the text, silence trimmed, at the engine's own level; returns seconds.

    Raises ConfigError for a text or a file name that will not do, VoiceError for what the engine cannot say in time.
    """
    make_phrase(text)
    if out.suffix not in FORMATS:
        raise ConfigError(f"{out}: ends in neither {' nor '.join(FORMATS)}")
    (engine,) = (engine for engine in engines if engine.name == voice.engine)
    saying = _Saying(engine, voice, out, rate, pitch_semitones, seed)
    ((_, result),) = run_limited(saying, [text], 1, limit_s)
    if isinstance(result, Lost):
        raise VoiceError(f"{voice.engine} {voice.name}: {result.reason}")
    return result
