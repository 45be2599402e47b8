"""What a trial's figures say: of one recording in several conditions, and with how much doubt."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.evaluation.intervals import clopper_pearson
from uyan.pipeline.trials import Judged


def judged(*misses: int, positives: int = 20, area: float = 0.0) -> Judged:
    """Of so many conditions; everybody says one word."""
    found = {
        str(number): {
            "misses": missed,
            "positives": positives,
            "met": True,
            "per_speaker": {str(voice): (int(voice < missed), 1) for voice in range(positives)},
        }
        for number, missed in enumerate(misses)
    }
    return Judged(sum(misses) / len(misses) / positives, area, 8.0, True, found)


@pytest.mark.parametrize("missed", [0, 1, 7])
def test_a_second_condition_in_which_the_same_are_missed_tells_nothing(missed: int) -> None:
    one, two, four = (judged(*[missed] * conditions).interval for conditions in (1, 2, 4))
    assert one == two == four


def test_one_of_twenty() -> None:
    """Clopper and Pearson (1934) by hand: 1 - 0.975^(1/20) and the table's 24.9 %."""
    interval = judged(1, 1).interval
    assert interval.high == pytest.approx(0.2487, abs=1e-4) and interval.low <= 0.00127


@given(misses=st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_misses_between_two_whole_numbers_are_as_doubtful_as_both(misses: Sequence[int]) -> None:
    made = judged(*misses)
    assert made.misses == pytest.approx(20 * made.miss_rate) and made.positives == 20
    for whole in (math.floor(made.misses), math.ceil(made.misses)):
        alone = clopper_pearson(whole, 20)
        assert made.interval.low <= alone.low and alone.high <= made.interval.high
    assert made.interval.low <= made.miss_rate <= made.interval.high


def test_counts_name_their_denominator() -> None:
    assert judged(3).counts == "3/20" and judged(1, 2).counts == "1.5/20, mean of 2 conditions"


@given(first=st.integers(0, 20), second=st.integers(0, 19), area=st.floats(0, 1), other=st.floats(0, 1))
def test_a_miss_in_one_of_two_conditions_weighs_more_than_any_area(
    first: int, second: int, area: float, other: float
) -> None:
    assert judged(first, second, area=area).loss <= judged(first, second + 1, area=other).loss
