"""From raw scores to a detector one can trust: temperature, threshold grid, operating point (MISSION 3).

All of it is fitted on the validation split and reported on the test split. What the figures cannot support is
said in the result, never papered over. It knows nothing of files, models or the detector, which counts the
events. Temperature scaling: Guo et al. 2017.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import poisson_rate
from uyan.evaluation.metrics import EventCurve, MissRateAtFah, miss_rate_at_fah

TEMPERATURE_RANGE = (0.05, 20.0)
"""A network whose best T lies outside is broken, not miscalibrated."""

GRID_STEPS = 400
"""[0, 1] in steps of 0.0025."""

EXACT_SCORES = 2000
"""So many of the highest distinct observed scores become thresholds of their own."""


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The T > 0 that minimises the mean NLL of softmax(logits / T).

    `logits` of shape (examples, 2), negative first; `labels` of shape (examples,), 0 or 1. The NLL is convex
    in 1 / T, so that the bounded search on log T finds its one minimum. When every example lies on its own
    side the NLL falls without end as T goes to 0, where all scores round to 0 or 1 and no threshold can part
    them: such data cannot say how sure to be, and T stays 1.

    >>> margins = np.array([2.0, 2.0, 2.0, -2.0])  # three in four are positive, so T = 2 / ln(3 / 1)
    >>> logits, labels = np.stack([0 * margins, abs(margins)], axis=1), (margins > 0).astype(int)
    >>> round(fit_temperature(logits, labels), 4)
    1.8205
    """
    if logits.ndim != 2 or logits.shape[1] != 2 or labels.shape != logits.shape[:1]:
        raise EvaluationError(f"temperature: logits {logits.shape} and labels {labels.shape}; (n, 2) and (n,) needed")
    if not np.isfinite(logits).all():
        raise EvaluationError("temperature: logits contain NaN or Inf; the training diverged, train again")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise EvaluationError(
            f"temperature: labels {np.unique(labels).tolist()}, but both 0 and 1 are needed; "
            "add what is missing to the validation split"
        )
    wide = logits.astype(np.float64)
    # The NLL of two classes depends on their difference alone: softplus(-margin / T), margin > 0 when right.
    margin = (wide[:, 1] - wide[:, 0]) * np.where(labels == 1, 1.0, -1.0)
    if (margin > 0).all():
        return 1.0
    low, high = TEMPERATURE_RANGE
    best = minimize_scalar(
        lambda log_t: float(np.logaddexp(0.0, -margin * math.exp(-log_t)).mean()),
        bounds=(math.log(low), math.log(high)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return math.exp(float(best.x))


def threshold_grid(observed_scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Steps of 0.0025 over [0, 1], each observed score and the next float above it: ascending, (thresholds,).

    Scores of shape (scores,). A threshold at a score still accepts it, the next float no longer does: no
    trigger can be kept or lost between two thresholds, and just above the loudest negative is always on
    offer. Beyond 2,000 distinct scores only the highest 2,000 are kept, and below them the steps alone: low
    FAH is decided at the top. "The next float" is that of the scores' own type, so that it stays above the
    score when compared in float32.

    >>> grid = threshold_grid(np.array([0.25, 0.9991]))
    >>> grid.size, grid[-4:-1].tolist()
    (404, [0.9975, 0.9991, 0.9991000000000001])
    """
    if observed_scores.size and not (observed_scores.min() >= 0 and observed_scores.max() <= 1):
        raise EvaluationError("threshold grid: scores must lie in [0, 1]; pass softmax scores, not logits")
    exact = np.unique(observed_scores)[-EXACT_SCORES:]
    above = np.nextafter(exact, exact.dtype.type(np.inf))
    steps = np.arange(GRID_STEPS + 1) / GRID_STEPS
    # A threshold above 1 would be a detector that is switched off.
    return np.unique(np.concatenate([steps, exact, above[above <= 1]]).astype(np.float64))


@dataclass(frozen=True)
class OperatingPoint(MissRateAtFah):
    """The chosen on-threshold, the rates measured at it, and whether they may be claimed."""

    supported: bool
    """False: the hours are so few that even without one false alarm the 95 % bound exceeds the target."""
    note: str
    """For the reader, in plain words; empty when there is nothing to add to the figures."""


def choose_operating_point(curve: EventCurve, target_fah: float) -> OperatingPoint:
    """The threshold with the most positives detected among those that keep to the target FAH.

    A threshold keeps to it when it and every higher one have FAH <= `target_fah`; ties go to the highest (see
    `miss_rate_at_fah`). When none does, the strictest threshold is returned with `met` False. Raises
    EvaluationError without hours, without positives, or for a target of 0, which no recording can show.

    >>> grid, detected, alarms = np.array([0.3, 0.5, 0.7]), np.array([4, 3, 1]), np.array([9, 5, 0])
    >>> point = choose_operating_point(EventCurve(grid, detected, alarms, positives=4, hours=10.0), 0.5)
    >>> point.threshold, point.met, point.supported, point.note
    (0.5, True, True, '5 false alarms in 10.0 h: the true rate may be as high as 1.17 per hour.')
    """
    if not (math.isfinite(target_fah) and target_fah > 0):
        raise EvaluationError(f"target FAH {target_fah}: ask for a positive rate, 0.5 per hour for example")
    best = miss_rate_at_fah(curve, target_fah)
    supported = poisson_rate(0, curve.hours).high <= target_fah
    return OperatingPoint(**vars(best), supported=supported, note=_note(best, supported))


def _note(best: MissRateAtFah, supported: bool) -> str:
    alarms = f"{best.false_alarms} false alarm{'s' if best.false_alarms != 1 else ''} in {best.hours:.1f} h"
    said = []
    if not best.met:
        said.append(
            f"No threshold keeps to {best.target_fah:g} false alarms per hour: the strictest, "
            f"{best.threshold:.4f}, has {alarms} ({best.fah:.2f} per hour). "
            "Mine hard negatives and train again, or allow more."
        )
    elif best.misses == best.positives:
        said.append(f"{best.target_fah:g} false alarms per hour are kept only where no positive is detected.")
    elif supported and best.fah_interval.high > best.target_fah:
        said.append(f"{alarms}: the true rate may be as high as {best.fah_interval.high:.2f} per hour.")
    if not supported:
        needed_h = poisson_rate(0, 1.0).high / best.target_fah
        said.append(
            f"{best.hours:.1f} h of negatives cannot support {best.target_fah:g} false alarms per hour: "
            f"at least {math.ceil(10 * needed_h) / 10:.1f} h are needed, and those without an alarm."
        )
    return " ".join(said)
