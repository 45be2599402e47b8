"""Each promise of a bundle is checked, and each check fails when that promise, and no other, is broken."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uyan.bundle import MAX_BUNDLE_BYTES, Bundle, BundleInfo, load
from uyan.container import seal
from uyan.decision import DetectorConfig
from uyan.errors import BundleError, ConfigError
from uyan.evaluation.scores import ScoreTrack
from uyan.evaluation.track_file import TrackSet, save_tracks
from uyan.export.model_card import model_card
from uyan.frontend import FrontendConfig
from uyan.model.network import Network
from uyan.pipeline.export import FIGURES
from uyan.pipeline.run import run_until
from uyan.pipeline.run_folder import LIMITS, RunFolder
from uyan.pipeline.verify import CHECKS, REPEATED, Check, failed, verify
from uyan.pipeline.workspace import Workspace
from uyan.recipe import Recipe, load_recipe, parse_recipe
from uyan.training.checkpoint import load_tensors, save_tensors

RECIPE = parse_recipe(
    {"keyword": "günaydın", "data": {"manifests": ["manifest.csv"]}, "network": {"size": "small"}}, "test"
)
CALIBRATION = {
    "temperature": 1.5,
    "operating_point": {"threshold": 0.5, "target_fah": 0.5, "false_alarms": 0, "hours": 2.0},
    "tta_operating_point": {"threshold": 0.5},
}
HIGH, LOW = [0.9] * 4, [0.1] * 4
Edit = Callable[[Any], Any]
WriteCorpus = Callable[..., Path]


def made_up_metrics() -> dict[str, Any]:
    """Two of three missed in clean audio, one false alarm in an hour: as in `tracks`."""
    clean = {
        "misses": 2,
        "positives": 3,
        "speakers": 2,
        "miss_rate": 2 / 3,
        "speaker_interval": {"low": 0.1, "high": 0.9},
        "miss_interval": {"low": 0.2, "high": 0.8},
        "at_fah": {"0.5": {"miss_rate": 2 / 3, "false_alarms": 0, "hours": 1.0, "met": True, "supported": False}},
        "per_speaker": {"ada": [1, 2], "can": [1, 1]},
    }
    split = {"positives": 3, "positive_speakers": 2, "negative_hours": 1.0, "negative_speakers": 2}
    split |= {"synthetic_positives": 0, "synthetic_speakers": 0, "synthetic_hours": 0.0}
    clip = {"what": "clips", "equal_error_rate": 0.1, "fpr_at_tpr_95": 0.2, "partial_auc_10": 0.9}
    data = {"unknown_speakers": 0, "repeated_takes": 0, "quarantined": 0, "quarantined_first": [], "licenses": []}
    data |= {"synthetic_engines": [], "synthetic_share": 0.5}
    data["restricted"] = ""
    learning_rate = {"verdict": "0.001 is sane"}
    return {
        "keyword": "günaydın",
        "uyan": "0.1.0",
        "config_hash": RECIPE.digest(),
        "data": {"splits": {"test": split}, **data},
        "calibration": CALIBRATION,
        "false_alarms": {"events": 1, "hours": 1.0, "fah": 1.0, "fah_interval": {"low": 0.03, "high": 5.6}},
        "conditions": {"clean": clean},
        "near_words": None,
        "tta": {"threshold": 0.5, "claims": {"misses, clean": "2 of 3 missed", "false alarms": "none"}},
        "conditions_note": "alarms are counted without it",
        "clip_level": clip,
        "training": {
            "best_epoch": 1,
            "epochs": 2,
            "loss_changed": None,
            "learning_rate": learning_rate,
            "hard_negatives": None,
        },
        "warnings": [],
    }


def tracks() -> TrackSet:
    def one(name: str, scores: list[float], material_s: float = 1.0) -> ScoreTrack:
        return ScoreTrack(name, "ada", material_s, slice(0, len(scores)), np.array(scores))

    positives = [one("a", HIGH), one("b", LOW), one("c", LOW)]
    return TrackSet("günaydın", DetectorConfig(), 0.5, {"clean": positives}, [one("radio", [*LOW, *HIGH], 3600.0)])


@pytest.fixture(scope="session")
def whole_run(
    network: Network, bundle: Bundle, bundle_info: BundleInfo, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run's folder as `uyan run` leaves it, with figures that are made up but agree."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    folder.mkdir()
    metrics = made_up_metrics()
    info = replace(
        bundle_info,
        version="0.1.0",
        config_hash=RECIPE.digest(),
        data=metrics["data"],
        measured={key: metrics[key] for key in FIGURES},
    )
    (folder / "bundle.onnx").write_bytes(seal(bundle.data, info.to_json()))
    (folder / "config.yaml").write_text(RECIPE.to_yaml(), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (folder / "model_card.md").write_text(model_card(info, metrics), encoding="utf-8")
    info.cmvn.save(folder / "stats.json")
    save_tracks(tracks(), folder / "tracks.npz")
    weights = folder / "training/model.safetensors"
    save_tensors(weights, network.state_dict(), {"config_hash": RECIPE.training_digest()})
    return folder


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def check_run(run: Path) -> list[Check]:
    return verify(run / "bundle.onnx")


def broken(run: Path) -> dict[str, str]:
    """What the checks that failed said, by their names."""
    checks = check_run(run)
    for check in checks:
        assert check.said and check.said.isprintable()
    return {check.name: check.said for check in checks if check.state == "FAILED"}


def edit_json(path: Path, edit: Edit) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    edit(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")


def reseal(run: Path, **changes: Any) -> None:
    """Other metadata under a checksum that fits, as whoever changes a threshold can make it."""
    bundle = load(run / "bundle.onnx")
    (run / "bundle.onnx").write_bytes(seal(bundle.data, replace(bundle.info, **changes).to_json()))


def test_a_run_as_it_was_left_passes(run: Path) -> None:
    checks = check_run(run)
    assert states(checks) == {"bundle": "ok", **dict.fromkeys(CHECKS, "ok"), REPEATED: "not checked"}
    assert not failed(checks)
    assert "--recalibrate" in checks[-1].said


def test_checking_changes_nothing(run: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    before = contents()
    check_run(run)
    assert contents() == before


def test_the_bundle_may_lie_elsewhere(run: Path, tmp_path: Path) -> None:
    moved = shutil.move(run / "bundle.onnx", tmp_path / "shipped.onnx")
    assert not failed(verify(Path(moved), run))
    with pytest.raises(ConfigError, match=r"not the folder of a run.*--run"):
        verify(Path(moved))


def test_an_altered_byte(run: Path) -> None:
    bundle = run / "bundle.onnx"
    altered = bytearray(bundle.read_bytes())
    altered[5000] ^= 1
    bundle.write_bytes(altered)
    checks = check_run(run)
    assert states(checks) == {"bundle": "FAILED", **dict.fromkeys([*CHECKS, REPEATED], "not checked")}
    assert "altered" in checks[0].said


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x08" * 5000])
def test_what_was_never_a_bundle_is_not_checked(run: Path, content: bytes) -> None:
    (run / "bundle.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.onnx"):
        check_run(run)


def test_a_missing_or_huge_bundle(run: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        verify(run / "none.onnx")
    os.truncate(run / "bundle.onnx", MAX_BUNDLE_BYTES + 1)
    with pytest.raises(BundleError, match="larger than"):
        check_run(run)


def test_another_configuration_is_not_the_one_that_was_hashed(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("seed: 42", "seed: 43"), encoding="utf-8")
    found = broken(run)
    assert set(found) == {"configuration", "weights"}  # the weights name the configuration they belong to
    assert RECIPE.digest() in found["configuration"]


def test_what_changes_no_result_may_differ(run: Path) -> None:
    recipe = parse_recipe(
        json.loads(RECIPE.model_dump_json()) | {"cache": {"folder": "elsewhere", "workers": 7}}, "test"
    )
    config = run / "config.yaml"
    config.write_text(f"# of another machine\n{recipe.to_yaml()}", encoding="utf-8")
    assert not broken(run)


def test_a_hash_that_was_replaced(run: Path) -> None:
    reseal(run, config_hash="0" * 64)
    assert set(broken(run)) == {"configuration", "figures", "card"}


def test_a_detector_that_was_replaced(run: Path) -> None:
    reseal(run, detector=DetectorConfig(votes=2))
    found = broken(run)
    assert "detector" in found["settings"]
    assert set(found) == {"settings", "card"}


def test_a_label_that_was_replaced(run: Path) -> None:
    reseal(run, label="merhaba")
    assert set(broken(run)) == {"settings", "card"}


def test_another_front_end_than_configured(run: Path) -> None:
    info = load(run / "bundle.onnx").info
    other = FrontendConfig(low_hz=80.0)
    reseal(run, frontend=other, cmvn=replace(info.cmvn, frontend=other.digest()))
    assert set(broken(run)) == {"settings", "CMVN", "card"}


def test_another_window_than_configured(run: Path) -> None:
    """In a run by itself: nothing else names the window."""
    raw = json.loads(RECIPE.model_dump_json())
    raw["network"]["window_s"] = 1.3
    (run / "config.yaml").write_text(parse_recipe(raw, "test").to_yaml(), encoding="utf-8")
    assert broken(run)["settings"] == "window, frames: 100, but 130 in config.yaml"


def test_a_weight_that_was_changed(run: Path) -> None:
    path = run / "training/model.safetensors"
    tensors, metadata = load_tensors(path)
    tensors["blocks.3.pointwise.weight"][5, 7] += 0.5
    save_tensors(path, tensors, metadata)
    found = broken(run)
    assert set(found) == {"weights"}
    assert "ONNX and torch differ by" in found["weights"]


def test_weights_of_another_network(run: Path) -> None:
    path = run / "training/model.safetensors"
    tensors, metadata = load_tensors(path)
    save_tensors(path, {**tensors, "head.weight": tensors["head.weight"][:, :-1]}, metadata)
    assert set(broken(run)) == {"weights"}
    path.write_bytes(b"torn")
    assert set(broken(run)) == {"weights"}


def test_statistics_that_were_changed(run: Path) -> None:
    edit_json(run / "stats.json", lambda raw: raw["mean"].__setitem__(3, raw["mean"][3] + 1e-6))
    assert set(broken(run)) == {"CMVN"}


def test_statistics_that_the_network_does_not_use(run: Path) -> None:
    """Changed in the bundle's metadata and in stats.json alike; the weights know better."""
    cmvn = load(run / "bundle.onnx").info.cmvn
    other = replace(cmvn, variance=(cmvn.variance[0] * 1.01, *cmvn.variance[1:]))
    reseal(run, cmvn=other)
    other.save(run / "stats.json")
    found = broken(run)
    assert set(found) == {"weights"}
    assert "CMVN" in found["weights"]


