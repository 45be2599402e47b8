"""Events at many thresholds on one score track: the answers of `fire_indices`, the work of them shared.

A strict threshold concerns few hops of a long track. With the scores sorted once, only those hops are looked at, and
thresholds that no score and no vote lies between have one answer. It knows nothing of recordings.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from uyan.decision import DetectorConfig, Scores

Hops = NDArray[np.intp]

FEW = 1 / 16
"""Up to this share of the hops are taken from the sorted ones; from there on it is quicker to look at every hop."""


class AlarmCounter:
    """Counts what the detector does on one track, at any threshold."""

    def __init__(self, scores: Scores, ballots: Scores, config: DetectorConfig) -> None:
        """`scores` and their `ballot_scores`, both of shape (hops,)."""
        self._scores, self._ballots = _Sorted(scores), _Sorted(ballots)
        self._config = config
        self._hops = scores.size
        self._known: dict[tuple[int, int, int], int] = {}

    def counts(self, thresholds: Iterable[float]) -> NDArray[np.int64]:
        """Events at each threshold, shape (thresholds,).

        >>> counter = AlarmCounter(np.array([0.1, 0.9, 0.2, 0.7]), np.array([0.1, 0.9, 0.2, 0.7]), _EVERY_SCORE)
        >>> counter.counts([0.15, 0.5, 0.8, 1.0]).tolist()
        [1, 2, 1, 0]
        """
        return np.array([self.count(threshold) for threshold in thresholds], np.int64)

    def count(self, threshold: float) -> int:
        """Events at one threshold."""
        voted = self._ballots.at_or_above(threshold)
        if not voted:
            return 0
        held = self._scores.at_or_above(self._config.rearm_below(threshold))
        high = self._scores.at_or_above(threshold)
        key = voted, held, high
        if key not in self._known:
            hops = self._ballots.hops(voted, threshold)
            following = self._following(hops, self._held(held, threshold), self._scores.hops(high, threshold))
            self._known[key] = _steps(following.tolist())
        return self._known[key]

    def _held(self, count: int, threshold: float) -> Hops:
        return self._scores.hops(count, self._config.rearm_below(threshold))

    def _following(self, voted: Hops, held: Hops, high: Hops) -> Hops:
        """For each hop that carries the vote: were it to fire, the place in `voted` of the one to fire next.

        As in `fire_indices`: that one comes after the lockout and needs enough votes since the release, which is the
        first hop after it that is not in `held`.
        """
        released = voted + 1
        if held.size:
            last_of_run = np.append(np.flatnonzero(np.diff(held) > 1), held.size - 1)
            at = np.minimum(np.searchsorted(held, released), held.size - 1)
            run_ends = held[last_of_run] + 1
            released = np.where(held[at] == released, run_ends[np.searchsorted(last_of_run, at)], released)
        votes = self._config.votes
        high_then_end = np.append(high, np.full(votes, self._hops))
        enough = high_then_end[np.searchsorted(high, released) + votes - 1]
        found: Hops = np.searchsorted(voted, np.maximum(voted + self._config.lockout_hops, enough))
        return found


class _Sorted:
    """Values of a track, and where the highest of them are."""

    def __init__(self, values: Scores) -> None:
        self._values = values
        # Half as wide as an index: these are sorted again and again.
        self._order = np.argsort(values).astype(np.uint32)
        self._ascending: list[float] = values[self._order].tolist()

    def at_or_above(self, threshold: float) -> int:
        """How many there are."""
        return len(self._ascending) - bisect_left(self._ascending, threshold)

    def hops(self, count: int, threshold: float) -> Hops:
        """Where these are, ascending, shape (count,)."""
        if count > FEW * self._values.size:
            return np.flatnonzero(self._values >= threshold)
        return np.sort(self._order[self._values.size - count :]).astype(np.intp)


def _steps(following: Sequence[int]) -> int:
    """How many steps lead from the first place past the last."""
    steps = at = 0
    while at < len(following):
        at = following[at]
        steps += 1
    return steps


_EVERY_SCORE = DetectorConfig(votes=1, ballots=1, lockout_s=0.0)
