"""The front end: 16 kHz samples to 64 log-mel features, for training and for every runtime alike.

25 ms Hann windows every 10 ms, float32 power spectrum by FFT, 64 triangular mel filters, natural log above a
fixed floor (MISSION 7.1, ARCHITECTURE decision 1). No padding and no per-clip normalisation, so that a stream
gives the features of the whole file. It knows nothing of files, labels or networks.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from uyan.audio import FRAME_SAMPLES as FRAME_SAMPLES
from uyan.audio import SAMPLE_RATE, Samples
from uyan.errors import BundleError, ConfigError

HOP_SAMPLES = 160
"""10 ms at 16 kHz: one frame is this many samples after the one before."""
HOP_S = HOP_SAMPLES / SAMPLE_RATE
FFT_SAMPLES = 512
FFT_BINS = FFT_SAMPLES // 2 + 1
BLOCK_FRAMES = 300
"""Frames transformed at once: a clip of 3 s in one block, a working set of 2 MB for a recording of any length."""
PRODUCT_FRAMES = 20
"""Frames multiplied with the filters at once, whatever their number, so that no chunking changes a bit."""
BAND_MELS = 16
"""Filters are applied a band at a time: each band reads few FFT bins, and 20 × 16 × bins stays below the 2^18
multiplications above which OpenBLAS wakes other threads, which costs ten times more than it saves here."""

Features = NDArray[np.float32]
"""Log-mel features, shape (mels, frames)."""


@dataclass(frozen=True)
class FrontendConfig:
    """What changes the features. Its hash names cache entries and guards bundles."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    mels: int = 64
    """Mel filters between `low_hz` and `high_hz`."""
    low_hz: float = 60.0
    high_hz: float = 7600.0
    floor_power: float = 1e-6
    """Added to the mel power before the log: about the level of a quiet room's hiss."""

    def __post_init__(self) -> None:
        if not 0 <= self.low_hz < self.high_hz <= SAMPLE_RATE / 2:
            raise ConfigError(f"frontend: need 0 <= low_hz < high_hz <= {SAMPLE_RATE // 2}, got {self}")
        if self.mels < 1 or not 0 < self.floor_power < math.inf:
            raise ConfigError(f"frontend: mels and floor_power must be positive, got {self}")

    def digest(self) -> str:
        """16 hex digits over every field and constant that shapes the features."""
        # 60 and 60.0 Hz are the same front end, here and in JSON.
        chosen = {name: value if name == "mels" else float(value) for name, value in asdict(self).items()}
        fields = {**chosen, "frame": FRAME_SAMPLES, "hop": HOP_SAMPLES, "fft": FFT_SAMPLES, "v": 1}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def frame_count(samples: int) -> int:
    """Whole frames in that many samples.

    >>> frame_count(399), frame_count(400), frame_count(560)
    (0, 1, 2)
    """
    return 0 if samples < FRAME_SAMPLES else 1 + (samples - FRAME_SAMPLES) // HOP_SAMPLES


def sample_end(frame: int) -> int:
    """The sample just after frame number `frame` (0-based): when that frame is complete.

    >>> sample_end(0), sample_end(1)
    (400, 560)
    """
    return frame * HOP_SAMPLES + FRAME_SAMPLES


def seconds_to_frames(seconds: float) -> int:
    """Nearest number of hops.

    >>> seconds_to_frames(1.0)
    100
    """
    return round(seconds / HOP_S)


