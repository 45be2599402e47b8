"""Audio inside uyan: mono float32 samples at 16 kHz, and the one place where integer PCM is scaled to it.

It knows nothing of files (`audio_file`), features or labels. No sample is ever silently repaired.
"""

import numpy as np
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
