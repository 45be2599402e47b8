"""One clip of a corpus: planned, synthesised, varied, levelled, written; what is known of it afterwards.

A clip's samples depend on the seed and on what it is (speaker, take, text) alone, so that runs in parallel, interrupted
or grown give the same bytes. It knows nothing of the other clips.
"""

import errno
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from uyan.audio import SAMPLE_RATE, Samples
from uyan.errors import UyanError, VoiceError
from uyan.files import replacing
from uyan.voices.demo_noise import noise_floor
from uyan.voices.demo_speech import at_peak
from uyan.voices.phrase import Phrase, say_phrase
from uyan.voices.speech import Engine
from uyan.voices.variation import Speaker

EDGE_S = (0.1, 0.3)
"""Around the speech."""
PEAK_DB = (-20.0, -5.0)
"""Of a clip against full scale; effort adds to it."""
TAKE_RATE, TAKE_SEMITONES = 0.06, 0.4
"""How far one take of a speaker is from another, at most."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Clip:
    """What is to be said, by whom."""

    number: int
    speaker: Speaker
    take: int
    phrase: Phrase
    label: str
    path: str
    """POSIX, relative to the corpus."""

    @property
    def identity(self) -> str:
        """What its samples depend on, beside the seed."""
        return f"{self.speaker.id}|{self.take}|{self.phrase.text}"

    def rng(self, seed: int) -> np.random.Generator:
        """Its own randomness."""
        digest = hashlib.sha256(f"{seed}|{self.identity}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True)
class Made:
    """What became of a clip; times in seconds."""

    number: int
    identity: str
    failure: str = ""
    """Why there is no file."""
    duration_s: float = 0.0
    start_s: float = 0.0
    end_s: float = 0.0
    """Of the word in the file."""
    natural_s: float = 0.0
    """Length of the speech, had it been said at the voice's own rate."""
    content: str = ""
    """Of the speech before levels and noise: equal for clips that are one and the same take."""


@dataclass(frozen=True)
class Making:
    """All that a process needs to make clips."""

    engines: tuple[Engine, ...]
    folder: Path
    seed: int

    def __call__(self, clip: Clip) -> Made:
        """Write the clip; what the engine cannot do is told in the result. Raises VoiceError when the disk is full."""
        (engine,) = (engine for engine in self.engines if engine.name == clip.speaker.voice.engine)
        try:
            samples, made = synthesise(engine, clip, clip.rng(self.seed))
        except UyanError as reason:
            return Made(clip.number, clip.identity, failure=str(reason))
        write_sound(self.folder / clip.path, samples)
        return made


def synthesise(engine: Engine, clip: Clip, rng: np.random.Generator) -> tuple[Samples, Made]:
    """A clip's samples, shape (samples,), at 16 kHz, and what is known of them. Raises what the engine raises."""
    variation = clip.speaker.variation
    rate = variation.rate_factor * float(np.exp(rng.uniform(-TAKE_RATE, TAKE_RATE)))
    semitones = variation.semitones + float(rng.uniform(-TAKE_SEMITONES, TAKE_SEMITONES))
    said = say_phrase(engine, clip.speaker.voice, clip.phrase, rate, semitones, rng)
    speech = at_peak(variation.timbre(said.samples), 0.0)
    peak_db = min(rng.uniform(*PEAK_DB) + variation.effort_db, -1.0)
    edges = [round(rng.uniform(*EDGE_S) * SAMPLE_RATE) for _ in range(2)]
    samples = np.pad(at_peak(speech, peak_db), edges)
    samples = samples + noise_floor(samples.size, rng)
    made = Made(
        clip.number,
        clip.identity,
        duration_s=round(samples.size / SAMPLE_RATE, 3),
        start_s=round(edges[0] / SAMPLE_RATE + said.start_s, 3),
        end_s=round(edges[0] / SAMPLE_RATE + said.end_s, 3),
        natural_s=round(speech.size / SAMPLE_RATE * rate, 4),
        content=hashlib.sha1(np.round(speech * 2**11).astype(np.int16).tobytes()).hexdigest(),
    )
    return samples, made


def write_sound(path: Path, samples: Samples) -> None:
    """Mono 16 kHz, 16 bits, WAV or FLAC by the suffix, atomically. Raises VoiceError when the disk is full."""
    encoded = io.BytesIO()
    soundfile.write(encoded, np.clip(samples, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16", format=path.suffix[1:].upper())
    try:
        with replacing(path) as partial:
            partial.write_bytes(encoded.getbuffer())
    except OSError as reason:
        raise disk_error(reason, path) from reason


def disk_error(reason: OSError, path: Path) -> VoiceError:
    """What to tell the user about a file that could not be written."""
    full = reason.errno in DISK_FULL
    what = "the disk is full; free some space and repeat the command" if full else os.strerror(reason.errno or 0)
    return VoiceError(f"{path}: cannot be written: {what}")
