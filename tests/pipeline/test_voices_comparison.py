"""`voices compare`: which K-folds it asks for, what it refuses, what it writes; all of it on a made-up corpus."""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from uyan.errors import ConfigError, RunsFailedError
from uyan.pipeline import voices_comparison as module
from uyan.pipeline.run_task import RunTask
from uyan.pipeline.voices_comparison import choose_limits, compare_voices
from uyan.pipeline.voices_table import COMMON, WAYS, VoicesTable
from uyan.recipe import Recipe

WriteCorpus = Callable[..., Path]
RECIPE = """keyword: uyan
data: {manifests: [corpus/manifest.csv]}
network: {size: small}
batches: {size: 24}
variants: {positive: 0, negative: 0}
mining: {rounds: 0}
training: {epochs: 1}
evaluation: {snr_db: []}
"""
FOLD_SETS = ("both-all", "real-all", "both-5", "real-5", "both-0")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def rename(manifest: Path, pattern: str, name: str) -> None:
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(re.sub(rf",{pattern},", name, text), encoding="utf-8")


def test_the_points_ascend_and_all_there_are_come_last() -> None:
    told: list[str] = []
    assert choose_limits([20, 5, 0, 5], [12, 11], told.append) == [0, 5, None]
    assert told == [
        "real voices to train on, fold by fold: 12, 11",
        "20 real voices were asked for, 12 at most are there to train on: a point of all instead",
    ]
    assert choose_limits([], [12], told.append) == [None]
    assert choose_limits([11], [12, 10], told.append) == [11, None]
    assert told[2:] == ["real voices to train on, fold by fold: 12", "real voices to train on, fold by fold: 12, 10"]


def test_a_negative_number_of_voices_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be negative"):
        choose_limits([5, -1], [12])


