"""Audio files: anything libsndfile reads becomes mono float32 at 16 kHz, whole or block by block.

The one place where files are decoded and written and rates converted for reading. A file is used as a whole or refused
with an `AudioError`. A detector that is fed samples does without it, and so without its libraries.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from uyan.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples, to_float
from uyan.errors import AudioError


def read(path: Path) -> Samples:
    """The whole file as mono 16 kHz float32, shape (samples,).

    Raises AudioError, naming the file, when it is missing, cannot be decoded, is shorter than one frame
    (25 ms), contains NaN or Inf, or holds nothing but zeros.
    """
    blocks = list(stream(path))
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if samples.size < FRAME_SAMPLES:
        length_ms = 1000 * samples.size / SAMPLE_RATE
        raise AudioError(f"{path}: {length_ms:.0f} ms of audio; at least 25 ms are needed")
    if not samples.any():
        raise AudioError(f"{path}: every sample is zero")
    return samples


def stream(path: Path, block_s: float = 60.0) -> Iterator[Samples]:
    """Decode a file of any length block by block, in constant memory; blocks join up without a seam.

    Yields mono 16 kHz float32 arrays of shape (samples,) of about `block_s` seconds. Raises AudioError,
    naming the file, as soon as a block cannot be decoded.
    """
    try:
        if not path.is_file():
            raise AudioError("no such file")
        with soundfile.SoundFile(str(path)) as sound:
            yield from _blocks(sound, block_s)
    except (OSError, soundfile.SoundFileError, RuntimeError) as reason:
        detail = reason.strerror if isinstance(reason, OSError) else getattr(reason, "error_string", reason)
        raise AudioError(f"{path}: cannot be decoded ({detail})") from reason
    except AudioError as reason:
        raise AudioError(f"{path}: {reason}") from reason


def _blocks(sound: soundfile.SoundFile, block_s: float) -> Iterator[Samples]:
    rate = int(sound.samplerate)
    resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    size = max(1, int(block_s * rate))
    while True:
        block = sound.read(size, dtype="float32", always_2d=True)
        last = len(block) < size
        mono = to_float(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))
        if resampler is not None:
            mono = resampler.resample_chunk(mono, last=last)
        if mono.size:
            yield mono
        if last:
            return


def write(path: Path, samples: Samples) -> None:
    """Write mono 16 kHz audio of shape (samples,) as 16-bit WAV; values beyond ±1 are clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), np.clip(samples, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16")
