"""Whole runs on a made-up corpus: every file that is promised, the same figures every time, nothing done twice."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uyan.audio_file import read, write
from uyan.bundle import load
from uyan.detector import Detector
from uyan.engine.parallel import silent
from uyan.errors import ConfigError, DataError
from uyan.evaluation.streams import Stream, negative_streams, positive_streams
from uyan.frontend import Cmvn
from uyan.pipeline.held_out import held_out
from uyan.pipeline.int8 import export_int8
from uyan.pipeline.prepare import check_recordings, split_recordings
from uyan.pipeline.run import STAGES, Outcome, Stage, run_until
from uyan.pipeline.run_folder import RunFolder
from uyan.pipeline.workspace import LOCK, Workspace
from uyan.recipe import load_recipe, parse_recipe

pytestmark = pytest.mark.slow

EPOCHS = 6
"""Enough to hear some words and to fire at others."""
WriteCorpus = Callable[..., Path]
PROMISED = (
    "bundle.onnx", "config.yaml", "det.csv", "det.png", "hard_negatives.png", "metrics.json", "model_card.md",
    "frontend.onnx", "operating_point.png", "quarantine.csv", "splits.csv", "stats.json", "tracks.npz",
)  # fmt: skip
DETERMINED = (
    "bundle.onnx",
    "config.yaml",
    "det.csv",
    "frontend.onnx",
    "metrics.json",
    "model_card.md",
    "splits.csv",
    "stats.json",
    "tracks.npz",
)


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    workspace: Workspace
    outcome: Outcome
    told: list[str]

    @property
    def out(self) -> Path:
        return self.workspace.out

    @property
    def metrics(self) -> dict[str, Any]:
        """As a strict reader of the file sees them."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        text = (self.out / "metrics.json").read_text(encoding="utf-8")
        metrics: dict[str, Any] = json.loads(text, parse_constant=refuse)
        return metrics


def workspace(folder: Path, out: str = "run", **changes: Any) -> Workspace:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "network": {"size": "small"},
        "batches": {"size": 24, "workers": 0, "validation_workers": 0},
        "training": {"epochs": EPOCHS, "learning_rate": 3e-3},
        "variants": {"positive": 1, "negative": 1},
        "mining": {"rounds": 2},
        "calibration": {"target_fah": 1000.0},
        "cache": {"workers": 1, "max_ram_gb": 0.1},
        **changes,
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


def run(where: Workspace) -> Run:
    told: list[str] = []
    where.tell = told.append
    outcome = run_until(where)
    assert outcome is not None
    return Run(where, outcome, told)


def epochs_told(told: list[str]) -> int:
    """Rows of the table of epochs."""
    return sum(re.match(rf" *\d+/{EPOCHS} ", line) is not None for line in told)


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in DETERMINED}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Run:
    folder = tmp_path_factory.mktemp("done")
    write_corpus(folder / "corpus")
    return run(workspace(folder))


def test_every_promised_file_is_there(done: Run) -> None:
    assert {file.name for file in done.out.iterdir()} == {*PROMISED, "training", LOCK}
    assert all((done.out / name).stat().st_size > 0 for name in PROMISED)
    for picture in ("det.png", "operating_point.png"):
        assert (done.out / picture).read_bytes().startswith(b"\x89PNG")


def test_the_bundle_is_at_its_operating_point(done: Run) -> None:
    info = load(done.out / "bundle.onnx").info
    calibration = done.metrics["calibration"]
    assert info.threshold == calibration["operating_point"]["threshold"] == done.outcome.bundle.info.threshold
    assert info.temperature == calibration["temperature"]
    assert calibration["operating_point"]["target_fah"] == 1000.0
    assert info.label == "uyan"
    assert info.config_hash == done.metrics["config_hash"] == done.workspace.recipe.digest()
    assert load_recipe(done.out / "config.yaml").digest() == info.config_hash


def test_the_bundle_carries_the_statistics_and_the_figures(done: Run) -> None:
    info = load(done.out / "bundle.onnx").info
    assert info.cmvn == Cmvn.from_json((done.out / "stats.json").read_text(encoding="utf-8"))
    metrics = done.metrics
    assert info.data == metrics["data"]
    assert info.measured == {key: metrics[key] for key in info.measured}
    assert {"false_alarms", "conditions", "warnings"} <= set(info.measured)


