"""Fingerprints: a few small vectors that find a recording's near-duplicates again among many.

A print is the log-mel patch around an energy peak, a unit vector. Peaks and patches shift with the audio and ignore
gain, as in audio fingerprinting (Wang 2003). It knows nothing of how prints are compared.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uyan.frontend import Features, FrontendConfig, seconds_to_frames

ANCHOR_RADIUS_FRAMES = seconds_to_frames(0.3)
"""An anchor is the loudest frame within this radius. A wider one has fewer anchors to lose to a trim."""
SMOOTHING_FRAMES = 21
ANCHOR_RANGE = 1e-4
"""Anchors more than 40 dB below the recording's loudest are left out."""
BANDS = 15
BLOCK_FRAMES = 3
PATCH_RADIUS_FRAMES = 24
PATCH_RANGE = 10**-2.5
"""Patches are floored 25 dB below their peak: lower, and a trimmed edge no longer looks like the pause it cut."""
DIMS = BANDS * 2 * PATCH_RADIUS_FRAMES // BLOCK_FRAMES


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a recording to find its duplicates."""

    anchors_frames: NDArray[np.int32]
    """Frames of the energy peaks, ascending, shape (anchors,)."""
    prints: NDArray[np.float16]
    """A unit vector for the patch around each anchor, shape (anchors, dims)."""


def fingerprint(features: Features) -> Fingerprint:
    """Anchors and prints of one recording, from log-mel features of shape (mels, frames).

    A silent recording has no anchor; any other has at least one.

    >>> fingerprint(np.full((64, 100), np.log(1e-6), np.float32)).prints.shape
    (0, 240)
    """
    mels = len(features)
    edges = np.linspace(mels // 16, mels, BANDS + 1).astype(int)  # the lowest 1/16 is where hum lives
    power = np.add.reduceat(np.exp(features), edges[:-1], axis=0)
    anchors = _anchors(power.sum(axis=0), (mels - edges[0]) * FrontendConfig().floor_power)
    padded = np.pad(power, ((0, 0), (PATCH_RADIUS_FRAMES, PATCH_RADIUS_FRAMES)))
    patches = padded[:, anchors[:, None] + np.arange(2 * PATCH_RADIUS_FRAMES)]
    blocks = patches.reshape(BANDS, anchors.size, DIMS // BANDS, BLOCK_FRAMES).mean(axis=-1).transpose(1, 0, 2)
    peak = blocks.max(axis=(1, 2), keepdims=True, initial=0.0)
    prints = np.log(np.maximum(blocks, peak * PATCH_RANGE)).reshape(anchors.size, DIMS)
    prints -= prints.mean(axis=1, keepdims=True)
    return Fingerprint(anchors.astype(np.int32), unit(prints).astype(np.float16))


def _anchors(power: NDArray[np.float32], silence_power: float) -> NDArray[np.intp]:
    """Frames of the peaks of smoothed power, of shape (frames,), that rise above silence."""
    window = np.hanning(SMOOTHING_FRAMES + 2)
    smooth = ndimage.convolve1d(power.astype(np.float64), window / window.sum(), mode="constant")
    peaks = smooth >= ndimage.maximum_filter1d(smooth, 2 * ANCHOR_RADIUS_FRAMES + 1, mode="constant")
    audible = smooth > max(1.5 * silence_power, ANCHOR_RANGE * smooth.max(initial=0.0))
    frames = np.flatnonzero(peaks & audible)
    return frames[np.diff(frames, prepend=-ANCHOR_RADIUS_FRAMES - 1) > ANCHOR_RADIUS_FRAMES]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(length, 1e-9)).astype(np.float32)
    return unit