@pytest.mark.parametrize("field", ["synthetic_share=0", "max_positive_speakers=5"])
def test_a_recipe_sets_nothing_that_is_varied_here(recipe: Path, tmp_path: Path, field: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{field.split('=')[0]} is .* take it out"):
        compare_voices(recipe, [f"data.{field}"], tmp_path / "there", [0])


@pytest.mark.parametrize(
    ("machines", "why"),
    [("[]", "uyan voices generate"), (r"\d", "fold-0 of 2 has no real voice"), ("[3-8]", "of 2 has no real voice")],
)
def test_both_kinds_of_voices_are_needed_in_every_fold(
    recipe: Path, tmp_path: Path, write_corpus: WriteCorpus, machines: str, why: str
) -> None:
    manifest = write_corpus(tmp_path / "corpus", speakers=9)
    if machines != "[]":
        rename(manifest, f"(voice{machines})", r",tts:made:\1,")
    with pytest.raises(ConfigError, match=why):
        compare_voices(recipe, [], tmp_path / "there", [0], folds=2)
    assert not (tmp_path / "there").exists()


def pooled(recipe: Recipe, tasks: Sequence[RunTask], metrics: Sequence[Mapping[str, Any]], out: Path) -> dict[str, Any]:
    """In place of a report: what it would be of."""
    assert [found["name"] for found in metrics] == [task.name for task in tasks]
    assert {task.out.parent for task in tasks} == {out}
    return {"of": recipe.data}


def limits_of(table: VoicesTable) -> list[tuple[str, int | None, float | None]]:
    return [
        (side, found["of"].max_positive_speakers, found["of"].synthetic_share)
        for point in table.points
        for side, found in point.reports.items()
    ]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[VoicesTable]:
    """Tables that were written, of made-up runs."""
    written: list[VoicesTable] = []
    monkeypatch.setattr(module, "count_real_voices", lambda *arguments: [9, 9])
    monkeypatch.setattr(module, "finished", lambda task: {"name": task.name})
    monkeypatch.setattr(module, "pool_folds", pooled)
    monkeypatch.setattr(module, "save", lambda table, out: written.append(table))
    return written


def test_each_point_is_a_k_fold_with_and_one_without(
    recipe: Path, tmp_path: Path, saved: list[VoicesTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunTask] = []
    monkeypatch.setattr(module, "run_many", lambda tasks, *rest: asked.extend(tasks))
    table = compare_voices(recipe, ["training.seed=7"], tmp_path / "there", [0, 5], folds=2)
    assert saved == [table]
    whole = [("real", None, 0), ("both", None, 0.5)]
    assert limits_of(table) == [("both", 0, 0.5), ("real", 5, 0), ("both", 5, 0.5), *whole]
    names = [f"{found}, fold-{fold}" for found in FOLD_SETS for fold in range(2)]
    assert [task.name for task in asked] == names, "the largest first"
    assert [task.out for task in asked] == [tmp_path / "there" / Path(*name.split(", ")) for name in names]
    assert len({task.recipe.cache.folder for task in asked}) == 1
    assert {task.recipe.training.seed for task in asked} == {7}


def test_where_a_run_fails_the_others_still_make_a_table(
    recipe: Path, tmp_path: Path, saved: list[VoicesTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_many(*arguments: object) -> None:
        raise RunsFailedError("1 of 10 runs failed", {"real-5, fold-1": "why"})

    monkeypatch.setattr(module, "run_many", run_many)
    ended = {"name": "real-5, fold-1"}
    monkeypatch.setattr(module, "finished", lambda task: None if task.name == ended["name"] else {"name": task.name})
    with pytest.raises(RunsFailedError, match="1 of 10"):
        compare_voices(recipe, [], tmp_path / "there", [5], folds=2)
    (table,) = saved
    assert limits_of(table) == [("both", 5, 0.5), ("real", None, 0), ("both", None, 0.5)]
    monkeypatch.setattr(module, "finished", lambda task: None)
    with pytest.raises(RunsFailedError, match="1 of 10"):
        compare_voices(recipe, [], tmp_path / "there", [5], folds=2)
    assert saved == [table], "nothing is whole"


def stamps(out: Path) -> dict[Path, int]:
    """When each file of the runs was written, but for their locks."""
    return {file: file.stat().st_mtime_ns for file in out.glob("*/fold-*/**/*") if file.name != ".lock"}


@pytest.mark.slow
def test_a_comparison_runs_to_the_end_and_nothing_twice(
    recipe: Path, tmp_path: Path, write_corpus: WriteCorpus
) -> None:
    rename(write_corpus(tmp_path / "corpus", speakers=9), "(voice[678])", r",tts:made:\1,")
    out, told = tmp_path / "there", list[str]()
    table = compare_voices(recipe, [], out, [0, 50], folds=2, jobs=2, tell=told.append)
    assert [(point.limit, list(point.reports)) for point in table.points] == [(0, ["both"]), (None, ["real", "both"])]
    assert table.points[0].real_voices == (0, 0) and min(table.points[1].real_voices) > 0
    assert any(line.startswith("50 real voices were asked for") for line in told)
    for point in table.points:
        for side, report in point.reports.items():
            assert point.missed(side, "clean", COMMON).positives == 12, "six people, twice each; no machine judges"
            synthetic = [fold["data"]["train"]["synthetic_positives"] for fold in report["folds"]]
            assert synthetic == ([6, 6] if side == "both" else [0, 0])
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert [p["real_voices"] for p in written["points"]] == [list(p.real_voices) for p in table.points]
    with (out / "compare.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(table.conditions) * len(WAYS)
    assert not any("no fold's test split" in warning for warning in table.warnings), "machines need not judge"
    before = stamps(out)
    assert len([file for file in before if file.name == "bundle.onnx"]) == 6
    assert compare_voices(recipe, [], out, [0, 50], folds=2, jobs=2) == table
    assert stamps(out) == before
    with pytest.raises(ConfigError, match="another configuration"):
        compare_voices(recipe, ["split.seed=7"], out, [0], folds=2)
    assert stamps(out) == before, "a folder of another comparison is left as it is"
