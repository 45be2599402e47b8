"""Figures of merit as pure functions on arrays: clip-level DET curves and event-level rates (MISSION 4).

A trial is accepted when its score >= threshold, everywhere. A `DetCurve` ranks clips; an `EventCurve` holds
what the detector itself did on continuous audio, counted elsewhere. Every result carries its denominators.
It knows nothing of files, models or the detector. DET: Martin et al. 1997.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval, clopper_pearson, poisson_rate

ROUNDING = 1e-12
"""Slack when a share of trials is compared with a target: 1 - 0.9 is a little less than 1 / 10."""


@dataclass(frozen=True)
class DetCurve:
    """Clip-level trade-off at every threshold where anything changes; arrays of shape (thresholds,)."""

    thresholds: NDArray[np.float64]
    """Ascending: every observed score, and last the float just above the highest (nothing is accepted)."""
    miss_rate: NDArray[np.float64]
    """Share of positives below the threshold: rises from 0 to 1."""
    false_alarm_rate: NDArray[np.float64]
    """Share of negatives at or above the threshold: falls from 1 to 0."""
    positives: int
    negatives: int


@dataclass(frozen=True)
class Confusion:
    """Clips by truth and decision at one threshold."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int


@dataclass(frozen=True)
class EventCurve:
    """What the detector did at each threshold, after voting, hysteresis and lockout.

    Arrays of shape (thresholds,). Neither count needs to be monotone: a lockout that starts later may let
    another event through.
    """

    thresholds: NDArray[np.float64]
    """Strictly ascending."""
    detected: NDArray[np.int64]
    """Positives with a detection."""
    false_alarms: NDArray[np.int64]
    """Events on negative audio."""
    positives: int
    hours: float
    """Of the negative audio."""

    def __post_init__(self) -> None:
        shapes = {self.thresholds.shape, self.detected.shape, self.false_alarms.shape}
        if len(shapes) != 1 or self.thresholds.ndim != 1 or not self.thresholds.size:
            raise EvaluationError(f"event curve: arrays of one shape (thresholds,) needed, not {shapes}")
        if not (np.diff(self.thresholds) > 0).all():
            raise EvaluationError("event curve: thresholds must ascend strictly; pass np.unique of them")
        if self.detected.min() < 0 or self.detected.max() > self.positives or self.false_alarms.min() < 0:
            raise EvaluationError(f"event curve: counts must be >= 0, detected <= {self.positives} positives")

    @property
    def miss_rate(self) -> NDArray[np.float64]:
        """Share of positives not detected, shape (thresholds,)."""
        if self.positives < 1:
            raise EvaluationError("a miss rate without positives; add recordings of the word to this split")
        return (self.positives - self.detected) / self.positives

    @property
    def fah(self) -> NDArray[np.float64]:
        """False alarms per hour, shape (thresholds,)."""
        if not (math.isfinite(self.hours) and self.hours > 0):
            raise EvaluationError(f"FAH of {self.hours} hours; add continuous negative recordings")
        return self.false_alarms / self.hours


@dataclass(frozen=True)
class MissRateAtFah:
    """The miss rate at a target FAH (MR@FAH), with everything needed to judge it."""

    threshold: float
    target_fah: float
    false_alarms: int
    hours: float
    fah: float
    fah_interval: Interval
    """95 %, Poisson."""
    misses: int
    positives: int
    miss_rate: float
    miss_interval: Interval
    """95 %, Clopper-Pearson: positives taken as independent. `speaker_bootstrap` does without that."""
    met: bool
    """False: no threshold keeps to the target, and the rates are those of the strictest one."""


