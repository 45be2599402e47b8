"""What may be said, and what is refused: the hours, the alarms and the threshold's origin all have a say."""

from dataclasses import replace

import pytest

from uyan.evaluation.claims import at_fah_claim, at_fah_refusal, fah_claim, refusal
from uyan.evaluation.intervals import clopper_pearson, poisson_rate
from uyan.evaluation.metrics import MissRateAtFah


def at_fah(target_fah: float, false_alarms: int, hours: float) -> MissRateAtFah:
    return MissRateAtFah(
        threshold=0.9,
        target_fah=target_fah,
        false_alarms=false_alarms,
        hours=hours,
        fah=false_alarms / hours,
        fah_interval=poisson_rate(false_alarms, hours),
        misses=3,
        positives=60,
        miss_rate=0.05,
        miss_interval=clopper_pearson(3, 60),
        met=True,
    )


def test_alarms_whose_bound_exceeds_the_target_show_no_such_rate() -> None:
    """Three alarms in 7.84 h are 0.38 an hour, and may be 1.12."""
    found = at_fah(0.5, 3, 7.84)
    assert at_fah_refusal(found).startswith("3 alarms in 7.84 h: 0.38 per hour (95 % 0.08 – 1.12): more than the 0.5")
    assert at_fah_claim(found) == at_fah_refusal(found)


def test_no_alarm_in_enough_hours_shows_the_rate_at_a_threshold_of_this_test() -> None:
    found = at_fah(0.5, 0, 7.84)
    assert at_fah_refusal(found) == ""
    assert at_fah_claim(found) == "3 of 60 missed: 5.0 % (95 % 1.0 – 13.9), at this test's best threshold"


@pytest.mark.parametrize("hours", [0.5, 5.9])
def test_hours_too_few_are_refused_before_anything_else(hours: float) -> None:
    assert at_fah_claim(replace(at_fah(0.5, 0, hours), met=False)) == refusal(0.5, hours) != ""


def test_a_target_that_no_threshold_keeps_to_is_said() -> None:
    assert at_fah_claim(replace(at_fah(0.5, 40, 10.0), met=False)) == "no threshold keeps to 0.5 alarms per hour"


def test_the_bound_without_an_alarm_is_three_over_the_hours() -> None:
    assert fah_claim(0, 10.0) == "0 alarms in 10.00 h: ≤ 0.30 per hour (95 %)"
