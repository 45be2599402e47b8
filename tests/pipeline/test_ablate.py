"""`ablate`: which runs it asks for and what it writes, the runs themselves made up."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from uyan.errors import ConfigError
from uyan.pipeline import ablate as module
from uyan.pipeline.ablate import ABLATIONS, ablate, effective_ablations
from uyan.pipeline.many import RunTask
from uyan.recipe import load_recipe

RECIPE = "keyword: uyan\ndata: {manifests: [corpus/manifest.csv]}\n"
MISSES = {"baseline": 10, "no-rir": 14, "no-specaug": 10, "no-mixbg": 40}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunTask]:
    """The runs that were asked for; every one misses so many of 100 words, and its seed less 42 more."""
    tasks: list[RunTask] = []

    def run_many(given: Sequence[RunTask], jobs: int, progress: object, tell: object) -> list[dict[str, Any]]:
        tasks.extend(given)
        return [metrics(task) for task in given]

    monkeypatch.setattr(module, "run_many", run_many)
    return tasks


def metrics(task: RunTask) -> dict[str, Any]:
    row, seed = task.name.rsplit("-seed", 1)
    misses = MISSES[row] + int(seed) - 42
    condition = {"at_fah": {"0.5": {"misses": misses, "positives": 100, "met": True}}, "area_over_2_fah": misses / 90}
    condition["per_speaker"] = {"ada": (misses, 100)}
    conditions = {"clean": condition, "telephone": condition}
    return {"keyword": task.recipe.keyword, "false_alarms": {"hours": 6.5}, "conditions": conditions}


def test_each_ablation_turns_off_what_its_name_says(recipe: Path) -> None:
    assert list(ABLATIONS) == ["no-rir", "no-specaug", "no-mixbg"]
    assert load_recipe(recipe, ABLATIONS["no-rir"]).variants.rir_share == 0
    masked = load_recipe(recipe, ABLATIONS["no-specaug"]).augment
    assert (masked.time_masks, masked.mel_masks) == (0, 0)
    assert load_recipe(recipe, ABLATIONS["no-mixbg"]).augment.background_share == 0


def test_every_row_is_run_with_every_seed_on_the_same_split(recipe: Path, asked: list[RunTask]) -> None:
    out = recipe.parent / "runs/table"
    ablate(recipe, ["training.epochs=3"], out, seeds=2, jobs=1)
    expected = [f"{row}-seed{seed}" for row in MISSES for seed in (42, 43)]
    assert [task.name for task in asked] == expected
    assert [task.out for task in asked] == [out / name for name in expected]
    assert {task.base for task in asked} == {recipe.parent}
    assert [task.recipe.training.seed for task in asked] == [42, 43] * 4
    assert len({task.recipe.split for task in asked}) == 1
    assert {task.recipe.training.epochs for task in asked} == {3}
    assert len({task.recipe.digest() for task in asked}) == 8
    assert {task.recipe.cache.folder for task in asked} == {str(recipe.parent / "runs/cache")}


def test_seeds_go_on_from_the_recipes_own(recipe: Path, asked: list[RunTask]) -> None:
    ablate(recipe, ["training.seed=50"], recipe.parent / "table", seeds=3)
    assert [task.recipe.training.seed for task in asked[:3]] == [50, 51, 52]


def test_the_table_is_written_as_json_csv_and_picture(recipe: Path, asked: list[RunTask]) -> None:
    out = recipe.parent / "table"
    comparison = ablate(recipe, [], out, seeds=3)
    written = json.loads((out / "ablate.json").read_text(encoding="utf-8"))
    assert written["voices"] == ""
    assert list(written["rows"]) == list(MISSES)
    assert written["seeds"] == [42, 43, 44]
    assert written["rows"]["no-specaug"]["overrides"] == ["augment.time_masks=0", "augment.mel_masks=0"]
    clean = written["rows"]["no-mixbg"]["conditions"]["clean"]
    assert clean["misses"] == [40, 41, 42]
    assert clean["miss_difference"]["mean"] == pytest.approx(0.3)
    assert any("is not a difference" in note for note in written["notes"])
    with (out / "ablate.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [(line["row"], line["condition"]) for line in table[:3]] == [
        ("baseline", "clean"), ("baseline", "telephone"), ("no-rir", "clean"),
    ]  # fmt: skip
    assert (table[0]["misses"], table[0]["positives"], table[0]["miss_difference"]) == ("33", "300", "")
    found = comparison.rows["no-rir"]["clean"].miss_difference
    assert found is not None and found.interval is not None
    assert float(table[2]["miss_low"]) == found.interval.low
    assert (out / "ablate.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_off_already_is_no_row(recipe: Path, asked: list[RunTask]) -> None:
    told: list[str] = []
    comparison = ablate(recipe, ["augment.background_share=0"], recipe.parent / "table", seeds=1, tell=told.append)
    assert list(comparison.rows) == ["baseline", "no-rir", "no-specaug"]
    assert told == ["no-mixbg: left out of the table, for the recipe has it off already"]


def test_a_recipe_with_nothing_to_leave_out(recipe: Path) -> None:
    everything = [change for changes in ABLATIONS.values() for change in changes]
    with pytest.raises(ConfigError, match="nothing to leave out"):
        effective_ablations(recipe, everything)


def test_no_seed_is_no_ablation(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="--seeds 0"):
        ablate(recipe, [], recipe.parent / "table", seeds=0)
