"""`voices gain`: which K-folds it asks for, what it refuses, what it writes; a real comparison on a made-up corpus."""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from uyan.errors import ConfigError
from uyan.pipeline import voices_gain as module
from uyan.pipeline.gain_table import COMMON, VoicesGain
from uyan.pipeline.run_task import RunTask
from uyan.pipeline.voices_gain import choose_limits, measure_gain
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
STUDIES = ("both-all", "real-all", "both-5", "real-5", "both-0")


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
    assert choose_limits([20, 5, 0, 5], 12, told.append) == [0, 5, None]
    assert told == ["20 real voices were asked for, 12 at most are there to train on: a point of all instead"]
    assert choose_limits([], 12, told.append) == [None]
    assert choose_limits([11], 12, told.append) == [11, None]
    assert len(told) == 1


def test_a_negative_number_of_voices_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be negative"):
        choose_limits([5, -1], 12)


def test_a_recipe_that_leaves_synthetic_voices_out_has_nothing_to_compare(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="synthetic_share is 0"):
        measure_gain(recipe, ["data.synthetic_share=0"], tmp_path / "gain")


@pytest.mark.parametrize(("voices", "why"), [("none", "uyan voices generate"), ("all", "no real voice")])
def test_both_kinds_of_voices_are_needed(
    recipe: Path, tmp_path: Path, write_corpus: WriteCorpus, voices: str, why: str
) -> None:
    manifest = write_corpus(tmp_path / "corpus", speakers=6)
    if voices == "all":
        rename(manifest, r"(voice\d)", r",tts:made:\1,")
    with pytest.raises(ConfigError, match=why):
        measure_gain(recipe, [], tmp_path / "gain", folds=2)


def test_each_point_is_a_k_fold_with_and_one_without(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunTask] = []

    def run_many(tasks: Sequence[RunTask], *rest: object) -> list[dict[str, Any]]:
        asked.extend(tasks)
        return [{"name": task.name} for task in tasks]

    def pool_folds(
        recipe: Recipe, tasks: Sequence[RunTask], metrics: Sequence[Mapping[str, Any]], out: Path
    ) -> dict[str, Any]:
        assert [found["name"] for found in metrics] == [task.name for task in tasks]
        assert {task.out.parent for task in tasks} == {out}
        trained = {"positive_speakers": 109, "synthetic_speakers": 100}
        return {"of": recipe.data, "folds": [{"data": {"train": trained}}]}

    saved: list[VoicesGain] = []
    monkeypatch.setattr(module, "most_voices", lambda *arguments: 9)
    monkeypatch.setattr(module, "run_many", run_many)
    monkeypatch.setattr(module, "pool_folds", pool_folds)
    monkeypatch.setattr(module, "save", lambda gain, out: saved.append(gain))
    gain = measure_gain(recipe, ["training.seed=7"], tmp_path / "gain", [0, 5], folds=2)
    assert saved == [gain]
    limits = [
        (mix, found["of"].max_positive_speakers, found["of"].synthetic_share)
        for point in gain.points
        for mix, found in point.reports.items()
    ]
    assert limits == [("both", 0, 0.5), ("real", 5, 0), ("both", 5, 0.5), ("real", None, 0), ("both", None, 0.5)]
    names = [f"{study}, fold-{fold}" for study in STUDIES for fold in range(2)]
    assert [task.name for task in asked] == names, "the largest first"
    assert [task.out for task in asked] == [tmp_path / "gain" / Path(*name.split(", ")) for name in names]
    assert len({task.recipe.cache.folder for task in asked}) == 1
    assert {task.recipe.training.seed for task in asked} == {7}


@pytest.mark.slow
def test_a_comparison_runs_to_the_end_and_nothing_twice(
    recipe: Path, tmp_path: Path, write_corpus: WriteCorpus
) -> None:
    rename(write_corpus(tmp_path / "corpus", speakers=9), "(voice[678])", r",tts:made:\1,")
    out, told = tmp_path / "gain", list[str]()
    gain = measure_gain(recipe, [], out, [0, 50], folds=2, jobs=2, tell=told.append)
    assert [(point.limit, list(point.reports)) for point in gain.points] == [(0, ["both"]), (None, ["real", "both"])]
    assert gain.points[0].voices == (0, 0) and min(gain.points[1].voices) > 0
    assert any(line.startswith("50 real voices were asked for") for line in told)
    for point in gain.points:
        for mix, report in point.reports.items():
            assert point.missed(mix, "clean", COMMON).positives == 12, "six people, twice each; no machine judges"
            synthetic = [fold["data"]["train"]["synthetic_positives"] for fold in report["folds"]]
            assert synthetic == ([6, 6] if mix == "both" else [0, 0])
    assert (out / "gain.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((out / "gain.json").read_text(encoding="utf-8"))
    assert [p["real_voices"] for p in written["points"]] == [list(p.voices) for p in gain.points]
    with (out / "gain.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(gain.conditions) * 2
    models = {file: file.stat().st_mtime_ns for file in out.glob("*/fold-*/bundle.onnx")}
    assert len(models) == 6
    measure_gain(recipe, [], out, [0, 50], folds=2, jobs=2)
    assert {file: file.stat().st_mtime_ns for file in out.glob("*/fold-*/bundle.onnx")} == models
