"""How alike two waveforms are near given places: the greatest normalised cross-correlation over small shifts.

It decides whether two recordings are one take (MISSION 1.3: |NCC| >= 0.9), and knows nothing of how the places
were found.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from uyan.audio import SAMPLE_RATE, Samples

SEGMENT_SAMPLES = 3 * SAMPLE_RATE // 2
"""Waveforms are compared up to 1.5 s on either side of the anchors."""
LAG_SAMPLES = SAMPLE_RATE // 10
MIN_OVERLAP_SAMPLES = 3 * SAMPLE_RATE // 10
MIN_OVERLAP_SHARE = 0.6
MIN_OVERLAP_ENERGY = 1e-3
"""So much of each segment's energy must lie in the overlap: rounding must not make silence correlate."""
HUM_FILTER = signal.butter(2, 80.0, "highpass", fs=SAMPLE_RATE, output="sos")
HUM_PAD_SAMPLES = SAMPLE_RATE // 20
SINC_TAPS = np.arange(-16, 17)
_DISTANCE = SINC_TAPS - np.linspace(-0.5, 0.5, 9)[:, None]
FRACTIONAL_SHIFTS = np.sinc(_DISTANCE) * np.cos(np.pi * _DISTANCE / (SINC_TAPS.size + 1)) ** 2
"""Windowed-sinc interpolation by -1/2 ... 1/2 sample, shape (shifts, taps)."""


def correlation(first: Samples, second: Samples, first_anchor: int, second_anchor: int) -> float:
    """Greatest |NCC| of two recordings of shape (samples,), shifted up to 100 ms around the anchor samples.

    Taken over their overlap within 1.5 s of the anchors, which must be 0.3 s or 60 % of the shorter one,
    with hum and DC removed and both energies taken over the overlap. In [0, 1]; 0 when either is silent.

    >>> word = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    >>> correlation(word, -0.1 * np.pad(word, (1234, 0)), 4000, 5234) > 0.99
    True
    """
    a, a_start = _segment(first, first_anchor)
    b, b_start = _segment(second, second_anchor)
    # Sample t of `first` meets sample t - lag of `second`, both counted from their anchors.
    lags = np.arange(-LAG_SAMPLES, LAG_SAMPLES + 1)
    start = np.maximum(a_start, b_start + lags)
    stop = np.maximum(start, np.minimum(a_start + a.size, b_start + b.size + lags))
    energies = _energy(a, start - a_start, stop - a_start) * _energy(b, start - lags - b_start, stop - lags - b_start)
    enough = stop - start >= min(MIN_OVERLAP_SAMPLES, MIN_OVERLAP_SHARE * min(a.size, b.size))
    enough &= energies > (MIN_OVERLAP_ENERGY * np.dot(a, a)) * (MIN_OVERLAP_ENERGY * np.dot(b, b))
    if not enough.any():
        return 0.0
    # cross[m] = sum of a[i] b[i - m]; the size leaves room for every m read below, so nothing wraps around.
    shifts = lags + b_start - a_start
    furthest = max(b.size + shifts[-1], a.size - shifts[0], a.size, b.size) + SINC_TAPS.size
    size = fft.next_fast_len(int(furthest), real=True)
    cross = fft.irfft(fft.rfft(a, size) * np.conj(fft.rfft(b, size)), size)
    scale = 1 / np.sqrt(np.where(enough, energies, np.inf))
    best = int(np.argmax(np.abs(cross[shifts % size]) * scale))
    # Two encodings of a take may lie a fraction of a sample apart: look between the samples too.
    around = cross[(shifts[best] + SINC_TAPS) % size]
    return float(min(1.0, np.abs(FRACTIONAL_SHIFTS @ around).max() * scale[best]))


def _segment(samples: Samples, anchor: int) -> tuple[Samples, int]:
    """Audio near the anchor without hum and DC, shape (samples,), and where it starts relative to the anchor."""
    start = max(0, anchor - SEGMENT_SAMPLES)
    segment = samples[start : anchor + SEGMENT_SAMPLES]
    clean = signal.sosfiltfilt(HUM_FILTER, segment, padlen=min(HUM_PAD_SAMPLES, segment.size - 1))
    return clean.astype(np.float32), start - anchor


def _energy(samples: Samples, start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.float64]:
    """Energy of samples[start:stop] for many ranges at once, shape (ranges,)."""
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    inside: NDArray[np.float64] = total[np.clip(stop, 0, samples.size)] - total[np.clip(start, 0, samples.size)]
    return inside
