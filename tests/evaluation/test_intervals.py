import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import (
    Interval,
    change_bootstrap,
    clopper_pearson,
    poisson_rate,
    speaker_bootstrap,
    wider,
)

COUNTS = st.integers(1, 12).flatmap(lambda positives: st.tuples(st.integers(0, positives), st.just(positives)))


@pytest.mark.parametrize(
    ("events", "hours", "low", "high"),
    [
        (3, 1.0, 0.6187, 8.7673),  # Garwood's table
        (1, 1.0, 0.0253, 5.5716),
        (10, 1.0, 4.7954, 18.3904),
        (10, 20.0, 0.2398, 0.9195),  # the same count over 20 h: both bounds a twentieth
        (0, 10.0, 0.0, 0.2996),  # one-sided, -ln(0.05) / 10
    ],
)
def test_poisson_rate_of_known_counts(events: int, hours: float, low: float, high: float) -> None:
    bounds = poisson_rate(events, hours)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=1e-4)


def test_no_event_is_the_rule_of_three() -> None:
    assert poisson_rate(0, 100.0).high == pytest.approx(3 / 100, rel=0.002)
    assert poisson_rate(0, 1.0, confidence=0.99).high == pytest.approx(-math.log(0.01))


@given(events=st.integers(0, 500), hours=st.floats(0.01, 1e4))
def test_poisson_interval_holds_the_rate_and_grows_with_the_count(events: int, hours: float) -> None:
    bounds, one_more = poisson_rate(events, hours), poisson_rate(events + 1, hours)
    assert bounds.low <= events / hours < bounds.high < one_more.high


def test_poisson_coverage_is_at_least_nominal() -> None:
    # True rate 0.5 per hour, 10 h: Poisson(5). Add up the probability of every count whose interval holds 0.5.
    covered = 0.0
    for events in range(60):
        bounds = poisson_rate(events, 10.0)
        if bounds.low <= 0.5 <= bounds.high:
            covered += math.exp(-5.0) * 5.0**events / math.factorial(events)
    assert 0.95 <= covered < 0.99


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 20, 0.0, 0.1684),  # 1 - 0.025 ** (1 / 20)
        (20, 20, 0.8316, 1.0),
        (5, 20, 0.0866, 0.4910),
        (1, 10, 0.0025, 0.4450),
    ],
)
def test_clopper_pearson_of_known_counts(successes: int, trials: int, low: float, high: float) -> None:
    bounds = clopper_pearson(successes, trials)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=1e-4)


@given(counts=COUNTS)
def test_clopper_pearson_of_misses_mirrors_that_of_hits(counts: tuple[int, int]) -> None:
    misses, positives = counts
    of_misses, of_hits = clopper_pearson(misses, positives), clopper_pearson(positives - misses, positives)
    assert 0 <= of_misses.low <= misses / positives <= of_misses.high <= 1
    assert of_misses.low == pytest.approx(1 - of_hits.high, abs=1e-9)


def test_bootstrap_resamples_voices_not_recordings() -> None:
    # 20 voices of 10 recordings, 5 of them missed altogether: 50 of 200 recordings, yet 5 of 20 trials.
    # Drawing voices: Binomial(20, 1/4) / 20, whose 2.5 % and 97.5 % quantiles are 2/20 and 9/20.
    voices = {f"s{n}": (10 if n < 5 else 0, 10) for n in range(20)}
    bounds = speaker_bootstrap(voices, np.random.default_rng(42))
    assert bounds.low == pytest.approx(0.10, abs=0.051)
    assert bounds.high == pytest.approx(0.45, abs=0.051)
    of_recordings = clopper_pearson(50, 200)
    assert bounds.high - bounds.low > 2 * (of_recordings.high - of_recordings.low)


def test_bootstrap_weighs_a_voice_by_its_positives() -> None:
    # Two voices, 1 of 1 and 0 of 9: the draws are both (10 %), the first twice (100 %), the second twice (0 %).
    bounds = speaker_bootstrap({"a": (1, 1), "b": (0, 9)}, np.random.default_rng(42), confidence=0.2)
    assert bounds == Interval(0.1, 0.1)


def test_bootstrap_does_not_call_an_absence_of_misses_certainty() -> None:
    clean = {f"s{n}": (0, 50) for n in range(20)}
    assert speaker_bootstrap(clean, np.random.default_rng(42)) == clopper_pearson(0, 20)
    lost = {f"s{n}": (50, 50) for n in range(20)}
    assert speaker_bootstrap(lost, np.random.default_rng(42)) == clopper_pearson(20, 20)