def test_every_rate_has_its_denominator_and_interval(done: Run) -> None:
    metrics = done.metrics
    test = metrics["data"]["splits"]["test"]
    alarms = metrics["false_alarms"]
    assert alarms["hours"] == pytest.approx(test["negative_hours"])
    assert alarms["fah"] == pytest.approx(alarms["events"] / alarms["hours"])
    assert alarms["fah_interval"]["low"] <= alarms["fah"] <= alarms["fah_interval"]["high"]
    assert sum(alarms["by_stream"].values()) == alarms["events"]
    assert list(metrics["conditions"]) == ["clean", "10 dB SNR", "5 dB SNR", "telephone"]
    for condition in metrics["conditions"].values():
        assert condition["positives"] == test["positives"] > 0
        assert condition["speakers"] == test["positive_speakers"] > 0
        assert condition["miss_rate"] == condition["misses"] / condition["positives"]
        assert condition["miss_interval"]["low"] <= condition["miss_rate"] <= condition["miss_interval"]["high"]
        assert sum(misses for misses, _ in condition["per_speaker"].values()) == condition["misses"]
        assert sum(count for _, count in condition["per_speaker"].values()) == condition["positives"]
        assert set(condition["at_fah"]) == {"0.1", "0.5", "1", "2"}
    clip = metrics["clip_level"]
    assert "not events" in clip["what"]
    assert sum(clip["confusion"][k] for k in ("true_positive", "false_negative")) == test["positives"]


def test_calibration_is_measured_on_validation_alone(done: Run) -> None:
    point, splits = done.metrics["calibration"]["operating_point"], done.metrics["data"]["splits"]
    assert point["positives"] == splits["validation"]["positives"]
    assert point["hours"] == pytest.approx(splits["validation"]["negative_hours"])


