"""Vocal-tract-length perturbation: new voices by a warp of the mel axis (Jaitly & Hinton 2013).

The resonances of a shorter vocal tract all lie higher by the same factor. Frequencies are scaled by that factor up to
a knee and, above it, along a straight line that leaves the top edge where it is; features are interpolated between mel
bands. The interpolation is linear in the features, so a warp is one matrix. It knows nothing of speech or of batches'
other augmentation.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from uyan.errors import ConfigError
from uyan.frontend import FrontendConfig

KNEE_SHARE = 0.6
"""Of the top edge: frequencies below are scaled in full. In the paper, 4.8 of 8 kHz."""
PRODUCT_LIMIT = 2**18
"""OpenBLAS wakes other threads for products of more multiplications: here that costs more than it saves."""


def warp_hz(frequency_hz: NDArray[np.float64], warp_percent: float, top_hz: float) -> NDArray[np.float64]:
    """Where frequencies, of any shape, go when a voice is warped by `warp_percent`.

    >>> warp_hz(np.array([1000.0, 3000.0, 7600.0]), 10.0, 7600.0).round(1).tolist()
    [1100.0, 3300.0, 7600.0]
    """
    knee_hz, warped_knee_hz = _knee_hz(warp_percent, top_hz)
    return np.interp(frequency_hz, [0.0, knee_hz, top_hz], [0.0, warped_knee_hz, top_hz])


def _knee_hz(warp_percent: float, top_hz: float) -> tuple[float, float]:
    """The knee before and after the warp; the higher of the two is at `KNEE_SHARE`."""
    scale = 1 + warp_percent / 100
    warped_hz = KNEE_SHARE * top_hz * min(scale, 1.0)
    return warped_hz / scale, warped_hz


def band_centres_hz(config: FrontendConfig) -> NDArray[np.float64]:
    """Centre frequencies of the front end's mel bands, shape (mels,)."""
    low_mel, high_mel = _mel(np.array([config.low_hz, config.high_hz])).tolist()
    edges_mel = np.linspace(low_mel, high_mel, config.mels + 2)
    centres_hz: NDArray[np.float64] = 700.0 * (10.0 ** (edges_mel[1:-1] / 2595.0) - 1.0)
    return centres_hz


def _mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The front end's (HTK) mel scale."""
    mels: NDArray[np.float64] = 2595.0 * np.log10(1.0 + frequency_hz / 700.0)
    return mels


def warp_matrix(config: FrontendConfig, warp_percent: float) -> NDArray[np.float32]:
    """The warp as a matrix, shape (mels, warped_mels): features of shape (frames, mels) times it are warped.

    A warped band hears what was at the frequency that the warp moves to its centre; beyond the outermost centres, what
    the outermost band heard.
    """
    centres_hz = band_centres_hz(config)
    knee_hz, warped_knee_hz = _knee_hz(warp_percent, config.high_hz)
    heard_hz = np.interp(centres_hz, [0.0, warped_knee_hz, config.high_hz], [0.0, knee_hz, config.high_hz])
    heard_mel, centres_mel = _mel(heard_hz), _mel(centres_hz)
    rows = [np.interp(heard_mel, centres_mel, only_this_band) for only_this_band in np.eye(config.mels)]
    return np.array(rows, np.float32)


@lru_cache(maxsize=8)
def warp_matrices(config: FrontendConfig, limit_percent: float) -> NDArray[np.float32]:
    """`warp_matrix` of every whole percent that draws within ±`limit_percent` round to, shape (warps, mels, mels)."""
    limit = round(limit_percent)
    return np.stack([warp_matrix(config, float(percent)) for percent in range(-limit, limit + 1)])


def warp_mels(
    batch: NDArray[np.float32], warp_percent: NDArray[np.floating], matrices: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features (batch, mels, frames) with each example warped by its `warp_percent`, shape (batch,).

    Warps are rounded to whole percents, for which `matrices` come from `warp_matrices`. The result lies in memory frame
    by frame, and is fastest from a batch that does. Raises ConfigError for a warp beyond the matrices.

    >>> steady = np.full((2, 64, 5), -3.0, np.float32)
    >>> warped = warp_mels(steady, np.array([-10.0, 15.0]), warp_matrices(FrontendConfig(), 15.0))
    >>> warped.shape, np.allclose(warped, steady)
    ((2, 64, 5), True)
    """
    limit = len(matrices) // 2
    chosen = np.rint(warp_percent).astype(np.intp) + limit
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(matrices):
        raise ConfigError(f"a warp of {np.abs(warp_percent).max():g} % is beyond the matrices, made up to {limit} %")
    _, mels, frames = batch.shape
    by_frame, own = batch.swapaxes(1, 2), matrices[chosen]
    warped = np.empty(by_frame.shape, np.float32)
    rows = max(1, (PRODUCT_LIMIT - 1) // mels**2)
    for start in range(0, frames, rows):
        piece = slice(start, start + rows)
        np.matmul(by_frame[:, piece], own, out=warped[:, piece])
    return warped.swapaxes(1, 2)
