"""The folds of a recipe, and a whole K-fold on a made-up corpus."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uyan.data.split import split_of
from uyan.engine.parallel import engine
from uyan.errors import ConfigError
from uyan.pipeline.evaluate import TRACKS
from uyan.pipeline.kfold import PICTURE, REPORT, fold_tasks, kfold
from uyan.pipeline.workspace import Workspace
from uyan.recipe import Recipe, parse_recipe
from uyan.training.fit import WEIGHTS

WriteCorpus = Callable[..., Path]
POSITIVES, SPEAKERS = 16, 8


def recipe(**changes: Any) -> Recipe:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "network": {"size": "small"},
        "batches": {"size": 24},
        "variants": {"positive": 0, "negative": 0},
        "mining": {"rounds": 0},
        "training": {"epochs": 1},
        "evaluation": {"snr_db": []},
        **changes,
    }
    return parse_recipe(raw, "test")


def test_official_splits_do_not_turn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"split\.official"):
        fold_tasks(recipe(split={"official": True}), tmp_path, tmp_path / "out", 5)


def test_the_folds_are_the_turns_of_the_circle(tmp_path: Path) -> None:
    tasks = fold_tasks(recipe(split={"validation": 0.3, "seed": 7}), tmp_path, tmp_path / "out", 5)
    assert [(task.name, task.out) for task in tasks] == [(f"fold-{i}", tmp_path / f"out/fold-{i}") for i in range(5)]
    splits = [task.recipe.split for task in tasks]
    assert {(s.folds, s.test, s.validation, s.seed) for s in splits} == {(5, 0.2, 0.3, 7)}
    for speaker in range(200):
        assert [split_of(f"voice{speaker}", split) for split in splits].count("test") == 1
    assert len({task.recipe.digest() for task in tasks}) == 5


def test_all_folds_share_one_cache(tmp_path: Path) -> None:
    """The one that a plain run beside them has, unless the recipe names another."""

    def folders(given: Recipe) -> set[Path]:
        tasks = fold_tasks(given, tmp_path / "recipes", tmp_path / "runs/kfold", 3)
        return {Workspace(task.recipe, task.base, task.out).cache_folder for task in tasks}

    plain = Workspace(recipe(), tmp_path / "recipes", tmp_path / "runs/plain")
    assert folders(recipe()) == {plain.cache_folder} == {tmp_path / "runs/cache"}
    assert folders(recipe(cache={"folder": "kept"})) == {tmp_path / "recipes/kept"}


@pytest.mark.parametrize(("folds", "why"), [(1, "at least 2 folds, not 1"), (2, "leave a share for train")])
def test_too_few_folds(tmp_path: Path, folds: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        fold_tasks(recipe(split={"validation": 0.5, "test": 0.2}), tmp_path, tmp_path / "out", folds)


@pytest.mark.slow
def test_every_recording_is_judged_once_and_nothing_is_done_twice(tmp_path: Path, write_corpus: WriteCorpus) -> None:
    write_corpus(tmp_path / "corpus", speakers=SPEAKERS)
    out, lines = tmp_path / "runs/kfold", list[str]()
    report = kfold(recipe(), tmp_path, out, folds=2, jobs=2, tell=lines.append)
    assert json.loads((out / REPORT).read_text(encoding="utf-8")) == json.loads(json.dumps(report))
    assert (out / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert list(report["conditions"]) == ["clean", "telephone"]
    for condition in report["conditions"].values():
        assert condition["shipped"]["positives"] == POSITIVES
        assert len(condition["shipped"]["per_speaker"]) == SPEAKERS
        assert [found["positives"] for found in condition["at_fah"].values()] == [POSITIVES, POSITIVES]
        assert condition["at_fah"]["0.1"]["events_allowed"] == 0
        each = condition["each_fold_at_fah"]["0.5"]
        assert each["positives"] == POSITIVES and each["met"] and len(each["thresholds"]) == 2
    assert report["hours"] == pytest.approx(sum(fold["data"]["test"]["negative_hours"] for fold in report["folds"]))
    assert report["false_alarms"]["events"] == sum(fold["false_alarms"]["events"] for fold in report["folds"])
    assert report["skipped"] == {"positives": 0, "negatives": 0}
    assert {line.split(":")[0] for line in lines} == {"features", "fold-0", "fold-1"}  # settled for both
    written = {file: file.stat().st_mtime_ns for file in out.glob("fold-*/*")}
    assert {out / "fold-0" / TRACKS, out / "fold-1" / TRACKS} <= set(written)
    assert kfold(recipe(), tmp_path, out, folds=2, jobs=2) == report
    assert {file: file.stat().st_mtime_ns for file in out.glob("fold-*/*")} == written


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_same_folds(tmp_path: Path, write_corpus: WriteCorpus) -> None:
    pytest.importorskip("ray", reason="needs uyan[ray]")
    write_corpus(tmp_path / "corpus", speakers=SPEAKERS)
    here, there, lines = tmp_path / "runs/here", tmp_path / "runs/there", list[str]()
    report = kfold(recipe(), tmp_path, here, folds=2, jobs=2)
    with engine("ray"):
        assert json.dumps(kfold(recipe(), tmp_path, there, folds=2, jobs=2, tell=lines.append)) == json.dumps(report)
    for fold in ("fold-0", "fold-1"):
        weights = Path(fold, "training", WEIGHTS)
        assert (there / weights).read_bytes() == (here / weights).read_bytes()
    assert {line.split(":")[0] for line in lines} == {"features", "fold-0", "fold-1"}