def test_a_threshold_that_was_replaced(run: Path) -> None:
    reseal(run, threshold=0.05)
    found = broken(run)
    assert found["operating point"] == "threshold: 0.05, but 0.5 in metrics.json"
    assert "misses and positives, clean: (2, 3), but (0, 3)" in found["counts"]
    assert set(found) == {"operating point", "counts"}  # the card repeats the metrics


def test_a_temperature_that_was_replaced(run: Path) -> None:
    reseal(run, temperature=2.5)
    assert set(broken(run)) == {"operating point", "card"}


def test_a_threshold_for_another_target(run: Path) -> None:
    def relax(metrics: dict[str, Any]) -> None:
        metrics["calibration"]["operating_point"]["target_fah"] = 5.0

    edit_json(run / "metrics.json", relax)
    found = broken(run)
    assert "target FAH: 5.0, but 0.5 in config.yaml" in found["operating point"]
    assert set(found) == {"operating point", "figures", "card"}


@pytest.mark.parametrize("name", ["data", "measured"])
def test_figures_that_were_replaced_in_the_bundle(run: Path, name: str) -> None:
    info = load(run / "bundle.onnx").info
    better = json.loads(json.dumps(asdict(info)[name]).replace("[1, 1]", "[0, 1]").replace('"positives": 3', '"n": 9'))
    reseal(run, **{name: better})
    assert set(broken(run)) == {"figures"}
    reseal(run, **{name: {}})
    assert set(broken(run)) == {"figures"}