def log_mel(samples: Samples, config: FrontendConfig) -> Features:
    """Features of a whole buffer, shape (mels, frames), float32; samples of shape (samples,)."""
    frames = frame_count(samples.size)
    features = np.empty((frames, config.mels), np.float32)
    if not frames:
        return features.T
    # `sliding_window_view` checks more than a stream's ten frames take to transform.
    strides = (HOP_SAMPLES * samples.strides[0], samples.strides[0])
    framed = np.lib.stride_tricks.as_strided(samples, (frames, FRAME_SAMPLES), strides, writeable=False)
    hann, bands = hann_window(), _bands(config)
    # Buffers are reused from block to block: fresh ones cost more in page faults than the transform itself.
    rows = min(-(-frames // PRODUCT_FRAMES) * PRODUCT_FRAMES, BLOCK_FRAMES)
    padded = np.zeros((rows, FFT_SAMPLES), np.float32)
    spectrum = np.empty((rows, FFT_BINS), np.complex64)
    power, imaginary = np.zeros((2, rows, FFT_BINS), np.float32)
    mels = np.empty((rows // PRODUCT_FRAMES, PRODUCT_FRAMES, config.mels), np.float32)
    for start in range(0, frames, BLOCK_FRAMES):
        n = min(BLOCK_FRAMES, frames - start)
        # A product row by row; `np.multiply` takes a third longer here and gives the same bits.
        np.einsum("ij,j->ij", framed[start : start + n], hann, out=padded[:n, :FRAME_SAMPLES])
        np.fft.rfft(padded[:n], out=spectrum[:n])  # type: ignore[arg-type]  # numpy 2.4 stubs say complex128
        np.square(spectrum[:n].real, out=power[:n])
        np.square(spectrum[:n].imag, out=imaginary[:n])
        power[:n] += imaginary[:n]
        pieces = power.reshape(-1, PRODUCT_FRAMES, FFT_BINS)
        for outputs, bins, weights in bands:
            np.matmul(pieces[..., bins], weights, out=mels[..., outputs])
        mels += np.float32(config.floor_power)
        np.log(mels.reshape(rows, -1)[:n], out=features[start : start + n])
    return features.T


@lru_cache(maxsize=1)
def hann_window() -> NDArray[np.float32]:
    """The window, periodic, shape (frame samples,)."""
    phase = 2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@lru_cache(maxsize=8)
def mel_filters(config: FrontendConfig) -> NDArray[np.float32]:
    """Triangular filters with unit peak, evenly spaced in mel (HTK scale), shape (fft_bins, mels)."""
    edges_mel = np.linspace(_hz_to_mel(config.low_hz), _hz_to_mel(config.high_hz), config.mels + 2)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins_hz = np.arange(FFT_BINS) * (SAMPLE_RATE / FFT_SAMPLES)
    lower, centre, upper = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz[:, None] - lower) / (centre - lower)
    falling = (upper - bins_hz[:, None]) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    # The lowest filters are narrower than an FFT bin and may fall between two: give those the nearest bin.
    empty = np.flatnonzero(triangles.sum(axis=0) == 0)
    triangles[np.abs(bins_hz[:, None] - centre[empty]).argmin(axis=0), empty] = 1.0
    return triangles.astype(np.float32)


@lru_cache(maxsize=8)
def _bands(config: FrontendConfig) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    """`mel_filters` cut into bands: which mels, from which bins, with which weights (bins, mels)."""
    filters = mel_filters(config)
    bands = []
    for first in range(0, config.mels, BAND_MELS):
        outputs = slice(first, min(first + BAND_MELS, config.mels))
        used = np.flatnonzero(filters[:, outputs].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((outputs, bins, np.ascontiguousarray(filters[bins, outputs])))
    return bands


def _hz_to_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


class StreamingFrontend:
    """`log_mel` over a stream: feed chunks of any size, get each frame once, as soon as it is complete and wanted."""

    def __init__(self, config: FrontendConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._waiting: list[Samples] = []
        self._waiting_samples = 0

    def push(self, samples: Samples, at_least: int = 1) -> Features:
        """New frames, shape (mels, new_frames), or none of them while they are fewer than `at_least`.

        Leftover samples wait for the next chunk. Ten frames at once cost little more than one.
        """
        self._waiting_samples += samples.size
        if frame_count(self._waiting_samples) < at_least:
            self._waiting.append(samples.copy())
            return np.empty((self.config.mels, 0), np.float32)
        joined = np.concatenate([*self._waiting, samples]) if self._waiting else samples
        features = log_mel(joined, self.config)
        rest = joined[features.shape[1] * HOP_SAMPLES :].copy()
        self._waiting, self._waiting_samples = [rest], rest.size
        return features


@dataclass(frozen=True)
class Cmvn:
    """Cepstral-style mean and variance normalisation: one mean and variance per mel bin (MISSION 1.1).

    Computed over the training split only, saved as `stats.json`, folded into the exported network.
    """

    frames: int
    """Frames the statistics were taken over."""
    mean: tuple[float, ...]
    """Per mel bin, natural-log power."""
    variance: tuple[float, ...]
    """Per mel bin, population variance."""
    frontend: str
    """`FrontendConfig.digest()` of the features."""

    @classmethod
    def of(cls, features: NDArray[np.floating], config: FrontendConfig) -> "Cmvn":
        """Statistics of one recording; features of shape (mels, frames)."""
        wide = features.astype(np.float64)
        mean, variance = wide.mean(axis=1), wide.var(axis=1)
        return cls(wide.shape[1], tuple(mean.tolist()), tuple(variance.tolist()), config.digest())

    @classmethod
    def merge(cls, parts: Iterable["Cmvn"]) -> "Cmvn":
        """Statistics of all parts together (Chan et al. 1979); the order changes only rounding."""
        total: Cmvn | None = None
        for part in parts:
            total = part if total is None else total._plus(part)
        if total is None:
            raise ConfigError("cmvn: no features to take statistics of; the training split is empty")
        return total

    def _plus(self, other: "Cmvn") -> "Cmvn":
        if self.frontend != other.frontend:
            raise ConfigError(f"cmvn: features of two front ends, {self.frontend} and {other.frontend}")
        n = self.frames + other.frames
        mean_a, mean_b = np.array(self.mean), np.array(other.mean)
        delta = mean_b - mean_a
        mean = mean_a + delta * (other.frames / n)
        moment = np.array(self.variance) * self.frames + np.array(other.variance) * other.frames
        variance = (moment + delta**2 * (self.frames * other.frames / n)) / n
        return Cmvn(n, tuple(mean.tolist()), tuple(variance.tolist()), self.frontend)

    def save(self, path: Path) -> None:
        """Write `stats.json`."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def from_json(cls, text: str) -> "Cmvn":
        """The inverse of `save`. Raises BundleError when a field is missing or of another type."""
        try:
            raw = json.loads(text)
            mean, variance = (tuple(float(v) for v in raw[key]) for key in ("mean", "variance"))
            stats = cls(int(raw["frames"]), mean, variance, str(raw["frontend"]))
        except (ValueError, KeyError, TypeError, OverflowError) as reason:
            raise BundleError(f"stats.json: not CMVN statistics ({reason!r})") from reason
        sound = np.isfinite([*mean, *variance]).all() and min(variance, default=-1.0) >= 0 and stats.frames > 0
        if not sound or len(mean) != len(variance):
            raise BundleError("stats.json: not CMVN statistics (a value is out of range, or one is missing)")
        return stats