def det_curve(positive_scores: ArrayLike, negative_scores: ArrayLike) -> DetCurve:
    """Exact curve over every observed score; scores of shape (positives,) and (negatives,).

    >>> curve = det_curve([0.4, 0.9], [0.1, 0.4])
    >>> curve.thresholds[:3].tolist(), curve.miss_rate.tolist(), curve.false_alarm_rate.tolist()
    ([0.1, 0.4, 0.9], [0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0])
    """
    positive = np.sort(_scores(positive_scores, "positive"))
    negative = np.sort(_scores(negative_scores, "negative"))
    observed = np.unique(np.concatenate([positive, negative]))
    thresholds = np.append(observed, np.nextafter(observed[-1], np.inf))
    missed = np.searchsorted(positive, thresholds, side="left")
    rejected = np.searchsorted(negative, thresholds, side="left")
    miss_rate, false_alarm_rate = missed / positive.size, (negative.size - rejected) / negative.size
    return DetCurve(thresholds, miss_rate, false_alarm_rate, positive.size, negative.size)


def equal_error_rate(curve: DetCurve) -> float:
    """Where miss rate and false-alarm rate cross, on the straight line between the two points around it.

    >>> equal_error_rate(det_curve([0.4, 0.9], [0.1, 0.5]))
    0.5
    """
    # Monotone, from -1 at the lowest threshold to +1 at the last: there is a crossing, and not at the first.
    excess = curve.miss_rate - curve.false_alarm_rate
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float((1 - share) * curve.miss_rate[after - 1] + share * curve.miss_rate[after])


def fpr_at_tpr(curve: DetCurve, tpr: float = 0.95) -> float:
    """Lowest false-alarm rate at which at least `tpr` of the positives are accepted; no interpolation.

    >>> fpr_at_tpr(det_curve([0.4, 0.9], [0.1, 0.5]))
    0.5
    """
    if not 0 <= tpr <= 1:
        raise EvaluationError(f"tpr must lie between 0 and 1, not {tpr}")
    return float(curve.false_alarm_rate[curve.miss_rate <= 1 - tpr + ROUNDING].min())


def partial_auc(curve: DetCurve, max_fpr: float = 0.1) -> float:
    """Area under the ROC for false-alarm rates in [0, max_fpr], divided by max_fpr: the mean hit rate there.

    1 is perfect, max_fpr / 2 is chance, and max_fpr = 1 gives the whole area. (Not McClish's scale, which
    maps chance to one half.)

    >>> partial_auc(det_curve([0.8, 0.9], [0.1, 0.2]))
    1.0
    """
    if not 0 < max_fpr <= 1:
        raise EvaluationError(f"max_fpr must lie between 0 and 1, not {max_fpr}")
    rising_fpr, tpr = curve.false_alarm_rate[::-1], 1 - curve.miss_rate[::-1]
    inside = rising_fpr <= max_fpr
    fpr = np.append(rising_fpr[inside], max_fpr)
    hits = np.append(tpr[inside], np.interp(max_fpr, rising_fpr, tpr))
    return float(np.trapezoid(hits, fpr)) / max_fpr


def confusion(positive_scores: ArrayLike, negative_scores: ArrayLike, threshold: float) -> Confusion:
    """Counts at one threshold; scores of shape (positives,) and (negatives,).

    >>> confusion([0.4, 0.9], [0.1, 0.5], 0.5)
    Confusion(true_positive=1, false_negative=1, false_positive=1, true_negative=1)
    """
    positive, negative = _scores(positive_scores, "positive"), _scores(negative_scores, "negative")
    hits, alarms = int((positive >= threshold).sum()), int((negative >= threshold).sum())
    return Confusion(hits, positive.size - hits, alarms, negative.size - alarms)