def test_misses_that_were_embellished_everywhere(run: Path) -> None:
    """In the bundle, the metrics and the card, all in agreement; the scores still count otherwise."""

    def embellish(metrics: dict[str, Any]) -> None:
        metrics["conditions"]["clean"] |= {"misses": 0, "miss_rate": 0.0}

    edit_json(run / "metrics.json", embellish)
    measured = json.loads(json.dumps(load(run / "bundle.onnx").info.measured))
    embellish(measured)
    reseal(run, measured=measured)
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    card = model_card(load(run / "bundle.onnx").info, metrics)
    (run / "model_card.md").write_text(card, encoding="utf-8")
    assert set(broken(run)) == {"counts"}


def test_alarms_or_hours_that_are_not_in_the_scores(run: Path) -> None:
    quiet = tracks()
    save_tracks(replace(quiet, negatives=[]), run / "tracks.npz")
    assert broken(run) == {"counts": "false alarms: 1, but 0 counted in tracks.npz"}
    save_tracks(replace(quiet, negatives=[*quiet.negatives, *quiet.conditions["clean"][1:]]), run / "tracks.npz")
    assert "hours of negatives: 1.0, but 1.0005" in broken(run)["counts"]
    save_tracks(replace(quiet, conditions={}), run / "tracks.npz")
    assert "conditions: ['clean'], but []" in broken(run)["counts"]


