"""`uyan evaluate` and `uyan shift`: from the command line to files, and what a user sees of them."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from uyan.bundle import BundleInfo
from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle
from uyan.model.network import Network

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
