"""`uyan kfold`: what is passed on, and what a user sees of the report."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from uyan.cli.main import main
from uyan.pipeline import kfold as pipeline

RECIPE = "keyword: uyan\ndata: {manifests: [corpus/manifest.csv]}\n"


def rate(misses: int, positives: int) -> dict[str, Any]:
    interval = {"low": 0.0, "high": 0.5}
    return {"miss_rate": misses / positives, "misses": misses, "positives": positives, "speaker_interval": interval}


def condition(misses: int) -> dict[str, Any]:
    return {
        "at_fah": {
            "0.5": {**rate(misses, 40), "events_allowed": 3, "met": True},
            "0.1": {**rate(2 * misses, 40), "events_allowed": 0, "met": misses < 5},
        },
        "each_fold_at_fah": {
            "0.5": {"misses": 3, "positives": 40, "miss_rate": 0.075, "met": True, "events_allowed": [1, 0]},
            "0.1": {
                "misses": misses,
                "positives": 40,
                "miss_rate": misses / 40,
                "met": False,
                "events_allowed": [0, 0],
            },
        },
        "shipped": {
            **rate(misses, 40),
            "mean": 0.1,
            "spread": 0.02,
            "per_speaker": {"ada": [misses, 20], "cem": [0, 20]},
        },
    }


REPORT = {
    "keyword": "uyan",
    "folds": [{}] * 5,
    "conditions": {"clean": condition(4), "telephone": condition(10)},
    "false_alarms": {"events": 0, "hours": 7.0, "fah": 0.0, "fah_interval": {"low": 0.0, "high": 0.43}},
    "hours": 7.0,
    "near_words": {
        "accepted": 6,
        "judged": 30,
        "by_category": {"rhyme": [4, 10], "half": [2, 20]},
        "by_fold": [[1, 15], [5, 15]],
    },
    "warnings": ["3 of 43 recordings of the keyword were in no fold's test split"],
}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return file


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []

    def kfold(*arguments: Any) -> dict[str, Any]:
        made.append(arguments[:5])
        return REPORT

    monkeypatch.setattr(pipeline, "kfold", kfold)
    return made


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of `uyan kfold ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["uyan", "kfold", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_options_reach_the_pipeline(
    recipe: Path, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, recipe) == 0
    options = ("--folds", "3", "--jobs", "2", "--out", "kf", "--set", "training.epochs=7")
    assert call(monkeypatch, recipe, *options) == 0
    (plain, base, out, *rest), (changed, _, chosen, *others) = calls
    assert (base, out, rest) == (recipe.parent, Path("runs/recipe-kfold"), [5, None])
    assert (chosen, others) == (Path("kf"), [3, 2])
    assert changed.training.epochs == 7 != plain.training.epochs


@pytest.mark.usefixtures("calls")
def test_every_figure_is_shown_with_its_denominator(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, recipe, "--out", "kf") == 0
    shown = capsys.readouterr().out
    assert "“uyan”: 5 folds, 40 positives of 2 speakers, 7.00 h of negatives" in shown
    assert "at 0.5 FAH (≤ 3 events)" in shown and "at 0.1 FAH (0 events in 7.0 h)" in shown
    assert re.search(r"clean .* 10\.0% \(0\.0% – 50\.0%\) 4/40 .* 20\.0% \(.*\) 8/40 .* 10\.0% ± 2\.0%", shown)
    assert re.search(r"telephone .* 50\.0% \(.*\) 20/40 not met", shown)
    words = " ".join(shown.split())
    assert "each fold at 0.5 FAH of its own test (≤ 1, 0 alarms): clean 3/40 7.5%, telephone 3/40 7.5%" in words
    assert (
        "each fold at 0.1 FAH of its own test (≤ 0, 0 alarms): clean 4/40 10.0% not met, telephone 10/40 25.0% not met"
        in words
    )
    near = (
        "near words as shipped: 6 of 30 in 2 folds accepted, 20.0% (6.7% – 33.3% a fold): rhyme 4 of 10, half 2 of 20"
    )
    assert near in words
    assert "0 alarms in 7.00 h: ≤ 0.43 per hour (95 %)" in shown
    assert "misses by speaker as shipped, telephone: ada 10/20, cem 0/20" in shown
    assert "warning: 3 of 43 recordings" in shown
    assert "figures kf/kfold.json, curves kf/kfold.png" in shown


def test_a_missing_recipe_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "none.yaml") == 2
    message = capsys.readouterr().err
    assert message.startswith("error: none.yaml: cannot be read") and "Traceback" not in message


@pytest.mark.parametrize("command", ["kfold", "ablate", "curve", "tune"])
def test_an_engine_that_does_not_exist_is_one_line(
    command: str, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["uyan", command, str(recipe), "--on", "slurm"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err.strip() == "error: --on 'slurm': is none of local, ray, ray://HOST:PORT"