def test_a_card_that_was_edited(run: Path) -> None:
    card = run / "model_card.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("66.7%", "6.7%"), encoding="utf-8")
    assert "'| clean | 6.7% | 2 / 3 / 2" in broken(run)["card"]
    card.write_text(text + "Recommended by everybody.\n", encoding="utf-8")
    assert "'Recommended by everybody.', but None" in broken(run)["card"]
    assert set(broken(run)) == {"card"}


@pytest.mark.parametrize(
    ("written", "due"),
    [
        ("2026-03-01", "2025-11-23"),
        ("2026-03-01 14:05", "2025-11-23 08:00"),
        ("2026-03-01T14:05:06.789+03:00", "2025-11-23T08:00:00Z"),
    ],
)
def test_time_stamps_on_a_card_may_differ(run: Path, written: str, due: str) -> None:
    stamped = {"warnings": [f"measured {due}"]}
    edit_json(run / "metrics.json", lambda metrics: metrics.update(stamped))
    info = load(run / "bundle.onnx").info
    reseal(run, measured={**info.measured, **stamped})
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    card = model_card(info, metrics)
    assert due in card
    (run / "model_card.md").write_text(card.replace(due, written), encoding="utf-8")
    assert not broken(run)


def test_a_card_of_another_version_is_not_checked(run: Path) -> None:
    reseal(run, version="9.9.9")
    found = states(check_run(run))
    assert found["card"] == "not checked"
    assert found["figures"] == "FAILED"  # metrics.json is of this version


