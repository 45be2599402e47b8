"""Misses of a K-fold with every fold at a threshold of its own that keeps to the target FAH on its own test split.

A common threshold lies where the loudest negatives of any fold put it, and folds whose scores lie on another scale pay
for it. Here each fold's curve is read at the target and the counts are added up (after the vertical averaging of
Fawcett 2006). A fold may have so many whole alarms as its own hours grant, none below 1 / target, and all of them
together fewer than the pooled hours grant: it can miss more, too. Either threshold is chosen on the tests themselves:
it compares detectors and promises nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uyan.evaluation.metrics import EventCurve, miss_rate_at_fah
from uyan.evaluation.pooling import FoldMisses, Pool, alarms_at, fold_hours, misses_at
from uyan.evaluation.scores import event_curves
from uyan.evaluation.track_file import TrackSet


@dataclass(frozen=True)
class FoldByFold(FoldMisses):
    """One condition at one target."""

    false_alarms: int
    """Of all folds."""
    events_allowed: tuple[int, ...]
    """As many alarms as the target grants in each fold's hours."""
    thresholds: tuple[float, ...]
    """Of the folds; that it ships with where it has no negatives to choose one by, or no positives."""
    met: bool
    """False where one of them has no threshold that keeps to the target, or no negatives."""


def fold_by_fold(pooled: Pool, targets: Sequence[float]) -> dict[str, dict[float, FoldByFold]]:
    """Condition → target FAH → what is missed."""
    curves = [_curves(fold) for fold in pooled.folds]
    return {
        name: {target: _at(pooled, name, [of_fold[name] for of_fold in curves], target) for target in targets}
        for name in pooled.folds[0].conditions
    }


def _curves(fold: TrackSet) -> dict[str, EventCurve | None]:
    """Condition → curve of one fold, None without negatives or, as where others count all of them, positives."""
    judged = {name: tracks for name, tracks in fold.conditions.items() if tracks}
    if not fold_hours(fold):
        judged = {}
    found = event_curves(judged.values(), fold.negatives, fold.detector) if judged else []
    return {**dict.fromkeys(fold.conditions), **dict(zip(judged, found, strict=True))}


def _at(pooled: Pool, condition: str, curves: Sequence[EventCurve | None], target: float) -> FoldByFold:
    points = [miss_rate_at_fah(curve, target) if curve else None for curve in curves]
    thresholds = [
        point.threshold if point else fold.threshold for point, fold in zip(points, pooled.folds, strict=True)
    ]
    unjudged = [
        not point and bool(fold.conditions[condition]) for point, fold in zip(points, pooled.folds, strict=True)
    ]
    found, _ = misses_at(pooled, condition, thresholds)
    return FoldByFold(
        **vars(found),
        false_alarms=sum(alarms_at(pooled, thresholds)),
        events_allowed=tuple(math.floor(target * fold_hours(fold)) for fold in pooled.folds),
        thresholds=tuple(thresholds),
        met=not any(unjudged) and all(point.met for point in points if point),
    )
