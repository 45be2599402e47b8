"""`uyan verify`: what a user sees, and with which code it ends."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from uyan.bundle import Bundle
from uyan.container import seal
from uyan.recipe import parse_recipe

Verify = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verify(uyan: Verify) -> Verify:
    """verify(*arguments): exit code, standard output and standard error of `uyan verify`."""
    return partial(uyan, "verify")


@pytest.fixture
def run(bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle and what little of its run is left: the configuration and the statistics."""
    recipe = parse_recipe({"keyword": "günaydın", "data": {"manifests": ["none.csv"]}}, "test")
    info = replace(bundle.info, config_hash=recipe.digest())
    folder = tmp_path / "koşu"
    folder.mkdir()
    (folder / "bundle.onnx").write_bytes(seal(bundle.data, info.to_json()))
    (folder / "config.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    info.cmvn.save(folder / "stats.json")
    return folder


def assert_one_line(text: str) -> None:
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    assert "Traceback" not in text


def test_a_line_a_check_and_0_when_nothing_failed(verify: Verify, run: Path) -> None:
    code, out, err = verify(run / "bundle.onnx")
    assert (code, err) == (0, "")
    lines = {line[:17].strip(): line[17:].split("  ", 1)[0].strip() for line in out.splitlines()}
    missing = ("weights", "operating point", "figures", "counts", "card", "recalibration")
    assert lines == {
        **dict.fromkeys(("bundle", "configuration", "settings", "CMVN"), "ok"),
        **dict.fromkeys(missing, "not checked"),
    }
    assert "metrics.json is not there" in out


def test_1_when_a_check_failed(verify: Verify, run: Path) -> None:
    stats = json.loads((run / "stats.json").read_text(encoding="utf-8"))
    stats["mean"][0] += 1
    (run / "stats.json").write_text(json.dumps(stats), encoding="utf-8")
    code, out, err = verify(run / "bundle.onnx")
    assert (code, err) == (1, "")
    assert "CMVN             FAILED       the statistics in the bundle are not those of stats.json" in out
    assert out.count("FAILED") == 1


def test_1_when_the_bundle_was_altered(verify: Verify, run: Path) -> None:
    path = run / "bundle.onnx"
    data = path.read_bytes()
    path.write_bytes(data[:3000] + b"?" + data[3001:])
    code, out, err = verify(path)
    assert (code, err) == (1, "")
    assert out.splitlines()[0].startswith("bundle           FAILED")


def test_the_runs_folder_can_be_named(verify: Verify, run: Path, tmp_path: Path) -> None:
    shipped = tmp_path / "shipped.onnx"
    (run / "bundle.onnx").rename(shipped)
    assert verify(shipped, "--run", run)[0] == 0
    code, out, err = verify(shipped)
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert "there is no config.yaml; name it with --run" in err
    code, out, err = verify(shipped, "--run", tmp_path / "none")
    assert (code, out) == (2, "")
    assert_one_line(err)


@pytest.mark.parametrize("name", ["none.onnx", "config.yaml", "."])
def test_what_is_no_bundle_is_bad_usage(verify: Verify, run: Path, name: str) -> None:
    code, out, err = verify(run / name, "--run", run)
    assert (code, out) == (2, "")
    assert_one_line(err)


def test_recalibration_that_cannot_be_done_is_said(verify: Verify, run: Path) -> None:
    code, out, err = verify(run / "bundle.onnx", "--recalibrate")
    assert code == 0
    last = out.splitlines()[-1]
    assert last.startswith("recalibration    not checked  the manifests are not found")
    assert "Traceback" not in err
