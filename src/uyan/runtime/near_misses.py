"""What is worth keeping of a stream: detections, and near misses, where the score rose without firing.

A rise begins where a word's score reaches a share of its threshold and is over once it has stayed below for a while.
One in which nothing fired is a near miss, at its highest score. It knows nothing of audio or files.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from uyan.errors import ConfigError
from uyan.runtime.listener import Heard, Score

QUIET_S = 0.5
"""A rise is over when its score has been lower for so long."""
LONGEST_S = 3.0
"""A rise that lasts without firing is reported in parts, while its audio is still at hand."""
REACH_S = LONGEST_S + QUIET_S
"""A near miss is known at the latest so long after its highest score, and one score more."""


@dataclass(frozen=True)
class Event:
    """A detection or a near miss."""

    label: str
    time_s: float
    """When the detector fired, or of the highest score."""
    score: float
    fired: bool


class NearMisses:
    """Events of one stream."""

    def __init__(self, thresholds: Mapping[str, float], share: float) -> None:
        """`share` of its threshold is what a word's score must reach. Raises ConfigError for one outside (0, 1]."""
        if not 0 < share <= 1:
            raise ConfigError(f"near misses begin at a share of the threshold above 0 and up to 1, not {share}")
        self._levels = {label: share * threshold for label, threshold in thresholds.items()}
        self._rises: dict[str, _Rise] = {}

    def push(self, heard: Heard) -> list[Event]:
        """Detections in what was heard, and near misses that are over by it."""
        events = [Event(each.label, each.time_s, each.score, fired=True) for each in heard.detections]
        fired = {each.label for each in heard.detections}
        for score in heard.scores:
            events += self._scored(score, score.label in fired)
        return events

    def flush(self) -> list[Event]:
        """Near misses that the end of the stream, or a cut, leaves unfinished."""
        events = [rise.near_miss for rise in self._rises.values() if not rise.fired]
        self._rises = {}
        return events

    def _scored(self, score: Score, fired: bool) -> list[Event]:
        rise = self._rises.get(score.label)
        high = score.value >= self._levels[score.label]
        over: list[Event] = []
        if rise and rise.is_over(score.time_s, high):
            over = [] if rise.fired else [rise.near_miss]
            rise = None
            del self._rises[score.label]
        if high and not rise:
            rise = self._rises[score.label] = _Rise(score)
        if rise:
            rise.add(score, high, fired)
        return over


class _Rise:
    """A stretch in which one word's score is near its threshold."""

    def __init__(self, first: Score) -> None:
        self._began_s = self._last_s = first.time_s
        self._top = first
        self.fired = False

    def is_over(self, time_s: float, high: bool) -> bool:
        """Whether a score at that time, high or not, comes after it."""
        long = not self.fired and time_s - self._began_s >= LONGEST_S
        return long or (not high and time_s - self._last_s >= QUIET_S)

    def add(self, score: Score, high: bool, fired: bool) -> None:
        """Take its next score."""
        if high:
            self._last_s = score.time_s
        if score.value > self._top.value:
            self._top = score
        self.fired = self.fired or fired

    @property
    def near_miss(self) -> Event:
        """At its highest score."""
        return Event(self._top.label, self._top.time_s, self._top.value, fired=False)
