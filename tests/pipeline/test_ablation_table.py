"""The table of an ablation, from made-up metrics whose figures are worked by hand."""

import math
from typing import Any

import pytest

from uyan.errors import EvaluationError
from uyan.pipeline.ablation_table import Comparison, compare

T_2 = 4.302653
"""Student's t at 0.975 with 2 degrees of freedom."""


def run(clean: int, noisy: int = 0, positives: int = 100, area: float = 0.2, met: bool = True) -> dict[str, Any]:
    def condition(misses: int) -> dict[str, Any]:
        at_fah = {"0.5": {"misses": misses, "positives": positives, "met": met}}
        return {"at_fah": at_fah, "area_over_2_fah": area, "per_speaker": {"ada": (misses, positives)}}

    conditions = {"clean": condition(clean), "5 dB SNR": condition(noisy)}
    return {"keyword": "uyan", "false_alarms": {"hours": 6.5}, "conditions": conditions}


def compared(**rows: list[dict[str, Any]]) -> Comparison:
    return compare(rows, range(42, 42 + len(rows["baseline"])))


def test_means_pooled_counts_and_paired_intervals() -> None:
    baseline = [run(10, 20, area=0.2), run(12, 30, area=0.3), run(14, 40, area=0.4)]
    without = [run(12, 21, area=0.4), run(15, 29, area=0.5), run(21, 40, area=0.6)]
    table = compared(baseline=baseline, without=without)
    assert (table.keyword, table.seeds, table.hours) == ("uyan", (42, 43, 44), 6.5)

    first = table.rows["baseline"]["clean"]
    assert (first.pooled, first.miss_rate, first.miss_difference) == ((36, 300), pytest.approx(0.12), None)
    clean = table.rows["without"]["clean"]
    assert (clean.pooled, clean.miss_rate, clean.area) == ((48, 300), pytest.approx(0.16), pytest.approx(0.5))
    # Differences of 2, 3 and 7 points: mean 4, variance (4 + 1 + 9) / 2 = 7.
    assert clean.miss_difference is not None and clean.miss_difference.interval is not None
    half = T_2 * math.sqrt(7 / 3) / 100
    assert clean.miss_difference.mean == pytest.approx(0.04)
    assert clean.miss_difference.interval.low == pytest.approx(0.04 - half)
    assert clean.miss_difference.interval.high == pytest.approx(0.04 + half)
    assert clean.area_difference is not None and clean.area_difference.mean == pytest.approx(0.2)
    assert clean.area_difference.real  # 0.2 each time, far more than a recording

    noisy = table.rows["without"]["5 dB SNR"].miss_difference
    assert noisy is not None and not noisy.real
    assert noisy.mean == pytest.approx(0.0)


def test_it_is_said_what_a_difference_is_not() -> None:
    runs = [run(10), run(11)]
    notes = compared(baseline=runs, a=[run(12), run(13)], b=[run(9), run(12)]).notes
    assert any("within its 95 % interval" in note and "not a difference" in note for note in notes)
    assert any(note.startswith("of 4 intervals, one in twenty") for note in notes)
    assert any("over training seeds" in note for note in notes)
    assert len(notes) == 3


def test_one_seed_shows_nothing_and_says_so() -> None:
    table = compared(baseline=[run(10)], without=[run(90)])
    found = table.rows["without"]["clean"].miss_difference
    assert found is not None and found.interval is None and not found.real
    assert table.notes[0].startswith("a single seed has no interval")


def test_runs_that_cannot_keep_to_the_rate_are_counted() -> None:
    table = compared(baseline=[run(10), run(11, met=False)], without=[run(9, met=False), run(8, met=False)])
    assert any(note.startswith("3 run(s) cannot keep to 0.5 FAH") for note in table.notes)


def test_a_row_that_equals_the_baseline_is_pointed_out() -> None:
    runs = [run(10, 20), run(12, 30)]
    table = compared(baseline=runs, same=list(runs), other=[run(10, 20), run(12, 31)])
    assert [note.split()[0] for note in table.notes if "equals the baseline" in note] == ["same"]


def test_other_recordings_to_judge_by_are_no_comparison() -> None:
    with pytest.raises(EvaluationError, match=r"without, clean: judged on 90 positives, other runs on 100"):
        compared(baseline=[run(10), run(11)], without=[run(10, positives=90), run(11, positives=90)])
    with pytest.raises(EvaluationError, match=r"baseline, clean: judged on 90 positives, other runs on 100"):
        compared(baseline=[run(10), run(11, positives=90)], without=[run(10), run(11)])
