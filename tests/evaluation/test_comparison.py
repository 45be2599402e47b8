"""Differences between runs and learning curves, against figures worked by hand."""

import math

import numpy as np
import pytest

from uyan.errors import EvaluationError
from uyan.evaluation.comparison import Difference, fit_power_law, paired_difference
from uyan.evaluation.intervals import Interval

T_2, T_1 = 4.302653, 12.706205
"""Student's t at 0.975 with 2 and 1 degrees of freedom, from the tables."""


def test_three_seeds_by_hand() -> None:
    # Differences 0.02, 0.03, 0.07: mean 0.04, variance (0.0004 + 0.0001 + 0.0009) / 2 = 0.0007.
    found = paired_difference([0.12, 0.15, 0.17], [0.10, 0.12, 0.10])
    half = T_2 * math.sqrt(0.0007 / 3)
    assert found.mean == pytest.approx(0.04)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.04 - half, 0.04 + half))
    assert not found.real


def test_pairing_takes_out_what_the_seeds_have_in_common() -> None:
    baseline = [0.1, 0.3, 0.5]  # spread far wider than the difference of 0.05 ± 0.001
    found = paired_difference([0.151, 0.349, 0.55], baseline)
    assert found.real
    assert found.mean == pytest.approx(0.05)


def test_seeds_that_agree_are_not_certainty() -> None:
    # Two of 40 more missed, both times: the floor is (1/40)² / 6 of variance.
    found = paired_difference([0.15, 0.20], [0.10, 0.15], resolution=1 / 40)
    half = T_1 * math.sqrt((1 / 40) ** 2 / 6 / 2)
    assert found.interval is not None
    assert found.interval.high - found.mean == pytest.approx(half)
    assert not found.real


def test_rounding_never_moves_the_figures_further_apart_than_the_floor_allows() -> None:
    # What the floor claims: of two rates, equal but counted in whole recordings, the difference varies by step²/6.
    rng, step = np.random.default_rng(42), 1 / 40
    rates = rng.uniform(0.2, 0.8, (2, 20_000))
    rounded = step * np.round(rates / step)
    errors = (rounded - rates)[0] - (rounded - rates)[1]
    assert errors.var() == pytest.approx(step**2 / 6, rel=0.05)


def test_one_seed_has_no_interval_and_shows_nothing() -> None:
    assert paired_difference([0.5], [0.1]) == Difference(pytest.approx(0.4), None)
    assert not paired_difference([0.5], [0.1]).real


def test_an_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(42)
    covered = 0
    for _ in range(1000):
        found = paired_difference(list(rng.normal(0.3, 0.1, 3)), list(rng.normal(0.1, 0.1, 3)))
        assert found.interval is not None
        covered += found.interval.low <= 0.2 <= found.interval.high
    assert covered == pytest.approx(950, abs=3 * math.sqrt(1000 * 0.95 * 0.05))


@pytest.mark.parametrize("changed", [[], [0.1], [0.1, 0.2, 0.3]])
def test_unpaired_figures_are_refused(changed: list[float]) -> None:
    with pytest.raises(EvaluationError, match="cannot be paired"):
        paired_difference(changed, [0.1, 0.2])


def test_a_confidence_of_percent_is_refused() -> None:
    with pytest.raises(EvaluationError, match="not 95"):
        paired_difference([0.1, 0.2], [0.1, 0.2], confidence=95)


def test_a_square_root_law_is_found_again() -> None:
    law = fit_power_law([25, 100, 400], [0.4, 0.2, 0.1])
    assert law.slope == pytest.approx(-0.5)
    assert law.factor == pytest.approx(2.0)
    assert law.at(1600) == pytest.approx(0.05)
    assert law.at(1) == 1.0  # a rate, though the line says 2
    assert law.slope_interval is not None
    assert (law.slope_interval.low, law.slope_interval.high) == pytest.approx((-0.5, -0.5), abs=1e-6)


def test_the_slope_and_its_interval_by_hand() -> None:
    # In natural logs x = -1, 0, 1 and y = 1, 0.3, -1: slope (−1 − 1) / 2 = −1, mean y 0.1,
    # residuals −0.1, 0.2, −0.1, so the slope's variance is 0.06 / (3 − 2) / 2 = 0.03.
    law = fit_power_law([math.exp(-1), 1.0, math.e], [math.exp(1), math.exp(0.3), math.exp(-1)])
    assert law.slope == pytest.approx(-1.0)
    assert math.log(law.factor) == pytest.approx(0.1)
    half = T_1 * math.sqrt(0.03)
    assert law.slope_interval is not None
    assert (law.slope_interval.low, law.slope_interval.high) == pytest.approx((-1 - half, -1 + half))


def test_two_points_have_a_slope_and_no_interval() -> None:
    law = fit_power_law([30, 60], [0.4, 0.3])
    assert (law.points, law.slope_interval) == (2, None)
    assert law.at(120) == pytest.approx(0.225)


@pytest.mark.parametrize(
    ("sizes", "rates", "message"),
    [
        ([30], [0.1], "two different ones"),
        ([30, 30], [0.1, 0.2], "two different ones"),
        ([30, 60], [0.1], "each with a rate"),
        ([30, 60], [0.1, 0.0], "above zero"),
        ([0, 60], [0.1, 0.1], "above zero"),
    ],
)
def test_what_has_no_curve_is_refused(sizes: list[float], rates: list[float], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        fit_power_law(sizes, rates)


def test_an_interval_that_touches_zero_is_no_difference() -> None:
    assert not Difference(0.1, Interval(0.0, 0.2)).real
    assert Difference(0.1, Interval(0.01, 0.2)).real
    assert Difference(-0.1, Interval(-0.2, -0.01)).real
