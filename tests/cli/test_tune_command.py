"""`uyan tune`: what a user sees of made-up trials, and of mistakes."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from uyan.cli import curve, tune
from uyan.pipeline import tune as library
from uyan.pipeline.footprint import Footprint
from uyan.pipeline.suggest import State
from uyan.pipeline.trials import Judged, Trial
from uyan.pipeline.tune_report import TuneReport, report_of
from uyan.recipe import parse_recipe
from uyan.search import Limits

app = typer.Typer()
tune.register(app)
curve.register(app)  # with a single command typer would expect no name

Uyan = Any


def trial(number: int, size: str, misses: int | None, state: State = "judged", reason: str = "") -> Trial:
    parameters = {"small": 30_050, "medium": 65_442, "large": 260_482}[size]
    cost = Footprint(size, 64, 100, parameters, 4 * parameters, parameters / 1000)  # type: ignore[arg-type]
    values = {"network.size": size, "training.learning_rate": 0.0005 * (number + 1)}
    if misses is None:
        return Trial(number, values, state, reason, cost)
    found = {"misses": misses, "positives": 100, "met": misses < 90, "false_alarms": 3}
    speakers = {f"voice{voice}": (misses // 4, 25) for voice in range(4)}
    conditions = {name: {**found, "per_speaker": speakers} for name in ("clean", "5 dB SNR")}
    return Trial(number, values, state, reason, cost, Judged(misses / 100, 0.3, 8.0, True, conditions))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the library is called with; it answers with five trials."""
    calls: list[tuple[Any, ...]] = []

    def fake(*arguments: Any) -> TuneReport:
        calls.append(arguments[:4])
        recipe = parse_recipe({"keyword": "uyan", "data": {"manifests": ["a.csv"]}}, "test")
        trials = [trial(0, "medium", 40), trial(1, "small", 52), trial(2, "medium", 36), trial(5, "small", 92)]
        trials += [trial(3, "large", None, "infeasible", "260,482 parameters, more than 90,000")]
        trials += [trial(4, "small", None, "failed", "the loss is NaN")]
        own = {"network.size": "medium", "training.learning_rate": 0.0005}
        return report_of(recipe, Limits(max_parameters=90_000), trials, own)

    monkeypatch.setattr(library, "tune", fake)
    monkeypatch.setenv("COLUMNS", "200")
    return calls


def test_the_table_ranks_trials_with_what_they_cost(asked: list[tuple[Any, ...]]) -> None:
    shown = CliRunner().invoke(app, ["tune", "a/jarvis.yaml"])
    assert shown.exit_code == 0, shown.output
    lines = [line for line in shown.output.splitlines() if line.startswith("│")]
    assert [line.split()[1].rstrip("*") for line in lines] == ["2", "0", "1", "5", "3", "4"]
    best, as_is, small, unmet, large, failed = (line.split() for line in lines)
    assert best[1] == "2*" and "36.0%" in best and best.count("36/100") == 2 and "65,442" in best and "262" in best
    assert as_is[1:5] == ["0", "as", "it", "is"] and small[1] == "1*" and unmet.count("met") == 2
    assert "infeasible" in large and "260,482" in large and "failed" in failed
    assert (
        "“uyan”: misses at 0.5 FAH on the validation split, 100 positives of 4 speakers, 8.00 h of negatives"
        in shown.output
    )
    assert "the interval of the mean of 2 conditions, the same positives in each" in shown.output
    assert "network." in shown.output and "learning_rate" in shown.output


def test_what_the_reader_must_know_is_said(asked: list[tuple[Any, ...]]) -> None:
    shown = CliRunner().invoke(app, ["tune", "a/jarvis.yaml", "--out", "there"]).output
    assert "trial 3 infeasible: 260,482 parameters, more than 90,000" in shown
    assert "trial 4 failed: the loss is NaN" in shown
    assert "note: the validation split chose among 4 trial(s)" in shown and "no trial has seen the test split" in shown
    # Four voices who miss one of 25 less each: of any four, one in eight agrees by chance.
    assert (
        "note: trial-002 misses 4.0 points less than trial-000, the next (95 % interval over speakers 0.0 to 5.3): "
        "these voices cannot tell them apart" in shown
    )
    assert "note: 1 trial(s) have no threshold that keeps to 0.5 FAH" in shown
    assert (
        "judge trial-002 on the test split, with the weights it has: uyan run there/best.yaml --out there/trial-002"
        in shown
    )
    assert "kfold" not in shown  # a fold's test holds voices that chose
    assert "table there/tune.csv, figures there/tune.json, picture there/tune.png, recipe there/best.yaml" in shown


def test_options_reach_the_library(asked: list[tuple[Any, ...]]) -> None:
    runner = CliRunner()
    runner.invoke(app, ["tune", "a/jarvis.yaml"])
    runner.invoke(app, ["tune", "a/jarvis.yaml", "--set", "search.trials=40", "--out", "there", "--jobs", "2"])
    recipe = Path("a/jarvis.yaml")
    assert asked == [(recipe, [], Path("runs/jarvis-tune"), None), (recipe, ["search.trials=40"], Path("there"), 2)]


def test_mistakes_end_with_two_and_one_message(tmp_path: Path, uyan: Uyan) -> None:
    recipe = tmp_path / "uyan.yaml"
    plain = "keyword: uyan\ndata: {manifests: [a.csv]}\n"
    recipe.write_text(plain, encoding="utf-8")
    code, _, said = uyan("tune", recipe, "--out", tmp_path / "out")
    assert code == 2 and said.strip().startswith("error: ") and "names nothing to search" in said
    recipe.write_text(f"{plain}search: {{fields: {{detector.lockout_s: [1, 2]}}}}\n", encoding="utf-8")
    code, _, said = uyan("tune", recipe, "--out", tmp_path / "out")
    assert code == 2 and "search.fields.detector.lockout_s: cannot be searched" in said and "Traceback" not in said
    recipe.write_text(f"{plain}search: {{fields: {{network.size: [small, large]}}}}\n", encoding="utf-8")
    code, _, said = uyan("tune", recipe, "--out", tmp_path / "out")
    assert code == 2 and "a.csv: cannot be read" in said
