"""Audio in: any file libsndfile reads becomes mono float32 at 16 kHz.

The one place where files are decoded, rates converted and integer PCM scaled. It knows nothing of features
or labels. A file is used as a whole or refused with an `AudioError`: no sample is ever silently repaired.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from uyan.errors import AudioError

SAMPLE_RATE = 16_000
"""The rate of all audio inside uyan, Hz."""

INT16_SCALE = 32_768.0
"""An int16 sample divided by this lies in [-1, 1)."""

FRAME_SAMPLES = 400
"""25 ms: one frame of the front end. Anything shorter has no features."""

Samples = NDArray[np.float32]
"""Mono audio, shape (samples,), nominally within [-1, 1]."""


def to_float(samples: NDArray[np.generic]) -> Samples:
    """Mono int16 or float samples of shape (samples,) as float32.

    Raises AudioError for another dtype or shape, and for NaN or Inf.

    >>> to_float(np.array([-32768, 0, 16384], np.int16)).tolist()
    [-1.0, 0.0, 0.5]
    """
    if samples.ndim != 1:
        raise AudioError(f"audio must be mono, shape (samples,), not {samples.shape}; mix the channels first")
    if samples.dtype == np.int16:
        return (samples.astype(np.float32) / np.float32(INT16_SCALE)).astype(np.float32)
    if samples.dtype not in (np.float32, np.float64):
        raise AudioError(f"samples must be int16 or float32, not {samples.dtype}")
    with np.errstate(over="ignore"):
        floats = samples.astype(np.float32, copy=False)
    if not np.isfinite(floats).all():
        raise AudioError("samples contain NaN or Inf; the recording is damaged, record or export it again")
    return floats


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
