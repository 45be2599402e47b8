"""`uyan curve`: what a user sees of made-up runs."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from uyan.cli import ablate, curve
from uyan.errors import ConfigError
from uyan.pipeline import curve as library

app = typer.Typer()
ablate.register(app)
curve.register(app)


def run(positives: int, speakers: int, misses: int) -> dict[str, Any]:
    interval = {"low": 0.011, "high": 0.987}
    point = {"misses": misses, "positives": 100, "miss_rate": misses / 100, "miss_interval": interval}
    train = {"positives": positives, "positive_speakers": speakers, "synthetic_positives": 0, "synthetic_speakers": 0}
    judged = {"per_speaker": {"tts:piper:joe": (misses, 40), "ada": (0, 60)}, "at_fah": {"0.5": point}}
    conditions = {"clean": judged, "telephone": judged}
    return {"keyword": "uyan", "data": {"splits": {"train": train}}, "conditions": conditions}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the library is called with; it answers with a curve of three points."""
    calls: list[tuple[Any, ...]] = []

    def fake(*arguments: Any) -> Any:
        calls.append(arguments[:6])
        return library.curve_of([run(30, 3, 40), run(60, 6, 20), run(1200, 120, 1)])

    monkeypatch.setattr(library, "measure_curve", fake)
    monkeypatch.setenv("COLUMNS", "200")
    return calls


def test_each_point_has_its_denominators_and_the_forecast_follows(asked: list[tuple[Any, ...]]) -> None:
    shown = CliRunner().invoke(app, ["curve", "a/jarvis.yaml"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.lstrip().startswith("synthetic voices spoke 40 of the 100 recordings of the keyword that judge")
    assert "1,200 of 120" in shown.output
    assert "40.0% 40/100" in shown.output and "1.1% – 98.7%" in shown.output
    assert (
        "twice the recordings, of new speakers in proportion (1,200 → 2,400): about 1.0% → 0.5% missed" in shown.output
    )
    assert "picture runs/jarvis-curve/curve.png" in shown.output


def test_options_reach_the_library(asked: list[tuple[Any, ...]]) -> None:
    options = ["--positives", "30,100,270", "--speakers", "5, 10,20", "--out", "there", "--jobs", "2"]
    CliRunner().invoke(app, ["curve", "a/jarvis.yaml", *options, "--set", "training.epochs=3"])
    expected = (["training.epochs=3"], Path("there"), [30, 100, 270], [5, 10, 20], 2)
    assert asked == [(Path("a/jarvis.yaml"), *expected)]


def test_numbers_that_are_none_are_named(asked: list[tuple[Any, ...]]) -> None:
    shown = CliRunner().invoke(app, ["curve", "a/jarvis.yaml", "--positives", "30,many"])
    assert isinstance(shown.exception, ConfigError)
    assert str(shown.exception).startswith("--positives '30,many': write whole numbers")
    assert asked == []
