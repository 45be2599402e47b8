"""How far to trust a count: confidence intervals for rates per hour and for shares of trials.

Alarms per hour are a Poisson rate (Garwood 1936), misses of independent trials a binomial share (Clopper and
Pearson 1934), misses of a handful of voices a share that must be resampled by voice (Efron 1979). It knows
nothing of scores or detectors.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2
from scipy.stats import t as student_t

from uyan.errors import EvaluationError


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval, in the unit of the rate that it belongs to."""

    low: float
    high: float


def poisson_rate(events: int, hours: float, confidence: float = 0.95) -> Interval:
    """Exact interval for a rate per hour, of `events` counted in `hours` (Garwood 1936).

    Without a single event there is no lower side to guard: all of the doubt goes to the upper bound, which is
    then -ln(1 - confidence) / hours. At 95 % that is the "rule of three": no alarm in H hours means <= 3 / H.

    >>> bounds = poisson_rate(3, 1.0)
    >>> round(bounds.low, 3), round(bounds.high, 3)
    (0.619, 8.767)
    >>> round(poisson_rate(0, 10.0).high, 4)
    0.2996
    """
    if not (math.isfinite(hours) and hours > 0):
        raise EvaluationError(f"a rate per hour of {hours} hours; add continuous negative recordings")
    if events < 0:
        raise EvaluationError(f"{events} events: a count cannot be negative")
    tail = _tail(confidence)
    if events == 0:
        return Interval(0.0, -math.log(2 * tail) / hours)
    low = float(chi2.ppf(tail, 2 * events)) / 2
    high = float(chi2.ppf(1 - tail, 2 * events + 2)) / 2
    return Interval(low / hours, high / hours)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Exact interval for a share of independent trials; two-sided also for none and for all.

    >>> bounds = clopper_pearson(5, 20)
    >>> round(bounds.low, 4), round(bounds.high, 4)
    (0.0866, 0.491)
    """
    if trials < 1:
        raise EvaluationError(f"a share of {trials} trials; add recordings, at least one is needed")
    if not 0 <= successes <= trials:
        raise EvaluationError(f"{successes} of {trials} trials: the count must lie between 0 and {trials}")
    tail = _tail(confidence)
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return Interval(low, high)


def speaker_bootstrap(
    misses_by_speaker: Mapping[str, tuple[int, int]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    draws: int = 2000,
) -> Interval:
    """Percentile interval for the pooled miss rate, by drawing whole speakers with replacement.

    `misses_by_speaker` maps a speaker_id to (misses, positives). One voice's recordings succeed or fail
    together, so that the speakers, not the recordings, are the independent trials. Two cases in which no draw
    differs from another would come out as certainty, and are not left to the bootstrap:

    * one speaker says nothing about other voices: [0, 1];
    * no miss at all (or nothing but misses): `clopper_pearson` with a speaker as a trial. It is a true bound:
      a mean miss rate m over voices needs at least a share m of voices with a miss.

    >>> speaker_bootstrap({"ada": (0, 10), "cem": (10, 10)}, np.random.default_rng(42))
    Interval(low=0.0, high=1.0)
    """
    counts = np.array([pair for pair in misses_by_speaker.values() if pair[1]], np.int64).reshape(-1, 2)
    speakers = len(counts)
    if not speakers:
        raise EvaluationError("a miss rate without positives; add recordings of the word to this split")
    if (counts < 0).any() or (counts[:, 0] > counts[:, 1]).any():
        raise EvaluationError(f"misses must lie between 0 and positives in {dict(misses_by_speaker)}")
    misses, positives = counts.sum(axis=0).tolist()
    if speakers == 1:
        return Interval(0.0, 1.0)
    if misses in (0, positives):
        return clopper_pearson(speakers if misses else 0, speakers, confidence)
    rates = np.empty(draws)
    for draw in range(draws):
        drawn_misses, drawn_positives = counts[rng.integers(speakers, size=speakers)].sum(axis=0)
        rates[draw] = drawn_misses / drawn_positives
    tail = _tail(confidence)
    low, high = np.quantile(rates, [tail, 1 - tail])
    return Interval(float(low), float(high))


def wider(one: Interval, other: Interval) -> Interval:
    """From the lower of the lower bounds to the higher of the higher ones: whichever says less.

    For a miss rate, `clopper_pearson` and `speaker_bootstrap`: recordings of one voice are not independent, and voices
    that are missed alike show no spread.
    """
    return Interval(min(one.low, other.low), max(one.high, other.high))


def change_bootstrap(
    changes_by_speaker: Mapping[str, tuple[int, int]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    draws: int = 2000,
) -> Interval:
    """Interval for the change of a pooled miss rate: the percentiles over whole speakers drawn with replacement, or
    Student's t over speakers where that is wider.

    `changes_by_speaker` maps a speaker_id to (misses more than before, positives). What few speakers cannot show is
    left to other reasons:

    * one speaker says nothing about other voices: [-1, 1];
    * where no speaker changed, the bound is that of `clopper_pearson` with a speaker as a trial, either way;
    * a speaker's count is rounded by up to half a recording, so that speakers who agree are no certainty;
    * so few who changed that their signs alone could be chance (2 / 2^n, five at 95 %) do not leave zero out.

    >>> bounds = change_bootstrap({"ada": (0, 10), "cem": (0, 10)}, np.random.default_rng(42))
    >>> round(bounds.low, 4), round(bounds.high, 4)
    (-0.8419, 0.8419)
    """
    counts = np.array([pair for pair in changes_by_speaker.values() if pair[1]], np.int64).reshape(-1, 2)
    if not len(counts):
        raise EvaluationError("a change of the miss rate without positives; add recordings of the word")
    if len(counts) == 1:
        return Interval(-1.0, 1.0)
    if not counts[:, 0].any():
        high = clopper_pearson(0, len(counts), confidence).high
        return Interval(-high, high)
    drawn = counts[rng.integers(len(counts), size=(draws, len(counts)))].sum(axis=1)
    tail = _tail(confidence)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    bounds = wider(Interval(float(low), float(high)), _change_by_t(counts, tail))
    changed = int(np.count_nonzero(counts[:, 0]))
    return bounds if 2**-changed <= tail else wider(bounds, Interval(0.0, 0.0))


def _change_by_t(counts: NDArray[np.int64], tail: float) -> Interval:
    """The same by Student's t for a ratio of sums, `counts` of shape (speakers, 2)."""
    change, positives = counts.sum(axis=0).tolist()
    rate, speakers = change / positives, len(counts)
    residuals = counts[:, 0] - rate * counts[:, 1]
    # Two counts, each rounded by up to half a recording: a variance of 1/12 + 1/12 a speaker at least.
    variance = max(float((residuals**2).sum()) * speakers / (speakers - 1), speakers / 6)
    half = float(student_t.ppf(1 - tail, speakers - 1)) * math.sqrt(variance) / positives
    return Interval(max(-1.0, rate - half), min(1.0, rate + half))


