"""`uyan voices gain`: what is passed on, and what a user sees of made-up K-folds."""

import sys
from pathlib import Path
from typing import Any

import pytest

from uyan.cli.main import main
from uyan.pipeline import voices_gain as pipeline
from uyan.pipeline.gain_table import GainPoint, VoicesGain


def report(misses: int, alarms: int, met: bool = True) -> dict[str, Any]:
    spread = {"low": 0.05, "high": 0.6}
    figures = {"misses": 4 * misses, "positives": 40, "miss_rate": misses / 10, "miss_interval": spread}
    figures |= {"speaker_interval": spread, "per_speaker": {who: [misses, 10] for who in ("ada", "cem", "ece", "nur")}}
    condition = {"at_fah": {"0.5": {**figures, "false_alarms": 1, "met": met}}, "shipped": figures}
    alarmed = {"events": alarms, "hours": 8.0}
    return {"conditions": {"clean": condition, "telephone": condition}, "false_alarms": alarmed, "hours": 8.0}


GAIN = VoicesGain(
    "uyan",
    (
        GainPoint(0, (0, 0), {"both": report(5, 4)}),
        GainPoint(5, (5, 5), {"real": report(4, 0), "both": report(2, 3)}),
        GainPoint(None, (27, 29), {"real": report(1, 1, met=False), "both": report(1, 0)}),
    ),
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []

    def measure_gain(*arguments: Any) -> VoicesGain:
        made.append(arguments[:6])
        return GAIN

    monkeypatch.setattr(pipeline, "measure_gain", measure_gain)
    monkeypatch.setenv("COLUMNS", "120")
    return made


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `uyan voices gain ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["uyan", "voices", "gain", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_options_reach_the_pipeline(calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "a/word.yaml") == 0
    options = ("--speakers", "0, 3,9", "--folds", "3", "--jobs", "2", "--out", "there", "--set", "training.epochs=5")
    assert call(monkeypatch, "a/word.yaml", *options) == 0
    assert calls == [
        (Path("a/word.yaml"), [], Path("runs/word-gain"), [0, 5, 10, 20], 5, None),
        (Path("a/word.yaml"), ["training.epochs=5"], Path("there"), [0, 3, 9], 3, 2),
    ]


def test_the_table_pairs_both_and_says_what_it_cannot_promise(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "a/word.yaml", "--out", "there") == 0
    shown = capsys.readouterr().out
    assert "misses at 0.5 FAH" in shown and "misses as shipped" in shown
    assert "16/40 40.0%" in shown and "8/40 20.0%" in shown
    assert "-20.0 (-50%)" in shown and "[-20.0, -20.0]*" in shown
    assert "27 – 29" in shown and "not met" in shown
    assert "as shipped, 5 real voices, without synthetic ones: 0 alarms in 8.00 h: ≤ 0.37 per hour (95 %)" in shown
    assert "as shipped, 0 real voices, with synthetic ones: 4 alarms" in shown
    assert "it promises nothing" in shown and "there/gain.png" in shown


def test_numbers_that_are_none_are_named(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "a/word.yaml", "--speakers", "5,many") == 2
    assert "--speakers '5,many': write whole numbers" in capsys.readouterr().err
    assert calls == []
