"""A run's folder belongs to one configuration, and paths are where the recipe says."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from uyan.errors import ConfigError, DataError
from uyan.pipeline.workspace import CONFIG, LOCK, Workspace
from uyan.recipe import load_recipe, parse_recipe


def workspace(folder: Path, out: str = "runs/one", **changes: Any) -> Workspace:
    raw = {"keyword": "uyan", "data": {"manifests": ["corpus/manifest.csv"]}, **changes}
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


def test_open_pins_the_configuration(tmp_path: Path) -> None:
    run = workspace(tmp_path, training={"epochs": 3})
    run.open()
    assert load_recipe(run.out / CONFIG) == run.recipe
    assert {file.name for file in run.out.iterdir()} == {CONFIG, LOCK}


def test_the_same_configuration_may_go_on(tmp_path: Path) -> None:
    workspace(tmp_path).open()
    workspace(tmp_path).open()
    workspace(tmp_path, cache={"workers": 1}).open()  # what changes no result does not matter
    assert load_recipe(tmp_path / "runs/one" / CONFIG).cache.workers == 1


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    run = workspace(tmp_path)
    run.out.mkdir(parents=True)
    hold = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); input()"
    command = [sys.executable, "-c", hold, str(run.out / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"1\n"
        with pytest.raises(ConfigError, match=r"--out .*one: another process is at work there; wait for it"):
            run.open()
        other.communicate(b"\n")
    run.open()
    assert load_recipe(run.out / CONFIG) == run.recipe


def test_before_training_a_mistake_can_be_mended_in_place(tmp_path: Path) -> None:
    workspace(tmp_path).open()
    workspace(tmp_path, training={"epochs": 3}).open()
    assert load_recipe(tmp_path / "runs/one" / CONFIG).training.epochs == 3


def test_after_training_the_test_and_the_loader_may_change(tmp_path: Path) -> None:
    trained(tmp_path)
    workspace(tmp_path, evaluation={"snr_db": [0.0]}, batches={"workers": 0}).open()
    assert load_recipe(tmp_path / "runs/one" / CONFIG).evaluation.snr_db == (0.0,)


def test_another_target_needs_another_training(tmp_path: Path) -> None:
    """Events at the target FAH choose the epoch whose weights are kept."""
    trained(tmp_path)
    with pytest.raises(ConfigError, match="another configuration"):
        workspace(tmp_path, calibration={"target_fah": 2.0}).open()


def trained(tmp_path: Path) -> Workspace:
    run = workspace(tmp_path)
    run.open()
    run.training.mkdir()
    return run


def test_another_training_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    trained(tmp_path)
    before = (tmp_path / "runs/one" / CONFIG).read_bytes()
    with pytest.raises(ConfigError, match="runs/one holds a network trained with another configuration"):
        workspace(tmp_path, training={"epochs": 3}).open()
    assert (tmp_path / "runs/one" / CONFIG).read_bytes() == before
    workspace(tmp_path, "runs/two", training={"epochs": 3}).open()


def test_the_refusal_names_what_differs(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(ConfigError, match=r"\(training\.epochs: \S+ there, 3 here\)"):
        workspace(tmp_path, training={"epochs": 3}, batches={"workers": 7}, evaluation={"snr_db": []}).open()


@pytest.mark.parametrize("text", ["", "keyword: [", "keyword: uyan\nfuture_section: {}\n"])
def test_a_damaged_or_foreign_configuration_is_named(tmp_path: Path, text: str) -> None:
    run = trained(tmp_path)
    (run.out / CONFIG).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"runs/one/config\.yaml: "):
        run.open()


@pytest.mark.parametrize("out", ["occupied", "occupied/run"])
def test_a_file_where_the_folder_should_be(tmp_path: Path, out: str) -> None:
    (tmp_path / "occupied").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--out .*occupied.*: cannot be written .*; choose another folder"):
        workspace(tmp_path, out).open()


def test_a_warning_is_told_once_and_kept(tmp_path: Path) -> None:
    told: list[str] = []
    run = workspace(tmp_path)
    run.tell = told.append
    for text in ("few voices", "no noise", "few voices"):
        run.warn(text)
    assert run.warnings == ["few voices", "no noise"]
    assert told == ["warning: few voices", "warning: no noise"]
    assert workspace(tmp_path).warnings == []


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    run = workspace(tmp_path / "recipes", data={"manifests": ["../shared/m.csv", "here.csv", "/elsewhere/m.csv"]})
    assert run.manifests == [tmp_path / "shared/m.csv", tmp_path / "recipes/here.csv", Path("/elsewhere/m.csv")]


def test_what_a_run_learns_from(tmp_path: Path) -> None:
    run = workspace(tmp_path / "recipes", mining={"manifests": ["../radio.csv"]}, training={"init": "a/../t.onnx"})
    assert run.sources == [
        tmp_path / "recipes/corpus/manifest.csv",
        tmp_path / "radio.csv",
        tmp_path / "recipes/t.onnx",
    ]
    idle = workspace(tmp_path, mining={"manifests": ["radio.csv"], "rounds": 0}, training={"init": "words"})
    assert idle.sources == idle.manifests and idle.start_file is None and idle.mined_manifests == []


def test_the_digest_is_of_all_that_a_run_learns_from(tmp_path: Path) -> None:
    for name in ("m.csv", "radio.csv"):
        (tmp_path / name).write_bytes(b"abc")
    each = hashlib.sha256(b"abc").digest()
    data = {"manifests": ["m.csv"]}
    plain, mining = workspace(tmp_path, data=data), workspace(tmp_path, data=data, mining={"manifests": ["radio.csv"]})
    assert plain.manifests_digest() == hashlib.sha256(each).hexdigest()
    assert mining.manifests_digest() == hashlib.sha256(each + each).hexdigest()
    (tmp_path / "radio.csv").unlink()
    with pytest.raises(DataError, match=r"radio\.csv: cannot be read \(No such file"):
        mining.manifests_digest()


def test_the_cache_is_beside_the_run_or_where_the_recipe_says(tmp_path: Path) -> None:
    assert workspace(tmp_path).cache_folder == tmp_path / "runs/cache"
    assert workspace(tmp_path, cache={"folder": "kept"}).cache_folder == tmp_path / "kept"
    cache = workspace(tmp_path, cache={"folder": "kept", "max_ram_gb": 0.5}, frontend={"mels": 40}).cache()
    assert (cache.max_ram_gb, cache.config.mels) == (0.5, 40)
    assert cache.folder.parent == tmp_path / "kept/features" and cache.store is None


@pytest.mark.parametrize("where", ["shared/features", "s3://words/features"])
def test_features_are_taken_from_where_the_recipe_says(tmp_path: Path, where: str) -> None:
    cache = workspace(tmp_path, cache={"read_from": where}).cache()
    root = where if "://" in where else tmp_path / where
    assert str(cache.store) == f"{root}/{cache.config.digest()}"


@pytest.mark.parametrize(("window_s", "frames"), [(1.0, 100), (0.5, 50), (1.36, 136), ("auto", 100)])
def test_the_window_in_frames(tmp_path: Path, window_s: float | str, frames: int) -> None:
    assert workspace(tmp_path, network={"window_s": window_s}).window_frames == frames


def test_the_cache_is_named_as_every_process_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = parse_recipe({"keyword": "uyan", "data": {"manifests": ["a.csv"]}}, "test")
    assert Workspace(recipe, tmp_path, Path("runs/a")).cache_folder == tmp_path / "runs/cache"
