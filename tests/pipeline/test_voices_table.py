"""What synthetic voices bring, from made-up reports of K-folds: the figures, their pairing, the table's rows."""

import json
from typing import Any

import pytest

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval
from uyan.pipeline.voices_table import BOTH, COLUMNS, COMMON, EACH, REAL, SHIPPED, Point, VoicesTable, as_json, as_rows

PEOPLE = ("ada", "cem", "ece", "nur")
EACH_TIME = 10


def report(misses: int, shipped: int | None = None, trained: int = 5, alarms: int = 2) -> dict[str, Any]:
    """A K-fold of two folds in which each of four people is missed so often of ten times."""

    def figures(of_each: int) -> dict[str, Any]:
        total, positives = len(PEOPLE) * of_each, len(PEOPLE) * EACH_TIME
        return {
            "misses": total,
            "positives": positives,
            "miss_rate": total / positives,
            "miss_interval": {"low": 0.01, "high": 0.8},
            "speaker_interval": {"low": 0.1, "high": 0.7},
            "per_speaker": dict.fromkeys(PEOPLE, (of_each, EACH_TIME)),
        }

    def condition() -> dict[str, Any]:
        at_fah = {"0.5": {**figures(misses), "false_alarms": 3, "met": misses < EACH_TIME, "supported": trained > 5}}
        each = {"0.5": {**figures(misses - 1), "false_alarms": 2, "met": misses < EACH_TIME}}
        return {"at_fah": at_fah, "each_fold_at_fah": each, "shipped": figures(misses if shipped is None else shipped)}

    train = {"positive_speakers": trained + 100, "synthetic_speakers": 100}
    return {
        "conditions": {"clean": condition(), "telephone": condition()},
        "false_alarms": {"events": alarms, "hours": 8.0},
        "folds": [{"data": {"train": train}}] * 2,
        "hours": 8.0,
        "near_words": None,
        "warnings": ["few hours"],
    }


def point(real: int, both: int, limit: int | None = 5) -> Point:
    return Point(limit, {REAL: report(real), BOTH: report(both, 1, alarms=0)})


def test_a_point_counts_at_one_threshold_and_as_shipped() -> None:
    there = point(4, 2)
    common, shipped = (there.missed(BOTH, "clean", at) for at in (COMMON, SHIPPED))
    assert (common.misses, common.positives, common.false_alarms, common.met) == (8, 40, 3, True)
    assert (shipped.misses, shipped.false_alarms, shipped.met) == (4, 0, True)
    assert (common.hours_suffice, shipped.hours_suffice) == (False, None), "as shipped, no rate is aimed at"
    assert common.interval == Interval(0.01, 0.8), "over recordings, for that is wider here"
    each = there.missed(BOTH, "clean", EACH)
    assert (each.misses, each.false_alarms, each.met, each.hours_suffice) == (4, 2, True, False)
    assert not point(EACH_TIME, 2).missed(REAL, "clean", COMMON).met
    assert not point(EACH_TIME, 2).missed(REAL, "clean", EACH).met


def test_the_change_is_paired_by_speaker() -> None:
    change = point(4, 2).change("clean", COMMON)
    assert change is not None and change.interval is not None
    assert change.mean == pytest.approx(-0.2)
    assert -0.3 < change.interval.low < -0.2, "everybody is missed two times less of ten: known but for rounding"
    assert not change.real, "four people"
    each = point(4, 2).change("clean", EACH)
    assert each is not None and each.mean == pytest.approx(-0.2)


def test_one_voice_s_luck_is_no_certainty() -> None:
    there = point(4, 4)
    missed = there.reports[BOTH]["conditions"]["clean"]["at_fah"]["0.5"]
    missed["per_speaker"] = {**missed["per_speaker"], "ada": (0, EACH_TIME)}
    missed["misses"] -= 4
    missed["miss_rate"] = missed["misses"] / missed["positives"]
    change = there.change("clean", COMMON)
    assert change is not None and change.interval is not None and not change.real
    assert change.mean == pytest.approx(-0.1)
    assert change.interval.low < -0.1 < 0 <= change.interval.high


def test_without_a_real_voice_there_is_nothing_to_compare_with() -> None:
    assert Point(0, {BOTH: report(3)}).change("clean", COMMON) is None


@pytest.mark.parametrize(("real", "both"), [(EACH_TIME, 2), (2, EACH_TIME)])
def test_misses_at_another_rate_of_alarms_are_not_compared(real: int, both: int) -> None:
    assert point(real, both).change("clean", COMMON) is None


def test_folds_that_judge_other_recordings_are_not_compared() -> None:
    there = point(4, 2)
    there.reports[BOTH]["conditions"]["clean"]["at_fah"]["0.5"]["per_speaker"] = dict.fromkeys(
        PEOPLE[1:], (2, EACH_TIME)
    )
    with pytest.raises(EvaluationError, match="other recordings; take a new --out"):
        there.change("clean", COMMON)


def test_synthetic_speakers_are_not_real_ones() -> None:
    assert Point(None, {BOTH: report(1, trained=27)}).real_voices == (27, 27)


def test_only_conditions_that_all_have_are_compared_and_the_others_named() -> None:
    lacking = report(1)
    del lacking["conditions"]["telephone"]
    table = VoicesTable("uyan", (point(4, 2), Point(None, {BOTH: lacking})))
    assert table.conditions == ["clean"]
    assert table.judged == dict.fromkeys(PEOPLE, (1, EACH_TIME))
    assert table.warnings == ["few hours", "telephone is left out: not every fold was judged so"]


def test_every_figure_has_its_row_and_the_file_its_numbers() -> None:
    table = VoicesTable("uyan", (Point(0, {BOTH: report(5)}), point(4, 2), point(EACH_TIME, 3, None)))
    header, *rows = as_rows(table)
    assert header == list(COLUMNS)
    assert len(rows) == (1 + 2 + 2) * 2 * 3
    assert all(len(row) == len(COLUMNS) for row in rows)
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    found = {
        (row["max_positive_speakers"], row["trained_on"]): row
        for row in named
        if (row["condition"], row["at"]) == ("clean", COMMON)
    }
    both = found[5, BOTH]
    assert (both["misses"], both["positives"], both["false_alarms"], both["hours"]) == (8, 40, 3, 8.0)
    assert both["change"] == pytest.approx(-0.2)
    assert (both["hours_suffice"], named[-1]["hours_suffice"]) == (False, "")
    assert found[5, REAL]["change"] == found[0, BOTH]["change"] == ""
    assert [found[limit, REAL]["met"] for limit in (5, "")] == [True, False]
    written = json.loads(json.dumps(as_json(table)))
    assert [p["max_positive_speakers"] for p in written["points"]] == [0, 5, None]
    assert written["points"][1]["conditions"]["telephone"][COMMON]["change"]["mean"] == pytest.approx(-0.2)
    assert written["points"][0]["conditions"]["clean"][COMMON]["change"] is None
    assert written["points"][1]["near_words"] == {REAL: None, BOTH: None}
    assert (written["voices"], written["warnings"]) == ("", ["few hours"])
