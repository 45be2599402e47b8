"""`uyan evaluate` and `uyan shift`: from the command line to files, and what a user sees of them."""

import csv
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from uyan.bundle import BundleInfo
from uyan.cli.main import main
from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle
from uyan.model.network import Network

WriteCorpus = Callable[..., Path]


@pytest.fixture
def detector(network: Network, bundle_info: BundleInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "bundle.onnx"
    info = replace(bundle_info, label="uyan", threshold=0.3)
    save_bundle(make_bundle(network_to_onnx(network, mels=64), info, path))
    return path


@pytest.fixture
def manifest(tmp_path: Path, write_corpus: WriteCorpus) -> Path:
    return write_corpus(tmp_path / "corpus", speakers=3, noise=2)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["uyan", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_evaluate_says_what_is_claimed_and_what_is_not(
    detector: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not call(monkeypatch, "evaluate", detector, "--data", manifest, "--workers", 1)
    told = capsys.readouterr().out
    assert "“uyan”: 6 positives of 3 speakers" in told
    assert "false alarms at the bundle's threshold: " in told
    assert "not claimed, misses at 0.5 FAH: 0.0 h of negatives cannot show 0.5 alarms per hour: 6.0 h" in told
    assert "warning: no splits.csv beside bundle.onnx" in told
    assert (detector.parent / "evaluation" / "metrics.json").is_file()


def test_shift_writes_a_row_a_cell(
    detector: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "here"
    assert not call(monkeypatch, "shift", detector, "--data", manifest, "--samples", 2, "--out", out, "--workers", 1)
    with (out / "shift.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 and {row["samples"] for row in rows} == {"2"}
    told = capsys.readouterr().out
    assert "all cells: " in told and "phone, 8 kHz" in told and "20 dB SNR" in told
    assert {"shift.json", "shift.png", "shift_devices.png"} <= {file.name for file in out.iterdir()}


@pytest.mark.parametrize("command", ["evaluate", "shift"])
def test_a_mistake_is_a_line_and_exit_code_2(
    command: str, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, command, detector, "--data", tmp_path / "none.csv") == 2
    told = capsys.readouterr().err
    assert "none.csv" in told and "Traceback" not in told


def test_shift_without_noise_is_refused(
    detector: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join([line for line in lines if not line.startswith("noise/")] + [""]), encoding="utf-8")
    assert call(monkeypatch, "shift", detector, "--data", manifest, "--samples", 1, "--workers", 1) == 2
    assert "add a manifest with recordings of kind noise" in capsys.readouterr().err
