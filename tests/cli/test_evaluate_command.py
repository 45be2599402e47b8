"""`uyan evaluate` and `uyan shift`: from the command line to files, and what a user sees of them."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.audio_file import write
from uyan.bundle import BundleInfo
from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle
from uyan.model.network import Network

Sound = Callable[..., NDArray[np.float32]]
WriteCorpus = Callable[..., Path]
Uyan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def detector(network: Network, bundle_info: BundleInfo, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.onnx"
    info = replace(bundle_info, label="uyan", threshold=0.3)
    save_bundle(make_bundle(network_to_onnx(network, mels=64), info, path))
    return path


@pytest.fixture
def manifest(tmp_path: Path, write_corpus: WriteCorpus) -> Path:
    return write_corpus(tmp_path / "corpus", speakers=3, noise=2)


def test_evaluate_says_what_is_claimed_and_what_is_not(uyan: Uyan, detector: Path, manifest: Path) -> None:
    code, told, _ = uyan("evaluate", detector, "--data", manifest, "--workers", 1)
    assert code == 0
    assert "“uyan”: 6 positives of 3 speakers" in told
    assert "false alarms at the bundle's threshold: " in told
    assert "not claimed, misses at 0.5 FAH: 0.0 h of negatives cannot show 0.5 alarms per hour: 6.0 h" in told
    assert "warning: no splits.csv beside bundle.onnx" in told
    assert (detector.parent / "evaluation" / "metrics.json").is_file()


def test_evaluate_with_annotations_says_what_was_missed_and_where(
    uyan: Uyan, detector: Path, manifest: Path, tmp_path: Path, changing_sound: Sound
) -> None:
    """A minute at which the detector fires often, and a word in two seconds of near silence, which it cannot hear."""
    quiet = 1e-4 * np.random.default_rng(42).standard_normal(16_000 * 10).astype(np.float32)
    for name, samples in (("loud.wav", changing_sound(60.0)), ("quiet.wav", quiet)):
        write(tmp_path / "room" / name, samples)
    events = tmp_path / "room" / "events.csv"
    events.write_text("path,start_s,end_s,label\nloud.wav,,,\nquiet.wav,4,4.5,uyan\n", encoding="utf-8")
    code, told, _ = uyan("evaluate", detector, "--data", manifest, "--annotations", events, "--workers", 1)
    assert code == 0
    assert "annotated, 2 recording(s): 1 of 1 missed: 100.0 % (95 % 2.5 – 100.0)" in told
    assert "missed: room/quiet.wav at 4.0 s" in told
    assert "false alarms outside of the words: " in told and "alarms in 0.02 h: " in told
    assert "false alarm: room/loud.wav at " in told and "false alarm: room/quiet.wav" not in told
    assert told.count("false alarm: room/loud.wav at ") == 5 and " more\n" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,start_s\n", "events.csv: row 1: no column end_s; there are path, start_s"),
        ("path,start_s,end_s\nnone.wav,1,2\n", "events.csv: row 2: path: 'none.wav' is not there"),
        ("path,start_s,end_s\n../bundle.onnx,1,2\n", "row 2: path: '../bundle.onnx' leads out of the table's folder"),
    ],
)
def test_annotations_that_are_wrong_are_a_line_and_exit_code_2(
    uyan: Uyan, detector: Path, manifest: Path, tmp_path: Path, text: str, message: str
) -> None:
    events = tmp_path / "room" / "events.csv"
    events.parent.mkdir()
    events.write_text(text, encoding="utf-8")
    code, _, told = uyan("evaluate", detector, "--data", manifest, "--annotations", events)
    assert code == 2
    assert message in told and "Traceback" not in told
    assert not (detector.parent / "evaluation").exists()


def test_shift_writes_a_row_a_cell(uyan: Uyan, detector: Path, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "here"
    code, told, _ = uyan("shift", detector, "--data", manifest, "--samples", 2, "--out", out, "--workers", 1)
    assert code == 0
    with (out / "shift.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 and {row["samples"] for row in rows} == {"2"}
    assert "all cells: " in told and "phone, 8 kHz" in told and "20 dB SNR" in told
    assert {"shift.json", "shift.png", "shift_devices.png"} <= {file.name for file in out.iterdir()}


@pytest.mark.parametrize("command", ["evaluate", "shift"])
def test_a_mistake_is_a_line_and_exit_code_2(uyan: Uyan, command: str, detector: Path, tmp_path: Path) -> None:
    code, _, told = uyan(command, detector, "--data", tmp_path / "none.csv")
    assert code == 2
    assert "none.csv" in told and "Traceback" not in told


def test_shift_without_noise_is_refused(uyan: Uyan, detector: Path, manifest: Path) -> None:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join([line for line in lines if not line.startswith("noise/")] + [""]), encoding="utf-8")
    code, _, told = uyan("shift", detector, "--data", manifest, "--samples", 1, "--workers", 1)
    assert code == 2
    assert "add a manifest with recordings of kind noise" in told
