"""Is one training better than another, and what would more recordings buy: small statistics over a few whole runs.

Runs that share seeds are compared seed by seed (Student 1908, paired), and a learning curve is taken for a power law,
a straight line on log-log axes (Hestness et al. 2017). It knows nothing of recipes or of what was changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval


@dataclass(frozen=True)
class Difference:
    """How far one set of runs lies from another, on average over the seeds."""

    mean: float
    """Positive where the changed runs have the higher figure."""
    interval: Interval | None
    """None from a single pair, which says nothing of how far another seed would lie."""

    @property
    def real(self) -> bool:
        """Whether the interval leaves zero out; a difference within its interval is not one."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True)
class PowerLaw:
    """rate = factor · size ** slope."""

    factor: float
    slope: float
    """Below zero where more is better."""
    slope_interval: Interval | None
    """95 %; None from fewer than three points, through which a line always fits."""
    points: int

    def at(self, size: float) -> float:
        """The rate at a size, at most 1."""
        return min(1.0, self.factor * float(size**self.slope))


def paired_difference(
    changed: Sequence[float], baseline: Sequence[float], resolution: float = 0.0, confidence: float = 0.95
) -> Difference:
    """Mean of changed - baseline over pairs of the same seed, with its t-interval; both of shape (seeds,).

    `resolution` is the step in which the figures come, 1/positives for a miss rate. Each is then rounded by up to half
    a step, a variance of step²/12, so that a difference of two is never better known than step²/6: without that floor
    a few seeds that happen to agree would come out as certainty.

    >>> found = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])  # differences 1, 2, 3; t(0.975, 2) = 4.3027
    >>> found.mean, round(found.interval.low, 4), round(found.interval.high, 4)
    (2.0, -0.4841, 4.4841)
    """
    if not 0 < confidence < 1:
        raise EvaluationError(f"confidence must lie between 0 and 1, not {confidence}; 0.95 is usual")
    if not changed or len(changed) != len(baseline):
        raise EvaluationError(
            f"{len(changed)} and {len(baseline)} figures cannot be paired; run the same seeds of both"
        )
    differences = np.array(changed) - np.array(baseline)
    seeds, mean = len(differences), float(differences.mean())
    if seeds == 1:
        return Difference(mean, None)
    variance = max(float(differences.var(ddof=1)), resolution**2 / 6)
    half = _t(confidence, seeds - 1) * math.sqrt(variance / seeds)
    return Difference(mean, Interval(mean - half, mean + half))


def fit_power_law(sizes: Sequence[float], rates: Sequence[float], confidence: float = 0.95) -> PowerLaw:
    """Least squares of log(rate) on log(size), both of shape (points,) and above zero.

    Raises EvaluationError where there are not two different sizes: one point has no slope.

    >>> law = fit_power_law([30, 60, 120], [0.4, 0.2, 0.1])
    >>> round(law.slope, 6), round(law.at(240), 6)
    (-1.0, 0.05)
    """
    if len(sizes) != len(rates) or len(set(sizes)) < 2:
        raise EvaluationError(f"sizes {list(sizes)}: a learning curve needs two different ones, each with a rate")
    if min(sizes) <= 0 or min(rates) <= 0:
        raise EvaluationError(f"sizes {list(sizes)}, rates {list(rates)}: a logarithm needs figures above zero")
    x, y = np.log(np.array(sizes, np.float64)), np.log(np.array(rates, np.float64))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    intercept = float(y.mean() - slope * x.mean())
    interval, points = None, len(x)
    if points > 2:
        deviation = math.sqrt(float(((y - intercept - slope * x) ** 2).sum()) / (points - 2) / spread)
        half = _t(confidence, points - 2) * deviation
        interval = Interval(slope - half, slope + half)
    return PowerLaw(math.exp(intercept), slope, interval, points)


def _t(confidence: float, freedom: int) -> float:
    return float(student_t.ppf((1 + confidence) / 2, freedom))
