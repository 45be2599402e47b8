"""`uyan data import` as a user sees it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from uyan.cli.data_import import NAMES
from uyan.cli.main import main
from uyan.data.importers.catalogue import IMPORTERS


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["uyan", "data", "import", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_data_set_becomes_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DKITCHEN", "TBUS"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "ch01.wav", np.zeros(16_000), 16_000)
    assert call(monkeypatch, "demand", tmp_path) == 0
    shown = capsys.readouterr()
    assert "noise" in shown.out
    assert (tmp_path / "manifest.csv").read_text(encoding="utf-8").count("CC BY-SA 3.0") == 2


def test_bad_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "timit", tmp_path) == 2
    assert capsys.readouterr().err.strip().startswith("error: no data set 'timit'")
    assert call(monkeypatch, "demand", tmp_path) == 2
    assert "is not DEMAND" in capsys.readouterr().err


def test_the_help_names_them_all() -> None:
    assert tuple(IMPORTERS) == tuple(NAMES.split(", "))
