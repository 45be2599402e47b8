"""`uyan ablate`: what a user sees of made-up runs."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from uyan.cli import ablate, curve
from uyan.pipeline import ablate as library
from uyan.pipeline.ablation_table import compare

app = typer.Typer()
ablate.register(app)
curve.register(app)  # with a single command typer would expect no name


def run(misses: int) -> dict[str, Any]:
    point = {"misses": misses, "positives": 100, "met": True}
    condition = {"at_fah": {"0.5": point}, "area_over_2_fah": misses / 50, "per_speaker": {"tts:piper:joe": (0, 100)}}
    conditions = {"clean": condition, "telephone": condition}
    return {"keyword": "uyan", "false_alarms": {"hours": 6.5}, "conditions": conditions}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the library is called with; it answers with a table of two rows and three seeds."""
    calls: list[tuple[Any, ...]] = []

    def fake(*arguments: Any) -> Any:
        calls.append(arguments[:5])
        baseline, without = [run(10), run(12), run(14)], [run(40), run(43), run(44)]
        return compare({"baseline": baseline, "no-mixbg": without, "no-rir": [run(11), run(12), run(13)]}, [42, 43, 44])

    monkeypatch.setattr(library, "ablate", fake)
    monkeypatch.setenv("COLUMNS", "200")
    return calls


def test_the_table_shows_means_counts_and_differences(asked: list[tuple[Any, ...]]) -> None:
    shown = CliRunner().invoke(app, ["ablate", "a/jarvis.yaml"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.lstrip().startswith("no real voice has been heard")
    assert "“uyan”: miss rate at 0.5 FAH, mean of seed(s) 42, 43, 44; 6.50 h" in shown.output
    assert "12.0% 36/300" in shown.output
    # Differences of 30, 31 and 30 points, then of 1, 0 and -1: 4.3027 · √(1/3 / 3) = 1.43, 4.3027 · √(1 / 3) = 2.48.
    assert "+30.3 [+28.9, +31.8]*" in shown.output
    assert "+0.0 [-2.5, +2.5]" in shown.output and "+2.5]*" not in shown.output
    assert "note: a difference within its 95 % interval" in shown.output
    assert "no mixbg" in shown.output and "telephone" in shown.output


def test_options_reach_the_library(asked: list[tuple[Any, ...]]) -> None:
    runner = CliRunner()
    runner.invoke(app, ["ablate", "a/jarvis.yaml"])
    options = ["--seeds", "5", "--set", "training.epochs=3", "--out", "there", "--jobs", "2"]
    runner.invoke(app, ["ablate", "a/jarvis.yaml", *options])
    recipe = Path("a/jarvis.yaml")
    assert asked == [
        (recipe, [], Path("runs/jarvis-ablate"), 3, None),
        (recipe, ["training.epochs=3"], Path("there"), 5, 2),
    ]


def test_no_seeds_are_refused(asked: list[tuple[Any, ...]]) -> None:
    assert CliRunner().invoke(app, ["ablate", "a/jarvis.yaml", "--seeds", "0"]).exit_code == 2
    assert asked == []