def test_one_voice_says_nothing_about_others() -> None:
    voices = {"a": (1, 10), "silent": (0, 0)}
    assert speaker_bootstrap(voices, np.random.default_rng(42)) == Interval(0.0, 1.0)


@settings(deadline=None)
@given(counts=st.lists(COUNTS, min_size=1, max_size=6), seed=st.integers(0, 99))
def test_bootstrap_is_a_function_of_the_seed_and_stays_a_share(counts: list[tuple[int, int]], seed: int) -> None:
    voices = {f"s{n}": pair for n, pair in enumerate(counts)}
    once, again = (speaker_bootstrap(voices, np.random.default_rng(seed), draws=50) for _ in range(2))
    assert once == again
    assert 0 <= once.low <= once.high <= 1


def test_what_cannot_be_bounded_is_refused_with_the_fix() -> None:
    with pytest.raises(EvaluationError, match="add continuous negative recordings"):
        poisson_rate(0, 0.0)
    with pytest.raises(EvaluationError, match="nan hours"):
        poisson_rate(1, math.nan)
    with pytest.raises(EvaluationError, match="cannot be negative"):
        poisson_rate(-1, 1.0)
    with pytest.raises(EvaluationError, match="between 0 and 1"):
        poisson_rate(1, 1.0, confidence=95.0)
    with pytest.raises(EvaluationError, match="add recordings"):
        clopper_pearson(0, 0)
    with pytest.raises(EvaluationError, match="between 0 and 4"):
        clopper_pearson(5, 4)
    with pytest.raises(EvaluationError, match="without positives"):
        speaker_bootstrap({"a": (0, 0)}, np.random.default_rng(42))
    with pytest.raises(EvaluationError, match="'a': \\(3, 2\\)"):
        speaker_bootstrap({"a": (3, 2)}, np.random.default_rng(42))


def test_the_wider_of_two_says_less() -> None:
    assert wider(Interval(0.1, 0.2), Interval(0.05, 0.15)) == Interval(0.05, 0.2)


def test_a_change_is_known_as_well_as_voices_agree_on_it() -> None:
    rng = np.random.default_rng(1)
    same = change_bootstrap({f"{n}": (1, 10) for n in range(20)}, rng)
    assert 0.08 < same.low < 0.1 < same.high < 0.12, "agreement, each count known to half a recording"
    one = change_bootstrap({f"{n}": (10 * (n == 0), 10) for n in range(20)}, rng)
    assert one.low < 0.0 and 0.1 < one.high < 0.3
    better = change_bootstrap({f"{n}": (-1 * (n % 2), 10) for n in range(40)}, rng)
    assert -0.1 < better.low < -0.05 < better.high < 0


def test_few_voices_that_changed_alike_may_be_chance() -> None:
    rng = np.random.default_rng(1)
    unlike = {f"{n}": (0, 10) for n in range(30)}
    five = change_bootstrap({**unlike, **{f"{n}": (-2, 10) for n in range(5)}}, rng)
    six = change_bootstrap({**unlike, **{f"{n}": (-2, 10) for n in range(6)}}, rng)
    assert five.low < 0 == five.high
    assert six.low < six.high < 0
    two = change_bootstrap({"ada": (-1, 10), "cem": (-1, 10)}, rng)
    assert two.low < -0.3 and two.high > 0.1


@pytest.mark.parametrize("speakers", [5, 8, 12, 40])
def test_no_change_seldom_looks_like_one(speakers: int) -> None:
    """Both sides miss each speaker as often on average; one table in twenty may leave zero out."""
    rng, told, tables = np.random.default_rng(speakers), 0, 200
    for _ in range(tables):
        often = rng.beta(0.4, 3, speakers)
        counts = rng.binomial(10, often, (2, speakers))
        changes = {f"{n}": (int(counts[1, n] - counts[0, n]), 10) for n in range(speakers)}
        bounds = change_bootstrap(changes, rng, draws=300)
        told += not bounds.low <= 0 <= bounds.high
    assert told <= 0.08 * tables


def test_a_change_of_nothing_and_one_voice_are_no_certainty() -> None:
    rng = np.random.default_rng(1)
    none = change_bootstrap({f"{n}": (0, 5) for n in range(20)}, rng)
    assert none.high == -none.low == clopper_pearson(0, 20).high
    assert change_bootstrap({"ada": (3, 10)}, rng) == Interval(-1.0, 1.0)
    with pytest.raises(EvaluationError, match="without positives"):
        change_bootstrap({"ada": (0, 0)}, rng)
