"""One figure from K folds: every recording judged by the one model that has not heard its speaker (MISSION 5.1).

Two answers. At a common threshold: scores are calibrated probabilities, so that one threshold can be laid over all
folds' models, and misses and alarms of all test splits together make one curve. As shipped: each fold at the threshold
that its own validation split chose; `fold_by_fold` has a third. It knows nothing of runs or files.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import not_
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.decision import DetectorConfig
from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval, clopper_pearson, poisson_rate, speaker_bootstrap
from uyan.evaluation.metrics import EventCurve, MissRateAtFah, miss_rate_at_fah
from uyan.evaluation.scores import Part, ScoreTrack, event_curves, false_alarm_hops, missed
from uyan.evaluation.track_file import TrackSet

POOLED_FAH = (0.5, 0.1)
BOOTSTRAP_SEED = 42

PerSpeaker = dict[str, tuple[int, int]]
"""speaker_id → misses, positives."""


class Counted(NamedTuple):
    """Takes that stand in a fold already."""

    positives: set[str]
    negatives: set[str]


class Skipped(NamedTuple):
    """Recordings that stand in the test split of more than one fold, left out of all but the first."""

    positives: int
    negatives: int


@dataclass(frozen=True)
class Pool:
    """Every fold's test tracks, each recording once."""

    keyword: str
    detector: DetectorConfig
    folds: tuple[TrackSet, ...]
    skipped: Skipped

    @property
    def hours(self) -> float:
        """Of negatives."""
        return sum(fold_hours(fold) for fold in self.folds)


@dataclass(frozen=True)
class AtFah:
    """The pooled curve at a target FAH."""

    point: MissRateAtFah
    speaker_interval: Interval
    events_allowed: int
    """As many alarms as the target grants in the pooled hours."""
    supported: bool
    """False: even without one alarm the 95 % bound of the hours exceeds the target."""
    per_speaker: PerSpeaker


@dataclass(frozen=True)
class FoldMisses:
    """The sum over folds, each at a threshold of its own."""

    misses: int
    positives: int
    miss_rate: float
    miss_interval: Interval
    speaker_interval: Interval
    per_speaker: PerSpeaker


@dataclass(frozen=True)
class AsShipped(FoldMisses):
    """Each fold at the threshold it ships with."""

    fold_miss_rates: tuple[float, ...]
    mean: float
    """Of the folds' miss rates, each fold counting the same."""
    spread: float
    """Their standard deviation."""


@dataclass(frozen=True)
class PooledCondition:
    """One condition."""

    curve: EventCurve
    at_fah: dict[float, AtFah]
    shipped: AsShipped


@dataclass(frozen=True)
class PooledAlarms:
    """Alarms as shipped: the sum over folds, each at its own threshold."""

    events: int
    hours: float
    fah: float
    fah_interval: Interval
    fold_events: tuple[int, ...]
    fold_hours: tuple[float, ...]


def pool(folds: Sequence[TrackSet]) -> Pool:
    """Put the folds together, each recording once.

    A recording stands in one fold's test split. Where speakers are few, a split that would be empty gets one who
    belongs elsewhere: such a recording counts in the first fold that has it, and so does a take that another speaker's
    recording repeats. Conditions that a fold lacks are left out. Raises EvaluationError when the folds are of different
    detectors, or overlap otherwise.
    """
    conditions = _common_conditions(folds)
    _require_disjoint(folds)
    counted = Counted(set(), set())
    skipped = Skipped(0, 0)
    pooled = []
    for fold in folds:
        repeated = [any(p.take in counted.positives for p in t.parts) for t in fold.conditions[conditions[0]]]
        kept = {name: list(itertools.compress(fold.conditions[name], map(not_, repeated))) for name in conditions}
        heard = [_without(track, counted.negatives) for track in fold.negatives]
        pooled.append(replace(fold, conditions=kept, negatives=[track for track in heard if track.material_s]))
        again = sum(part.take in counted.negatives for track in fold.negatives for part in track.parts)
        skipped = Skipped(skipped.positives + sum(repeated), skipped.negatives + again)
        counted.positives.update(part.take for track in fold.conditions[conditions[0]] for part in track.parts)
        counted.negatives.update(part.take for track in fold.negatives for part in track.parts)
    return Pool(folds[0].keyword, folds[0].detector, tuple(pooled), skipped)


def pooled_conditions(pooled: Pool, targets: Sequence[float] = POOLED_FAH) -> dict[str, PooledCondition]:
    """Each condition at the target FAHs of the pooled curve, and as shipped."""
    every = {name: [t for fold in pooled.folds for t in fold.conditions[name]] for name in pooled.folds[0].conditions}
    negatives = [track for fold in pooled.folds for track in fold.negatives]
    curves = event_curves(every.values(), negatives, pooled.detector)
    found = {}
    for (name, positives), curve in zip(every.items(), curves, strict=True):
        at_fah = {target: _at_fah(curve, target, positives, pooled.detector) for target in targets}
        found[name] = PooledCondition(curve, at_fah, _as_shipped(pooled, name))
    return found


