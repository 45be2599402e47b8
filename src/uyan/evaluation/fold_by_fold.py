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

import numpy as np
from numpy.typing import NDArray

from uyan.evaluation.intervals import Interval, clopper_pearson
from uyan.evaluation.metrics import EventCurve, miss_rate_at_fah
from uyan.evaluation.pooling import PerSpeaker, Pool, fold_hours, misses_by_speaker, speaker_interval
from uyan.evaluation.scores import event_curves, missed
from uyan.evaluation.track_file import TrackSet


@dataclass(frozen=True)
class FoldByFold:
    """One condition at one target, the sum over folds."""

    misses: int
    positives: int
    miss_rate: float
    miss_interval: Interval
    speaker_interval: Interval
    false_alarms: int
    """Of the folds that have positives of their own to judge."""
    events_allowed: tuple[int, ...]
    """As many alarms as the target grants in each fold's hours."""
    thresholds: tuple[float, ...]
    """Of the folds; that it ships with where it has no negatives to choose one by, or no positives."""
    met: bool
    """False where one of them has no threshold that keeps to the target, or no negatives."""
    per_speaker: PerSpeaker


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
    misses: list[NDArray[np.bool_]] = [
        missed(fold.conditions[condition], threshold, fold.detector)
        for fold, threshold in zip(pooled.folds, thresholds, strict=True)
    ]
    every = np.concatenate(misses)
    speakers = misses_by_speaker(
        [track for fold in pooled.folds for track in fold.conditions[condition]], every.tolist()
    )
    total = int(every.sum())
    unjudged = [
        not point and bool(fold.conditions[condition]) for point, fold in zip(points, pooled.folds, strict=True)
    ]
    return FoldByFold(
        misses=total,
        positives=every.size,
        miss_rate=total / every.size,
        miss_interval=clopper_pearson(total, every.size),
        speaker_interval=speaker_interval(speakers),
        false_alarms=sum(point.false_alarms for point in points if point),
        events_allowed=tuple(math.floor(target * fold_hours(fold)) for fold in pooled.folds),
        thresholds=tuple(thresholds),
        met=not any(unjudged) and all(point.met for point in points if point),
        per_speaker=speakers,
    )