def miss_rate_at_fah(curve: EventCurve, target_fah: float) -> MissRateAtFah:
    """The lowest miss rate among thresholds whose FAH, and that of every higher one, is <= `target_fah`.

    Ties go to the highest threshold: as many words are heard, with more room below for alarms not yet met.
    When no threshold qualifies the rates of the strictest are returned with `met` False: the reader still
    learns how far off the target is. On a curve of one threshold this is the report at that threshold.

    >>> grid, detected, alarms = np.array([0.3, 0.5, 0.7]), np.array([4, 3, 3]), np.array([9, 2, 1])
    >>> best = miss_rate_at_fah(EventCurve(grid, detected, alarms, positives=4, hours=4.0), target_fah=0.5)
    >>> best.threshold, best.miss_rate, best.fah
    (0.7, 0.25, 0.25)
    """
    if not target_fah >= 0:
        raise EvaluationError(f"target_fah must be 0 or more false alarms per hour, not {target_fah}")
    miss_rate, fah = curve.miss_rate, curve.fah
    allowed = np.flatnonzero(_worst_fah_from(curve) <= target_fah)
    met = bool(allowed.size)
    ties = allowed[curve.detected[allowed] == curve.detected[allowed].max()] if met else [-1]
    at = int(ties[-1])
    misses, alarms = curve.positives - int(curve.detected[at]), int(curve.false_alarms[at])
    return MissRateAtFah(
        threshold=float(curve.thresholds[at]),
        target_fah=target_fah,
        false_alarms=alarms,
        hours=curve.hours,
        fah=float(fah[at]),
        fah_interval=poisson_rate(alarms, curve.hours),
        misses=misses,
        positives=curve.positives,
        miss_rate=float(miss_rate[at]),
        miss_interval=clopper_pearson(misses, curve.positives),
        met=met,
    )


def attainable(curve: EventCurve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lower envelope as a staircase: (fah, miss_rate), both (thresholds,), strictest threshold first.

    From fah[i] on, up to fah[i + 1], the lowest miss rate that `miss_rate_at_fah` gives is miss_rate[i].

    >>> grid, detected, alarms = np.array([0.3, 0.5]), np.array([4, 2]), np.array([1, 0])
    >>> fah, miss_rate = attainable(EventCurve(grid, detected, alarms, positives=4, hours=1.0))
    >>> fah.tolist(), miss_rate.tolist()
    ([0.0, 1.0], [0.5, 0.0])
    """
    return _worst_fah_from(curve)[::-1], np.minimum.accumulate(curve.miss_rate[::-1])


def area_over_fah(curve: EventCurve, max_fah: float = 2.0) -> float:
    """Mean of `miss_rate_at_fah` over targets in [0, max_fah]: 0 is perfect, 1 hears nothing.

    The area under `attainable` is exact. Targets below the FAH of the strictest threshold
    count as a miss rate of 1: only a detector that is switched off keeps to them.

    >>> grid, detected, alarms = np.array([0.3, 0.5]), np.array([4, 2]), np.array([1, 0])
    >>> area_over_fah(EventCurve(grid, detected, alarms, positives=4, hours=1.0))  # 1 h at 1/2, 1 h at 0
    0.25
    """
    if not max_fah > 0:
        raise EvaluationError(f"max_fah must be positive, not {max_fah}")
    fah, miss_rate = attainable(curve)
    edges = np.concatenate([[0.0], np.minimum(fah, max_fah), [max_fah]])
    return float(np.diff(edges) @ np.concatenate([[1.0], miss_rate])) / max_fah


def _worst_fah_from(curve: EventCurve) -> NDArray[np.float64]:
    """Highest FAH at each threshold or any above it, shape (thresholds,): the target that it can promise."""
    return np.maximum.accumulate(curve.fah[::-1])[::-1]


def _scores(scores: ArrayLike, kind: str) -> NDArray[np.float64]:
    # float64 before any comparison: a threshold one float above a score must stay above it.
    array = np.asarray(scores, np.float64)
    if array.ndim != 1 or not array.size:
        raise EvaluationError(f"{kind} scores of shape {array.shape}; a list of at least one is needed")
    if not np.isfinite(array).all():
        raise EvaluationError(f"{np.sum(~np.isfinite(array))} {kind} scores are NaN or Inf; check the model")
    return array
