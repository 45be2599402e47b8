"""When scores become a detection: voting, hysteresis and lockout (MISSION 6.2).

One rule in two forms that give the same answer: `Decision` takes one score at a time, as a stream delivers them;
`fire_indices` takes a whole score track, as calibration and evaluation need it for hundreds of thresholds. Time is
counted in hops. It knows nothing of audio or networks.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from uyan.errors import ConfigError

Scores = NDArray[np.float64]
"""One score in [0, 1] a hop, shape (hops,)."""

MAX_BALLOTS = 1000


@dataclass(frozen=True)
class DetectorConfig:
    """How scores are turned into detections."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    hop_s: float = 0.1
    """A score every this many seconds; a multiple of 0.02 s."""
    votes: int = 3
    """Scores at or above the threshold needed among the last `ballots`."""
    ballots: int = 5
    hysteresis: float = 0.1
    """After a detection the score must fall below threshold − hysteresis before another one; votes count from there."""
    lockout_s: float = 1.5
    """No second detection within this time of the first."""

    def __post_init__(self) -> None:
        if not 1 <= self.votes <= self.ballots <= MAX_BALLOTS:
            limits = f"1 <= votes <= ballots <= {MAX_BALLOTS}"
            raise ConfigError(f"detector: need {limits}, got {self.votes} of {self.ballots}")
        steps = self.hop_s / 0.02
        if not 0.5 < steps < math.inf or abs(steps - round(steps)) > 1e-6:
            raise ConfigError(f"detector.hop_s must be a multiple of 0.02 s, not {self.hop_s}")
        if not (0 <= self.hysteresis < math.inf and 0 <= self.lockout_s < math.inf):
            given = f"{self.hysteresis} and {self.lockout_s}"
            raise ConfigError(f"detector: hysteresis and lockout_s must be zero or positive numbers, not {given}")

    @property
    def lockout_hops(self) -> int:
        """Hops that must pass between two detections."""
        return max(1, round(self.lockout_s / self.hop_s))

    def rearm_below(self, threshold: float) -> float:
        """The off-threshold. Where threshold − hysteresis would be unreachable (≤ 0), half the threshold.

        >>> DetectorConfig().rearm_below(0.75), DetectorConfig().rearm_below(0.05)
        (0.65, 0.025)
        """
        lowered = threshold - self.hysteresis
        return lowered if lowered > 0 else threshold / 2


class Decision:
    """The rule for one stream, one score at a time."""

    def __init__(self, threshold: float, config: DetectorConfig) -> None:
        self.threshold = threshold
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget the stream: armed, no votes, no lockout."""
        self._recent: deque[float] = deque(maxlen=self.config.ballots)
        self._armed = True
        self._since_fire = self.config.lockout_hops

    def push(self, score: float) -> bool:
        """Take the next score; True when it completes a detection."""
        if not self._armed and score < self.config.rearm_below(self.threshold):
            # The votes so far belong to the last detection: without this, the end of a long word would fire again.
            self._recent.clear()
            self._armed = True
        self._recent.append(score)
        self._since_fire += 1
        if not self._armed or self._since_fire < self.config.lockout_hops:
            return False
        if sum(s >= self.threshold for s in self._recent) < self.config.votes:
            return False
        self._armed, self._since_fire = False, 0
        return True

    @property
    def peak(self) -> float:
        """The highest score among the ballots, reported with a detection."""
        return max(self._recent, default=0.0)


def fire_indices(
    scores: Scores, threshold: float, config: DetectorConfig, ballots: Scores | None = None
) -> NDArray[np.intp]:
    """The hops at which `Decision` fires on `scores` of shape (hops,), ascending.

    `ballots`, if at hand, are `ballot_scores` of the same scores: they do not depend on the threshold.

    >>> fire_indices(np.array([0.0, 0.9, 0.9, 0.9, 0.9]), 0.5, DetectorConfig()).tolist()
    [3]
    """
    votes = ballot_scores(scores, config) if ballots is None else ballots
    voted = np.flatnonzero(votes >= threshold)
    released = np.append(np.flatnonzero(scores < config.rearm_below(threshold)), scores.size)
    high = np.append(np.flatnonzero(scores >= threshold), np.full(config.votes, scores.size))
    # For every hop that carries the vote: were it to fire, which one could fire next? It needs enough votes since the
    # release; from that hop on, the ballots say the same with and without those from before.
    next_release = released[np.searchsorted(released[:-1], voted, side="right")]
    enough = high[np.searchsorted(high[: -config.votes], next_release) + config.votes - 1]
    following = np.searchsorted(voted, np.maximum(voted + config.lockout_hops, enough)).tolist()
    chosen: list[int] = []
    at = 0
    while at < voted.size:
        chosen.append(at)
        at = following[at]
    return voted[chosen]


def ballot_scores(scores: Scores, config: DetectorConfig) -> Scores:
    """The threshold up to which the vote at each hop passes, shape (hops,).

    It is the `votes`-th highest of the last `ballots` scores (fewer at the start; −inf where too few).

    >>> ballot_scores(np.array([0.1, 0.9, 0.8, 0.7]), DetectorConfig()).tolist()
    [-inf, -inf, 0.1, 0.7]
    """
    padded = np.concatenate([np.full(config.ballots, -np.inf), scores])
    ballots = np.lib.stride_tricks.sliding_window_view(padded, config.ballots)[1:]
    ranked: Scores = np.partition(ballots, config.ballots - config.votes, axis=1)
    return ranked[:, config.ballots - config.votes]
