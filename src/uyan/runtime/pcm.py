"""Raw PCM as clients send it → mono at 16 kHz as the detector takes it, chunk by chunk without a seam.

It knows nothing of the protocol that brought the bytes.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples
from uyan.errors import AudioError

RATES_HZ = 4_000, 192_000
MAX_CHANNELS = 8
WIDTHS_BYTES = 1, 2, 3, 4


@dataclass(frozen=True)
class PcmFormat:
    """Interleaved signed little-endian integers. Raises AudioError, in words, for what cannot be converted."""

    rate_hz: int
    width_bytes: int
    channels: int

    def __post_init__(self) -> None:
        if not RATES_HZ[0] <= self.rate_hz <= RATES_HZ[1]:
            raise AudioError(f"a rate of {self.rate_hz} Hz; from {RATES_HZ[0]} to {RATES_HZ[1]} Hz is converted")
        if self.width_bytes not in WIDTHS_BYTES:
            raise AudioError(f"samples of {self.width_bytes} bytes; integers of 1 to {WIDTHS_BYTES[-1]} are converted")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise AudioError(f"{self.channels} channels; 1 to {MAX_CHANNELS} are mixed")

    @property
    def frame_bytes(self) -> int:
        """One sample of every channel."""
        return self.width_bytes * self.channels

    def duration_s(self, pcm: bytes) -> float:
        """Seconds of audio in these bytes. Raises AudioError for a part of a sample."""
        if len(pcm) % self.frame_bytes:
            raise AudioError(f"{len(pcm)} bytes are no whole number of samples of {self.frame_bytes} bytes")
        return len(pcm) / self.frame_bytes / self.rate_hz


class PcmConverter:
    """One stream's conversion. Audio that needs none passes bit for bit."""

    def __init__(self, pcm_format: PcmFormat) -> None:
        self.format = pcm_format
        same_rate = pcm_format.rate_hz == SAMPLE_RATE
        self._resampler = None if same_rate else soxr.ResampleStream(pcm_format.rate_hz, SAMPLE_RATE, 1, "float32")

    def convert(self, pcm: bytes) -> NDArray[np.int16] | Samples:
        """The next whole samples, mono at 16 kHz, shape (samples,): int16 as it came, else float32 in [-1, 1)."""
        plain = self._resampler is None and (self.format.width_bytes, self.format.channels) == (2, 1)
        if plain:
            samples: NDArray[np.int16] = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
            return samples
        frames = _floats(pcm, self.format.width_bytes).reshape(-1, self.format.channels)
        mono: Samples = frames.mean(axis=1, dtype=np.float32)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        return mono

    def rest(self) -> Samples:
        """What the conversion of the rate still holds at the end of the stream, shape (samples,)."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        samples: Samples = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return samples


def _floats(pcm: bytes, width_bytes: int) -> Samples:
    """Integers of a width over their full scale, shape (values,).

    >>> _floats(bytes([0, 0, 64, 0, 0, 128]), 3).tolist()
    [0.5, -1.0]
    """
    if width_bytes == 3:  # as the upper three bytes of four
        widened = np.zeros((len(pcm) // 3, 4), np.uint8)
        widened[:, 1:] = np.frombuffer(pcm, np.uint8).reshape(-1, 3)
        pcm, width_bytes = widened.tobytes(), 4
    integers = np.frombuffer(pcm, f"<i{width_bytes}")
    return (integers / np.float64(2 ** (8 * width_bytes - 1))).astype(np.float32)
