"""What synthetic voices bring, from made-up reports of K-folds: the figures, their pairing, the table's rows."""

import json
from typing import Any

import pytest

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval
from uyan.pipeline.gain_table import (
    COLUMNS,
    COMMON,
    SHIPPED,
    GainPoint,
    VoicesGain,
    as_json,
    as_table,
    real_voices,
    relative,
)

PEOPLE = ("ada", "cem", "ece", "nur")
EACH = 10


def report(misses: int, shipped: int | None = None, trained: int = 5, alarms: int = 2) -> dict[str, Any]:
    """A K-fold of two folds in which each of four people is missed so often of ten times."""

    def figures(of_each: int) -> dict[str, Any]:
        total, positives = len(PEOPLE) * of_each, len(PEOPLE) * EACH
        return {
            "misses": total,
            "positives": positives,
            "miss_rate": total / positives,
            "miss_interval": {"low": 0.01, "high": 0.8},
            "speaker_interval": {"low": 0.1, "high": 0.7},
            "per_speaker": dict.fromkeys(PEOPLE, (of_each, EACH)),
        }

    at_fah = {"0.5": {**figures(misses), "false_alarms": 3, "met": misses < EACH}}
    condition = {"at_fah": at_fah, "shipped": figures(misses if shipped is None else shipped)}
    train = {"positive_speakers": trained + 100, "synthetic_speakers": 100}
    return {
        "conditions": {"clean": condition, "telephone": condition},
        "false_alarms": {"events": alarms, "hours": 8.0},
        "folds": [{"data": {"train": train}}] * 2,
        "hours": 8.0,
    }


def point(real: int, both: int, limit: int | None = 5) -> GainPoint:
    return GainPoint(limit, (5, 5), {"real": report(real), "both": report(both, 1, alarms=0)})


def test_a_point_counts_at_one_threshold_and_as_shipped() -> None:
    there = point(4, 2)
    common, shipped = (there.missed("both", "clean", at) for at in (COMMON, SHIPPED))
    assert (common.misses, common.positives, common.false_alarms, common.met) == (8, 40, 3, True)
    assert (shipped.misses, shipped.false_alarms, shipped.met) == (4, 0, True)
    assert common.interval == Interval(0.01, 0.8), "over recordings, for that is wider here"
    assert not point(EACH, 2).missed("real", "clean", COMMON).met


def test_the_change_is_paired_by_speaker() -> None:
    change = point(4, 2).change("clean", COMMON)
    assert change is not None and change.interval is not None
    assert change.mean == pytest.approx(-0.2)
    # Everybody is missed two times less of ten: no draw of people differs from another.
    assert (change.interval.low, change.interval.high) == pytest.approx((-0.2, -0.2))
    assert relative(change, point(4, 2).missed("real", "clean", COMMON)) == pytest.approx(-0.5)


def test_one_voice_s_luck_is_no_certainty() -> None:
    there = point(4, 4)
    missed = there.reports["both"]["conditions"]["clean"]["at_fah"]["0.5"]["per_speaker"]
    missed["ada"] = (0, EACH)
    change = there.change("clean", COMMON)
    assert change is not None and change.interval is not None and not change.real
    assert change.mean == pytest.approx(-0.1)
    assert change.interval.low < -0.1 < change.interval.high


def test_without_a_real_voice_there_is_nothing_to_compare_with() -> None:
    alone = GainPoint(0, (0, 0), {"both": report(3)})
    assert alone.change("clean", COMMON) is None
    assert relative(None, alone.missed("both", "clean", COMMON)) is None


def test_where_nothing_was_missed_there_is_no_share_of_it() -> None:
    there = point(0, 1)
    assert relative(there.change("clean", COMMON), there.missed("real", "clean", COMMON)) is None


def test_folds_that_judge_other_recordings_are_not_compared() -> None:
    there = point(4, 2)
    del there.reports["both"]["conditions"]["clean"]["at_fah"]["0.5"]["per_speaker"]["ada"]
    with pytest.raises(EvaluationError, match="judge other recordings"):
        there.change("clean", COMMON)


def test_synthetic_speakers_are_not_real_ones() -> None:
    assert real_voices(report(1, trained=27)) == (27, 27)


def test_only_conditions_that_all_have_are_compared() -> None:
    lacking = report(1)
    del lacking["conditions"]["telephone"]
    gain = VoicesGain("uyan", (point(4, 2), GainPoint(None, (9, 9), {"both": lacking})))
    assert gain.conditions == ["clean"]
    assert gain.judged == dict.fromkeys(PEOPLE, (1, EACH))


def test_every_figure_has_its_row_and_the_file_its_numbers() -> None:
    gain = VoicesGain("uyan", (GainPoint(0, (0, 0), {"both": report(5)}), point(4, 2), point(3, 3, None)))
    header, *rows = as_table(gain)
    assert header == list(COLUMNS)
    assert len(rows) == (1 + 2 + 2) * 2 * 2
    assert all(len(row) == len(COLUMNS) for row in rows)
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    (found,) = (
        row
        for row in named
        if (row["max_positive_speakers"], row["trained_on"], row["condition"], row["at"])
        == (5, "both", "clean", COMMON)
    )
    assert (found["misses"], found["positives"], found["false_alarms"], found["hours"]) == (8, 40, 3, 8.0)
    written = json.loads(json.dumps(as_json(gain)))
    assert [p["max_positive_speakers"] for p in written["points"]] == [0, 5, None]
    change = written["points"][1]["conditions"]["telephone"][COMMON]["change"]
    assert (change["mean"], change["relative"]) == pytest.approx((-0.2, -0.5))
    assert "change" not in written["points"][0]["conditions"]["clean"][COMMON]
