"""Adding up what a network says of negative recordings: seconds by score, and windows it takes for the keyword.

Greedy non-maximum suppression keeps the best window within one window length (as object detectors do, Neubeck and Van
Gool 2006). In constant memory, however long a recording is. It knows nothing of networks or of where margins come from.
"""

import numpy as np
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.data.pool import HardNegative, Scan, is_variant, rank
from uyan.frontend import sample_end, seconds_to_frames
from uyan.model.network import STRIDE
from uyan.training.config import MiningConfig
from uyan.training.dense import Margins, ScanSource

HISTOGRAM_BINS = 20
SECOND_POSITIONS = seconds_to_frames(1.0) // STRIDE
"""Windows that start within one second; pieces hold whole seconds of them."""
UNDECIDED_WINDOWS = 30_000
"""Ten minutes of nothing but alarms are deduplicated without waiting for their end, to bound memory."""

Found = tuple[float, int]
"""Negated score and first frame of a window: the best sort first."""


def keyword_scores(margins: NDArray[np.float32]) -> NDArray[np.float64]:
    """The score of each margin, any shape, at temperature 1; in float64 so that scores near 1 stay apart.

    >>> keyword_scores(np.array([0.0], np.float32)).tolist()
    [0.5]
    """
    scores: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -margins.astype(np.float64)))
    return scores


class Peaks:
    """Windows of one recording above a threshold, deduplicated as they come.

    A window stays when it scores above all others that start less than one window before or after it and stay; of equal
    scores the earlier. Decided wherever no alarm for one window length separates what is known from what will come.
    """

    def __init__(self, threshold: float, window_frames: int) -> None:
        self.threshold = threshold
        self.window_frames = window_frames
        self.reset()

    def reset(self) -> None:
        """Begin another recording."""
        self._starts = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float64)
        self._clear: int | None = None

    def push(self, first: int, scores: NDArray[np.float64]) -> list[Found]:
        """Windows decided by `scores` (positions,), of windows from frame `first` on."""
        above = np.flatnonzero(scores > self.threshold)
        if not above.size and not self._starts.size:
            return []
        self._starts = np.concatenate([self._starts, first + STRIDE * above])
        self._scores = np.concatenate([self._scores, scores[above]])
        distances = np.diff(np.append(self._starts, first + STRIDE * scores.size))
        apart = np.flatnonzero(distances >= self.window_frames)
        decided = int(apart[-1]) + 1 if apart.size else 0
        waiting = self._starts.size - decided
        return self._decide(decided if waiting <= UNDECIDED_WINDOWS else self._starts.size)

    def finish(self) -> list[Found]:
        """The rest of the recording's windows; ready for another one."""
        rest = self._decide(self._starts.size) if self._starts.size else []
        self.reset()
        return rest

    def _decide(self, count: int) -> list[Found]:
        starts, scores = self._starts[:count], self._scores[:count]
        self._starts, self._scores = self._starts[count:], self._scores[count:]
        blocked = np.zeros(count, np.bool_) if self._clear is None else starts < self._clear
        kept: list[Found] = []
        for place in np.lexsort((starts, -scores)).tolist():
            if not blocked[place]:
                start = int(starts[place])
                near = np.searchsorted(starts, [start - self.window_frames + 1, start + self.window_frames])
                blocked[near[0] : near[1]] = True
                kept.append((-float(scores[place]), start))
        if kept:
            self._clear = max(start for _, start in kept) + self.window_frames
        return kept


class Tally:
    """Adds up a scan, recording by recording; keeps the best windows only."""

    def __init__(self, config: MiningConfig, window_frames: int, number: int, model: str) -> None:
        self.most = config.max_windows
        self.number = number
        self.model = model
        self.peaks = Peaks(config.threshold, window_frames)
        self.histogram = np.zeros(HISTOGRAM_BINS, np.int64)
        self.scanned_s = self.variants_s = 0.0
        self.found = self.passed = self.variants = 0
        self.keys: list[str] = []
        self._here: list[Found] = []
        self._best: list[HardNegative] = []

    def take(self, margins: Margins) -> None:
        """The next piece of a recording."""
        scores = keyword_scores(margins.values)
        highest = np.maximum.reduceat(scores, np.arange(0, scores.size, SECOND_POSITIONS))
        bins = np.minimum((highest * HISTOGRAM_BINS).astype(np.int64), HISTOGRAM_BINS - 1)
        self.histogram += np.bincount(bins, minlength=HISTOGRAM_BINS)
        self._add(self.peaks.push(margins.first, scores))
        if margins.total is not None:
            self._add(self.peaks.finish())
            self._end(margins.source, margins.total)

    def _add(self, found: list[Found]) -> None:
        self.found += len(found)
        self._here += found
        if len(self._here) > 2 * self.most:
            self._here = sorted(self._here)[: self.most]

    def _end(self, source: ScanSource, frames: int) -> None:
        self.passed += 1
        self.keys.append(source.key)
        seconds = sample_end(frames - 1) / SAMPLE_RATE
        if is_variant(source.path):
            self.variants += 1
            self.variants_s += seconds
        else:
            self.scanned_s += seconds
        for negated, start in sorted(self._here)[: self.most]:
            self._best.append(HardNegative(source.key, start, source.path, -negated, self.number, self.model))
        self._here = []
        if len(self._best) > 2 * self.most:
            self._best = sorted(self._best, key=rank)[: self.most]

    def scan(self) -> Scan:
        """All of it."""
        windows = tuple(sorted(self._best, key=rank)[: self.most])
        bins = tuple(self.histogram.tolist())
        recordings = self.passed - self.variants
        return Scan(windows, self.found, self.scanned_s, self.variants_s, recordings, bins, self.number, self.model)