def rate_bootstrap(
    events_by_speaker: Mapping[str, tuple[int, float]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    draws: int = 2000,
) -> Interval:
    """Percentile interval for a rate per hour, by drawing whole speakers with replacement.

    `events_by_speaker` maps a speaker_id to (events, hours). Without an event no draw differs from another: then it is
    `poisson_rate`. One speaker says nothing about others: from 0 to infinity.

    >>> rate_bootstrap({"ada": (0, 1.0), "cem": (0, 2.0)}, np.random.default_rng(42)).high == poisson_rate(0, 3.0).high
    True
    """
    counts = np.array([pair for pair in events_by_speaker.values() if pair[1] > 0], np.float64).reshape(-1, 2)
    if not len(counts):
        raise EvaluationError("a rate per hour without hours; add continuous negative recordings")
    events, hours = counts.sum(axis=0).tolist()
    if not events:
        return poisson_rate(0, hours, confidence)
    if len(counts) == 1:
        return Interval(0.0, math.inf)
    drawn = counts[rng.integers(len(counts), size=(draws, len(counts)))].sum(axis=1)
    tail = _tail(confidence)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return Interval(float(low), float(high))


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise EvaluationError(f"confidence must lie between 0 and 1, not {confidence}; 0.95 is usual")
    return (1 - confidence) / 2