def test_the_curve_is_saved_as_data(done: Run) -> None:
    with (done.out / "det.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    values = np.array(rows[1:], float)
    assert values.shape[0] > 2 and np.isfinite(values).all()


def test_the_files_that_people_read(done: Run) -> None:
    card = (done.out / "model_card.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and "\n# Wake word “uyan”\n" in card
    for warning in done.metrics["warnings"]:
        assert warning in card
    assert f"Threshold {done.outcome.bundle.info.threshold:.4f}" in card
    with (done.out / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["path", "label", "speaker_id", "reason"]]
    assert epochs_told(done.told) == EPOCHS
    assert sum(line.startswith("mining round ") for line in done.told) == 2


def test_a_listener_with_the_shipped_bundle_fires_as_it_was_counted(done: Run) -> None:
    where = workspace(done.workspace.base)
    test = [m for m in split_recordings(where, check_recordings(where)) if m.split == "test"]
    positives = [m for m in test if m.recording.label == "uyan"]
    negatives = [m for m in test if m not in positives]
    detector = Detector(load(done.out / "bundle.onnx"))

    def fires(stream: Stream) -> int:
        detector.reset()
        return sum(len(detector.push(chunk)) for chunk in np.array_split(np.concatenate(list(stream.blocks)), 7))

    heard = {stream.name: fires(stream) for stream in negative_streams(negatives)}
    assert {name: count for name, count in heard.items() if count} == done.metrics["false_alarms"]["by_stream"]
    missed = sum(not fires(stream) for stream in positive_streams(positives))
    assert missed == done.metrics["conditions"]["clean"]["misses"]
    assert missed < len(positives) or any(heard.values())  # a detector that never fires would prove nothing


def test_in_eight_bits_it_is_half_the_size_and_measured(done: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of negatives, on which one alarm more is many per hour, is no test of the budget."""
    monkeypatch.setattr("uyan.pipeline.int8.MORE_FAH", 10.0)
    folder = RunFolder(load(done.out / "bundle.onnx"), done.out)
    figures = export_int8(folder, None, silent)
    small = load(done.out / "bundle.int8.onnx")
    assert json.loads((done.out / "int8.json").read_text(encoding="utf-8")) == figures
    assert len(small.data) == figures["bytes"]["int8"] < 0.6 * figures["bytes"]["fp32"]
    assert small.info == folder.bundle.info
    clean = done.metrics["conditions"]["clean"]
    assert (figures["misses"]["fp32"], figures["positives"]) == (clean["misses"], clean["positives"])
    assert figures["false_alarms"]["fp32"] == done.metrics["false_alarms"]["events"]
    for file in ("bundle.int8.onnx", "int8.json"):
        (done.out / file).unlink()


def test_again_does_nothing_twice_and_changes_nothing(done: Run) -> None:
    before = contents(done.out)
    written = {p: p.stat().st_mtime_ns for p in (done.out / "training").rglob("*") if p.suffix == ".safetensors"}
    again = run(workspace(done.workspace.base))
    assert contents(done.out) == before
    assert not epochs_told(again.told)
    assert {p: p.stat().st_mtime_ns for p in written} == written


def test_another_folder_gives_the_same_bytes(done: Run) -> None:
    other = run(workspace(done.workspace.base, "other"))
    assert contents(other.out) == contents(done.out)


def test_interrupted_and_run_again_gives_the_same_bytes(done: Run) -> None:
    where = workspace(done.workspace.base, "interrupted")

    def interrupt(stage: str, at: int, total: int) -> None:
        if stage == "train" and at == total * 3 // 4:
            raise KeyboardInterrupt

    where.progress = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_until(where)
    assert not (where.out / "bundle.onnx").exists()
    again = run(workspace(done.workspace.base, "interrupted"))
    assert 0 < epochs_told(again.told) < EPOCHS / 2
    assert contents(again.out) == contents(done.out)


def test_another_configuration_in_the_same_folder_is_refused(done: Run) -> None:
    before = contents(done.out)
    with pytest.raises(ConfigError, match="holds a network trained with another configuration"):
        run_until(workspace(done.workspace.base, training={"epochs": 3}))
    assert contents(done.out) == before


AFTER: dict[Stage, set[str]] = {
    "check": {"config.yaml", "quarantine.csv", LOCK},
    "split": {"splits.csv"},
    "features": {"stats.json"},
    "train": {"training"},
    "calibrate": {"operating_point.png"},
    "evaluate": {"metrics.json", "det.csv", "det.png", "hard_negatives.png", "tracks.npz"},
    "export": {"bundle.onnx", "frontend.onnx", "model_card.md"},
}


def test_each_stage_stops_where_it_says_and_the_next_goes_on(done: Run) -> None:
    there: set[str] = set()
    for stage in STAGES:
        where = workspace(done.workspace.base, "staged")
        outcome = run_until(where, stage)
        assert (outcome is not None) is (stage == "export")
        there |= AFTER[stage]
        assert {file.name for file in where.out.iterdir()} == there
    assert contents(workspace(done.workspace.base, "staged").out) == contents(done.out)


def test_a_flawed_corpus_is_used_and_its_flaws_are_told(tmp_path: Path, write_corpus: WriteCorpus) -> None:
    """One file is broken, one speaker unknown, and there is no noise."""
    manifest = write_corpus(tmp_path / "corpus", speakers=5, noise=0)
    (tmp_path / "corpus/selam/voice0-0.wav").write_bytes(b"broken")
    text = manifest.read_text(encoding="utf-8").replace("talk/voice1.wav,speech,voice1,", "talk/voice1.wav,speech,,")
    manifest.write_text(text, encoding="utf-8")
    flawed = run(workspace(tmp_path))
    assert "selam/voice0-0.wav" in (flawed.out / "quarantine.csv").read_text(encoding="utf-8")
    metrics = flawed.metrics
    assert metrics["data"]["unknown_speakers"] == 1
    assert list(metrics["conditions"]) == ["clean", "telephone"]
    card = (flawed.out / "model_card.md").read_text(encoding="utf-8")
    for flaw in (
        "1 recording(s) cannot be used, see quarantine.csv",
        "1 recording(s) have no speaker_id: the split between speakers may leak",
        "no noise recordings to train with: background mixing is off",
        "no noise in the test split: misses in noise were not measured",
    ):
        assert any(warning.startswith(flaw) for warning in metrics["warnings"])
        assert flaw in card
    assert "Recordings without a speaker: 1" in card


def test_a_run_that_mined_says_what_and_does_not_go_on_with_another_list(
    tmp_path: Path, write_corpus: WriteCorpus
) -> None:
    """From the recipe to the bundle: what was mined judges neither it nor a bundle that starts from it."""
    corpus, radio = write_corpus(tmp_path / "corpus"), tmp_path / "radio/manifest.csv"
    shutil.copytree(tmp_path / "corpus/noise", tmp_path / "radio")
    rows = ["path,label,speaker_id,duration_s,kind"]
    for number, file in enumerate(sorted(radio.parent.glob("*.wav"))):
        write(file, read(file)[::-1].copy())
        rows.append(f"{file.name},radio,{'announcer' if number else ''},6.0,negative")
    radio.write_text("\n".join([*rows, ""]), encoding="utf-8")
    changes = {"training": {"epochs": 4}, "mining": {"rounds": 1, "manifests": ["radio/manifest.csv"]}}
    mined = run(workspace(tmp_path, **changes))
    second = run(workspace(tmp_path, "second", training={"epochs": 4, "init": "run/bundle.onnx"}))
    assert not any("heard.json" in warning for warning in second.metrics["warnings"])
    for done in (mined, second):
        found = held_out(done.outcome.bundle, [corpus, radio], workers=1)
        assert {m.recording.root.name for m in found.negatives} == {"corpus"}
        assert not any("heard.json" in warning for warning in found.warnings)
    radio.write_text("\n".join([*rows[:-1], ""]), encoding="utf-8")
    with pytest.raises(DataError, match="was trained on other recordings than the manifests list now, or started"):
        run_until(workspace(tmp_path, **changes))


def test_weights_of_other_recordings_are_not_taken_for_these(
    done: Run, tmp_path: Path, write_corpus: WriteCorpus
) -> None:
    """A voice that the weights have heard could stand in the test split of the new recordings."""
    manifest = write_corpus(tmp_path / "corpus")
    shutil.copytree(done.out, tmp_path / "run")
    rows = manifest.read_text(encoding="utf-8").splitlines()
    splits = (done.out / "splits.csv").read_text(encoding="utf-8")
    learnt_from = re.findall(r"uyan/(voice\d)-0\.wav,uyan,\w+,keyword,train,", splits)[0]
    manifest.write_text("\n".join([row for row in rows if learnt_from not in row] + [""]), encoding="utf-8")
    with pytest.raises(DataError, match="was trained on other recordings than the manifests list now, or started"):
        run_until(workspace(tmp_path))
