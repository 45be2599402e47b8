"""From events to figures, by one rule for every engine: hits, false alarms, miss rate at a target FAH.

A keyword is hit when an event falls between its start and 1.5 s after its end; one event hits one keyword, and every
other event is a false alarm, a second one at the same keyword too. Thresholds are chosen on the stream itself, as the
vendor's benchmark does: these figures compare engines, they promise nothing. It knows nothing of processes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.peers.runs import Run
from uyan.decision import DetectorConfig, Scores, ballot_scores, fire_indices
from uyan.errors import EvaluationError
from uyan.evaluation.calibration import threshold_grid
from uyan.evaluation.intervals import Interval, poisson_rate
from uyan.evaluation.metrics import EventCurve, MissRateAtFah, miss_rate_at_fah

TAIL_S = 1.5
"""A detection up to this long after the keyword's end still counts."""
LOCKOUT_S = 1.5
"""For engines that have none of their own: no second event within this time of the first."""
TARGETS_FAH = (0.1, 0.5)
LOWEST_FAH_TO_STOP = 20.0
"""Thresholds below one with more false alarms per hour are not looked at: no target is that high."""

Times = NDArray[np.float64]
"""Events, seconds from the start of the stream, ascending, shape (events,)."""
Span = tuple[float, float]


@dataclass(frozen=True)
class Tally:
    """What the events of one threshold amount to."""

    hits: int
    false_alarms: int


@dataclass(frozen=True)
class AtTarget:
    """The miss rate at a target FAH, and whether the hours can show such a rate at all."""

    rate: MissRateAtFah
    supported: bool


@dataclass(frozen=True)
class AsShipped:
    """What a user gets at the threshold that the engine comes with."""

    threshold: float
    hits: int
    keywords: int
    """0 where the stream holds none for the model: its events are false alarms all the same."""
    false_alarms: int
    fah: float
    fah_interval: Interval


def tally(events_s: Iterable[float], keywords_s: Sequence[Span], tail_s: float = TAIL_S) -> Tally:
    """Count events against keywords of (start, end), both in order; of two open windows the earlier takes the event.

    >>> tally([1.2, 1.4, 4.0, 9.0], [(1.0, 2.0), (3.0, 3.5), (20.0, 21.0)])
    Tally(hits=2, false_alarms=2)
    """
    unhit = list(keywords_s)
    hits = alarms = 0
    for event_s in events_s:
        while unhit and unhit[0][1] + tail_s < event_s:
            del unhit[0]
        if unhit and unhit[0][0] <= event_s:
            hits += 1
            del unhit[0]
        else:
            alarms += 1
    return Tally(hits, alarms)


def locked_out(times_s: Times, lockout_s: float = LOCKOUT_S) -> Times:
    """The events left when each silences those less than `lockout_s` after it, shape (events,).

    >>> locked_out(np.array([0.0, 1.0, 1.5, 2.9, 3.0])).tolist()
    [0.0, 1.5, 3.0]
    """
    kept: list[int] = []
    at = 0
    while at < times_s.size:
        kept.append(at)
        at = max(at + 1, int(np.searchsorted(times_s, times_s[at] + lockout_s)))
    return times_s[kept]


def events_at(run: Run, threshold: float, decision: DetectorConfig | None, ballots: Scores | None = None) -> Times:
    """Events of a score track at one threshold: by uyan's rule, or wherever the score reaches it, with the lock-out.

    `ballots`, if at hand, are `ballot_scores` of the track.
    """
    if decision is None:
        return locked_out(run.times_s[run.scores >= threshold])
    return run.times_s[fire_indices(run.scores, threshold, decision, ballots)]


def curve_of(
    runs: Sequence[Run], decision: DetectorConfig | None, keywords_s: Sequence[Span], hours: float
) -> EventCurve:
    """Hits and false alarms at every threshold that matters, strictest first until there are too many alarms.

    A score track is swept over all its highest scores; several runs are one threshold each. Raises EvaluationError when
    there is no score at all.
    """
    tallies: dict[float, Tally] = {}
    for threshold, events_s in _strictest_first(runs, decision):
        tallies[threshold] = tally(events_s.tolist(), keywords_s)
        if tallies[threshold].false_alarms / hours > LOWEST_FAH_TO_STOP:
            break
    ascending = sorted(tallies)
    return EventCurve(
        np.array(ascending),
        np.array([tallies[threshold].hits for threshold in ascending], np.int64),
        np.array([tallies[threshold].false_alarms for threshold in ascending], np.int64),
        len(keywords_s),
        hours,
    )


def at_targets(curve: EventCurve, distinct_hours: float) -> dict[str, AtTarget]:
    """MR@FAH at every target, by its name.

    `supported` asks of the hours what no detector can give: without one false alarm, would the 95 % bound be at the
    target? Repeated audio does not count.
    """
    least = poisson_rate(0, distinct_hours).high
    return {f"{fah:g}": AtTarget(miss_rate_at_fah(curve, fah), least <= fah) for fah in TARGETS_FAH}


def as_shipped(
    runs: Sequence[Run], threshold: float, decision: DetectorConfig | None, keywords_s: Sequence[Span], hours: float
) -> AsShipped:
    """Counts at one threshold. Raises EvaluationError when the runs were at others."""
    run = next((run for run in runs if run.threshold in (None, threshold)), None)
    if run is None:
        raise EvaluationError(f"no run at threshold {threshold:g}, only at {[run.threshold for run in runs]}")
    events_s = events_at(run, threshold, decision) if run.threshold is None else locked_out(run.times_s)
    found = tally(events_s.tolist(), keywords_s)
    interval = poisson_rate(found.false_alarms, hours)
    rate = found.false_alarms / hours
    return AsShipped(threshold, found.hits, len(keywords_s), found.false_alarms, rate, interval)


def _strictest_first(runs: Sequence[Run], decision: DetectorConfig | None) -> Iterable[tuple[float, Times]]:
    if runs[0].threshold is not None:
        for run in sorted(runs, key=lambda run: run.threshold or 0.0, reverse=True):
            yield run.threshold or 0.0, locked_out(run.times_s)
        return
    (run,) = runs
    if not run.scores.size:
        raise EvaluationError("the engine gave no score; the stream is shorter than its window")
    ballots = run.scores if decision is None else ballot_scores(run.scores, decision)
    for threshold in threshold_grid(ballots[np.isfinite(ballots)])[::-1].tolist():
        yield threshold, events_at(run, threshold, decision, ballots)
