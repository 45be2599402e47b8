"""Where in its clip a word is spoken, from the energy of its log-mel frames.

Clips are not assumed to be centred or trimmed: the word is the loudest stretch that stands clear of the clip's own
background, bridging the short gaps inside a word. It knows nothing of what the word is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uyan.data.augment import LN_POWER_PER_DB
from uyan.frontend import seconds_to_frames

SPEECH_MELS = slice(6, 52)
"""About 200 Hz to 4.8 kHz: where voices are and mains hum or hiss is not."""
GAP_FRAMES = seconds_to_frames(0.18)
"""Closures of plosives and short pauses inside a phrase."""
SMOOTHING_FRAMES = seconds_to_frames(0.05)
RANGE_SHARE = 0.35
"""A frame is active when it lies above the background by this share of the clip's dynamic range."""
MAX_DROP = 25 * LN_POWER_PER_DB
"""Frames more than 25 dB under the peak are never the word."""


@dataclass(frozen=True, slots=True)
class Span:
    """Frames [start, end) of a clip."""

    start: int
    end: int

    @property
    def frames(self) -> int:
        """Length."""
        return self.end - self.start


def locate_word(features: NDArray[np.floating]) -> Span:
    """The span of the word in a clip's features of shape (mels, frames).

    >>> clip = np.full((64, 100), -13.0); clip[:, 30:70] = 0.0
    >>> locate_word(clip)
    Span(start=30, end=70)
    """
    energy = _smoothed(features[SPEECH_MELS].astype(np.float64).mean(axis=0))
    peak, background = float(energy.max()), float(np.percentile(energy, 10))
    limit = max(background + RANGE_SHARE * (peak - background), peak - MAX_DROP)
    runs = _bridged_runs(energy >= limit)
    if not runs:
        return Span(0, features.shape[1])
    return max(runs, key=lambda run: float((energy[run.start : run.end] - limit).sum()))


def _smoothed(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    half = SMOOTHING_FRAMES // 2
    padded = np.pad(energy, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    median: NDArray[np.float64] = np.median(windows, axis=1)
    return median


def _bridged_runs(active: NDArray[np.bool_]) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    runs: list[Span] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if runs and start - runs[-1].end <= GAP_FRAMES:
            runs[-1] = Span(runs[-1].start, end)
        else:
            runs.append(Span(start, end))
    return runs
