"""What is said of a search: ranking, front, and what the same voices cannot tell apart."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import TrainingError
from uyan.pipeline.footprint import Footprint
from uyan.pipeline.trials import Judged, Trial
from uyan.pipeline.tune_report import difference, judged_of, pareto_front, report_of
from uyan.recipe import parse_recipe
from uyan.search import Limits

RECIPE = parse_recipe({"keyword": "uyan", "data": {"manifests": ["a.csv"]}}, "test")


def trial(number: int, misses: Sequence[int], parameters: int = 1000, area: float = 0.5, us: float = 50.0) -> Trial:
    """Of voices that say ten words each."""
    lost, positives = sum(misses), 10 * len(misses)
    speakers = {f"voice{voice}": (count, 10) for voice, count in enumerate(misses)}
    found = {"misses": lost, "positives": positives, "met": True, "false_alarms": 0, "per_speaker": speakers}
    judged = Judged(lost / positives, area, 8.0, True, {"clean": found})
    return Trial(
        number, {"training.epochs": number}, "judged", "", Footprint("small", 64, 100, parameters, 1, us), judged
    )


def notes(*trials: Trial, own: int = 99) -> str:
    return "\n".join(report_of(RECIPE, Limits(), trials, {"training.epochs": own}).notes)


def test_fewer_misses_first_then_the_lower_area_then_the_earlier() -> None:
    trials = [trial(0, [3, 3]), trial(1, [2, 3], area=0.9), trial(2, [2, 3], area=0.1), trial(3, [3, 2], area=0.9)]
    report = report_of(RECIPE, Limits(), trials, None)
    assert [t.number for t in report.ranked] == [2, 1, 3, 0] and report.best.number == 2


@given(misses=st.integers(0, 39), area=st.floats(0, 1), other=st.floats(0, 1))
def test_one_miss_weighs_more_than_any_area(misses: int, area: float, other: float) -> None:
    counts = [min(10, max(0, misses - 10 * voice)) for voice in range(4)]
    more = [min(10, max(0, misses + 1 - 10 * voice)) for voice in range(4)]
    assert judged_of(trial(0, counts, area=area)).loss < judged_of(trial(1, more, area=other)).loss or (
        area,
        other,
    ) == (1, 0)


def test_the_front_is_what_no_other_beats() -> None:
    trials = [
        trial(0, [5], 30),
        trial(1, [4], 30),
        trial(2, [4], 60),
        trial(3, [2], 90),
        trial(4, [3], 95),
        trial(5, [4], 30),
    ]
    assert pareto_front(trials, "parameters") == {1, 3}


def test_misses_are_weighed_against_time_where_that_alone_is_limited() -> None:
    trials = [trial(0, [5], 30, us=70), trial(1, [4], 60, us=60)]
    assert report_of(RECIPE, Limits(), trials, None).front == {0, 1}
    timed = report_of(RECIPE, Limits(max_window_us=80), trials, None)
    assert (timed.cost, timed.front) == ("window_us", {1})
    assert report_of(RECIPE, Limits(max_window_us=80, max_parameters=99), trials, None).cost == "parameters"


def test_differences_are_of_the_same_voices() -> None:
    mean, low, high = difference(trial(0, [1] * 8), trial(1, [3] * 8))
    assert mean == 20.0
    assert 15 < low < 20 < high < 25, "all alike, each known to half a recording"
    mean, low, high = difference(trial(0, [1, 9, 2, 8]), trial(1, [9, 2, 8, 3]))
    assert mean == pytest.approx(5.0) and low < 0 < high


def test_chance_is_said() -> None:
    assert "these voices cannot tell them apart" in notes(trial(0, [1, 9, 2, 8]), trial(1, [9, 2, 8, 3]))
    assert "trial-000 misses 20.0 points less than trial-001, the next" in notes(trial(0, [1] * 8), trial(1, [3] * 8))
    assert "more than a draw of voices explains" in notes(trial(0, [1] * 8), trial(1, [3] * 8))
    three = trial(0, [1] * 8), trial(1, [2] * 8), trial(2, [3] * 8)
    assert "the recipe as it is (trial-002)" in notes(*three, own=2)
    assert "the recipe as it is was best" in notes(*three, own=0)


def test_a_recipe_that_is_not_among_what_is_searched_is_named() -> None:
    said = "the recipe as it is lies outside of what is searched"
    assert any(said in note for note in report_of(RECIPE, Limits(), [trial(0, [1])], None).notes)
    assert said not in notes(trial(0, [1]), own=3)


def test_hours_that_cannot_show_the_target_are_named() -> None:
    few = trial(0, [3])
    judged = judged_of(few)
    short = Trial(
        0, few.values, "judged", "", few.footprint, Judged(judged.miss_rate, 0.5, 3.0, False, judged.conditions)
    )
    assert "3.00 h of validation negatives cannot show 0.5 false alarms per hour" in notes(short)
    assert "at most 1 of them fire" in notes(short) and "cannot show" not in notes(few)


def test_without_a_trial_that_was_judged_each_reason_is_listed() -> None:
    with pytest.raises(TrainingError, match=r"(?s)no trial was trained.*trial-007: failed: the loss is NaN"):
        report_of(RECIPE, Limits(), [Trial(7, {}, "failed", "the loss is NaN")], None)