def pooled_alarms(pooled: Pool) -> PooledAlarms:
    """What the folds' detectors fire at, at their own thresholds."""
    events = alarms_at(pooled, [fold.threshold for fold in pooled.folds])
    hours, count = pooled.hours, sum(events)
    interval = poisson_rate(count, hours)
    return PooledAlarms(count, hours, count / hours, interval, events, tuple(fold_hours(fold) for fold in pooled.folds))


def alarms_at(pooled: Pool, thresholds: Sequence[float]) -> tuple[int, ...]:
    """What each fold's detector fires at among its negatives, at its threshold."""
    return tuple(
        sum(len(hops) for hops in false_alarm_hops(fold.negatives, threshold, fold.detector))
        for fold, threshold in zip(pooled.folds, thresholds, strict=True)
    )


def misses_by_speaker(positives: Sequence[ScoreTrack], missed: Iterable[bool]) -> PerSpeaker:
    """Misses and positives of each speaker, sorted by name."""
    counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for positive, miss in zip(positives, missed, strict=True):
        misses, count = counts[positive.speaker_id]
        counts[positive.speaker_id] = misses + int(miss), count + 1
    return dict(sorted(counts.items()))


def _speaker_interval(speakers: Mapping[str, tuple[int, int]]) -> Interval:
    """95 %, by speakers drawn with replacement, the same for the same counts."""
    return speaker_bootstrap(speakers, np.random.default_rng(BOOTSTRAP_SEED))


def _at_fah(curve: EventCurve, target: float, positives: Sequence[ScoreTrack], config: DetectorConfig) -> AtFah:
    point = miss_rate_at_fah(curve, target)
    speakers = misses_by_speaker(positives, missed(positives, point.threshold, config).tolist())
    supported = poisson_rate(0, curve.hours).high <= target
    return AtFah(point, _speaker_interval(speakers), math.floor(target * curve.hours), supported, speakers)


def misses_at(pooled: Pool, condition: str, thresholds: Sequence[float]) -> tuple[FoldMisses, list[NDArray[np.bool_]]]:
    """What is missed with each fold at its threshold, and which positives (positives,) of each fold."""
    by_fold = [
        missed(fold.conditions[condition], threshold, fold.detector)
        for fold, threshold in zip(pooled.folds, thresholds, strict=True)
    ]
    positives = [track for fold in pooled.folds for track in fold.conditions[condition]]
    every = np.concatenate(by_fold)
    misses = int(every.sum())
    speakers = misses_by_speaker(positives, every.tolist())
    bounds = clopper_pearson(misses, every.size), _speaker_interval(speakers)
    return FoldMisses(misses, every.size, misses / every.size, *bounds, speakers), by_fold


def _as_shipped(pooled: Pool, condition: str) -> AsShipped:
    found, by_fold = misses_at(pooled, condition, [fold.threshold for fold in pooled.folds])
    rates = [float(fold.mean()) for fold in by_fold if fold.size]
    spread = float(np.std(rates, ddof=1)) if len(rates) > 1 else 0.0
    return AsShipped(**vars(found), fold_miss_rates=tuple(rates), mean=float(np.mean(rates)), spread=spread)


def fold_hours(fold: TrackSet) -> float:
    """Of its negatives."""
    return sum(track.material_s for track in fold.negatives) / 3600


def _common_conditions(folds: Sequence[TrackSet]) -> list[str]:
    """Those that every fold has, in order."""
    if not folds:
        raise EvaluationError("no folds to pool")
    if len({(fold.keyword, fold.detector) for fold in folds}) > 1:
        words = ", ".join(sorted({fold.keyword for fold in folds}))
        raise EvaluationError(f"the folds ({words}) differ in keyword or detector; run them again with one recipe")
    conditions = [name for name in folds[0].conditions if all(name in fold.conditions for fold in folds)]
    if not conditions:
        raise EvaluationError(f"no condition is common to all folds; the first has {', '.join(folds[0].conditions)}")
    return conditions


def _require_disjoint(folds: Sequence[TrackSet]) -> None:
    home: dict[str, tuple[int, str]] = {}
    for number, fold in enumerate(folds):
        clean = next(iter(fold.conditions.values()), [])
        for track, part in ((t, p) for t in (*clean, *fold.negatives) for p in t.parts if not p.moved):
            other, stream = home.setdefault(part.recording, (number, track.stream))
            if other != number:
                raise EvaluationError(
                    f"a recording of {track.stream} stands in the test splits of folds {other} ({stream}) and "
                    f"{number}: they overlap; pool folds of one recipe with split.test = 1/split.folds"
                )


def _without(track: ScoreTrack, counted: set[str]) -> ScoreTrack:
    """The track with nothing to fire at where its recordings are counted already, and without their seconds."""
    repeated: list[Part] = [part for part in track.parts if part.take in counted]
    if not repeated:
        return track
    scores = track.scores.copy()
    for part in repeated:
        scores[part.start : part.stop] = 0.0
    left = [part for part in track.parts if part not in repeated]
    return replace(track, scores=scores, material_s=sum(part.material_s for part in left), parts=tuple(left))
