"""What eight bits cost, in words and figures; the whole way is in test_run."""

from pathlib import Path
from typing import Any

import pytest

from uyan.bundle import Bundle
from uyan.errors import EvaluationError
from uyan.evaluation.intervals import poisson_rate
from uyan.pipeline import int8
from uyan.pipeline.run_folder import RunFolder

WITHIN = {
    "positives": 200,
    "misses": {"fp32": 10, "int8": 11},
    "miss_rate_change": 0.005,
    "false_alarms": {"fp32": 2, "int8": 3},
    "target_fah": 0.5,
    "hours": 1.5,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"miss_rate_change": -0.1}, []),
        (
            {"miss_rate_change": 0.01, "misses": {"fp32": 10, "int8": 12}},
            ["12 of 200 missed instead of 10"],
        ),
        ({"false_alarms": {"fp32": 2, "int8": 4}}, ["4 false alarms instead of 2"]),
        ({"false_alarms": {"fp32": 2, "int8": 4}, "hours": 30.0}, []),
        ({"false_alarms": {"fp32": 2, "int8": 6}, "hours": 30.0}, ["6 false alarms instead of 2"]),
    ],
)
def test_the_budget(changes: dict[str, Any], said: list[str]) -> None:
    assert int8._beyond_budget({**WITHIN, **changes}) == said


def test_alarms_that_both_have_say_nothing_of_a_change() -> None:
    """One lost, two gained: the bounds are those of one and of two events."""
    found = int8._fah_change([[100, 300], [50]], [[110, 500, 700], [50]], lockout_hops=15, hours=10.0)
    lost, gained = poisson_rate(1, 10.0), poisson_rate(2, 10.0)
    assert (found.low, found.high) == (gained.low - lost.high, gained.high - lost.low)


def test_outside_of_the_budget_nothing_is_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "_made", lambda *_: (bundle, {**WITHIN, "miss_rate_change": 0.05}))
    with pytest.raises(EvaluationError, match=r"outside of the budget, nothing was written: 11 of 200 missed"):
        int8.export_int8(RunFolder(bundle, tmp_path), None, lambda *_: None)
    assert not list(tmp_path.iterdir())


def test_without_its_recordings_a_run_cannot_be_quantised(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"--int8: the recordings of .* are needed for it: config\.yaml is not"):
        int8.export_int8(RunFolder(bundle, tmp_path), None, lambda *_: None)