NEEDED = {
    "metrics.json": {"operating point", "figures", "counts", "card"},
    "stats.json": {"CMVN"},
    "model_card.md": {"card"},
    "tracks.npz": {"counts"},
    "training/model.safetensors": {"weights"},
}


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_not_checked(run: Path, name: str) -> None:
    (run / name).unlink()
    checks = check_run(run)
    assert not failed(checks)
    assert {check.name for check in checks if check.state != "ok"} == NEEDED[name] | {REPEATED}
    assert all(f"{name} is not there" in check.said for check in checks if check.name in NEEDED[name])


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_larger_than_it_ever_is_is_not_read(run: Path, name: str) -> None:
    os.truncate(run / name, LIMITS[Path(name).name] + 1)
    found = broken(run)
    assert set(found) == NEEDED[name]
    assert all(f"{name} is larger than" in said for said in found.values())


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"null", b"[1]", b"{}", b'{"conditions": 1}', b"9" * 9000]
)
def test_rubbish_fails_its_checks(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    assert set(broken(run)) == NEEDED[name]


NO_CONFIGURATION = (
    "",
    "[]",
    "keyword: [",
    "a: &a [1]\nb: *a\n",
    "keyword: x\ndata: 5\n",
    "[" * 5000,
    "date: 2020-99-99",
    "a: !!python/object/apply:os.getcwd []",
)


@pytest.mark.parametrize("text", NO_CONFIGURATION)
def test_a_configuration_that_is_none_fails(run: Path, text: str) -> None:
    (run / "config.yaml").write_text(text, encoding="utf-8")
    assert {"configuration", "settings", "weights", "operating point"} == set(broken(run))


def test_aliases_are_not_multiplied_out(run: Path) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    (run / "config.yaml").write_text("a0: &a0 [ha]\n" + "\n".join(levels), encoding="utf-8")
    assert "has aliases" in broken(run)["configuration"]


def test_compressed_scores_are_not_unpacked(run: Path) -> None:
    with np.load(run / "tracks.npz") as archive:
        arrays = dict(archive)
    np.savez_compressed(run / "tracks.npz", **arrays)
    assert "compressed" in broken(run)["counts"]


def test_what_a_file_says_does_not_steer_the_terminal(run: Path) -> None:
    card = run / "model_card.md"
    card.write_text("\x1b[2J\x07" + card.read_text(encoding="utf-8"), encoding="utf-8")
    assert "\x1b" not in broken(run)["card"]
    config = run / "config.yaml"
    config.write_text("\x1b]0;owned\x07: [\n", encoding="utf-8")
    assert "configuration" in broken(run)


def test_a_field_that_uyan_got_since_is_none_of_the_runs(run: Path) -> None:
    """An older run's configuration lacks it; its hash was taken without it."""
    config = run / "config.yaml"
    text = (
        config.read_text(encoding="utf-8").replace("  focal_switch: rule\n", "").replace("  warp_percent: 20.0\n", "")
    )
    assert text != config.read_text(encoding="utf-8")
    config.write_text(text, encoding="utf-8")
    folder = RunFolder(load(run / "bundle.onnx"), run)
    reseal(run, config_hash=folder.digest())
    assert states(check_run(run))["configuration"] == "ok"
    assert states(verify(run / "bundle.onnx", calibration=True))[REPEATED] == "not checked"


OTHER_RECIPE = parse_recipe(
    {"keyword": "ok", "data": {"manifests": ["ş.csv"]}, "calibration": {"target_fah": 1e-7}}, "test"
)


@pytest.mark.parametrize("recipe", [RECIPE, OTHER_RECIPE])
def test_the_hash_of_the_file_is_the_hash_of_the_recipe(recipe: Recipe, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    folder = RunFolder(bundle, tmp_path)
    assert folder.digest() == recipe.digest() == folder.recipe.digest()
    assert folder.digest("evaluation") == recipe.training_digest()


def test_recalibration_needs_the_manifests(run: Path, tmp_path: Path) -> None:
    def said(base: Path | None = None) -> str:
        last = verify(run / "bundle.onnx", calibration=True, base=base)[-1]
        assert last.state == "not checked"
        return last.said

    assert "--base" in said()
    assert "manifest.csv is not there" in said(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,label,speaker_id,duration_s,kind\n", encoding="utf-8")
    edit_json(run / "metrics.json", lambda metrics: metrics.update(manifests_sha256="0" * 64))
    assert "another checksum" in said()
    digest = Workspace(RECIPE, tmp_path, run).manifests_digest()
    edit_json(run / "metrics.json", lambda metrics: metrics.update(manifests_sha256=digest))
    assert "cache" in said()
    (tmp_path / "cache").mkdir()
    assert "no longer those of the run" in said()


SMALL_RECIPE = """\
keyword: uyan
data: {manifests: [corpus/manifest.csv]}
network: {size: small}
batches: {size: 24, workers: 0, validation_workers: 0}
training: {epochs: 4, learning_rate: 3.0e-3}
variants: {positive: 1, negative: 1}
mining: {rounds: 1}
calibration: {target_fah: 1000.0}
cache: {workers: 1, max_ram_gb: 0.1}
"""
TIMES_AND_PATHS = {".lock", "logs", "tensorboard", "checkpoint.safetensors"}
"""In a run's folder: its logs have time stamps, and the checkpoint names the folder it lies in."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Path:
    """A folder with a corpus, a recipe and a whole run of it in `runs/one`."""
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder / "corpus")
    (folder / "recipe.yaml").write_text(SMALL_RECIPE, encoding="utf-8")
    run_until(Workspace(load_recipe(folder / "recipe.yaml"), folder, folder / "runs/one"))
    return folder


@pytest.mark.slow
def test_a_real_run_passes_and_calibrates_the_same_again(trained: Path) -> None:
    out = trained / "runs/one"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    checks = verify(out / "bundle.onnx", calibration=True)
    assert set(states(checks).values()) == {"ok"}, checks
    assert "come out again" in checks[-1].said
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_threshold_replaced_everywhere_does_not_come_out_again(trained: Path, tmp_path: Path) -> None:
    """Bundle, metrics, card and counts may be made to agree; the recordings cannot."""
    out = Path(shutil.copytree(trained / "runs/one", tmp_path / "run"))
    shutil.copytree(trained / "runs/cache", tmp_path / "cache")
    found = verify(out / "bundle.onnx", calibration=True, base=trained)[-1]
    assert found.state == "ok", found
    info = load(out / "bundle.onnx").info
    edit_json(out / "metrics.json", lambda metrics: metrics["calibration"].update(temperature=info.temperature * 1.1))
    reseal(out, temperature=info.temperature * 1.1)
    found = verify(out / "bundle.onnx", calibration=True, base=trained)[-1]
    assert found.state == "FAILED" and "temperature" in found.said
    reseal(out, temperature=info.temperature, threshold=info.threshold / 2)
    found = verify(out / "bundle.onnx", calibration=True, base=trained)[-1]
    assert found.state == "FAILED" and "threshold" in found.said
    reseal(out, threshold=info.threshold)
    with (out / "splits.csv").open("a", encoding="utf-8") as splits:
        splits.write("one more\n")
    found = verify(out / "bundle.onnx", calibration=True, base=trained)[-1]
    assert found.state == "FAILED" and found.said.startswith("splits.csv comes out otherwise")


@pytest.mark.slow
def test_two_runs_give_the_same_weights_metrics_and_bundle(trained: Path, tmp_path: Path) -> None:
    """In another process with other hashes of strings, another folder, and without a cache (MISSION 5.3)."""
    shutil.copytree(trained / "corpus", tmp_path / "elsewhere/corpus")
    recipe = shutil.copy(trained / "recipe.yaml", tmp_path / "elsewhere/another_name.yaml")
    out = tmp_path / "again"
    command = [sys.executable, "-m", "uyan.cli.main", "run", recipe, "--out", str(out)]
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=3600)

    def contents(folder: Path) -> dict[str, bytes]:
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        kept = (file for file in files if not TIMES_AND_PATHS & set(file.parts))
        return {str(file): (folder / file).read_bytes() for file in kept}

    one, other = contents(trained / "runs/one"), contents(out)
    assert {"bundle.onnx", "metrics.json", "training/model.safetensors", "model_card.md"} <= set(one)
    assert set(one) == set(other)
    assert {name for name in one if one[name] != other[name]} == set()
    state, again = (load_tensors(run / "training/checkpoint.safetensors")[0] for run in (trained / "runs/one", out))
    assert set(state) == set(again)
    assert all(torch.equal(tensor, again[name]) for name, tensor in state.items())
