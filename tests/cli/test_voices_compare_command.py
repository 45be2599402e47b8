"""`uyan voices compare`: what is passed on, and what a user sees of made-up K-folds."""

import sys
from pathlib import Path
from typing import Any

import pytest

from uyan.cli.main import main
from uyan.pipeline import voices_comparison as pipeline
from uyan.pipeline.voices_table import Point, VoicesTable

PEOPLE = ("ada", "cem", "ece", "ian", "nur", "ovo", "tts:piper:joe", "zoe")


def report(
    misses: int, alarms: int, met: bool = True, trained: tuple[int, int] = (5, 5), supported: bool = True
) -> dict[str, Any]:
    """A K-fold in which each of eight voices, one of them a machine's, is missed so often of five times."""
    spread = {"low": 0.05, "high": 0.6}
    figures = {"misses": 8 * misses, "positives": 40, "miss_rate": misses / 5, "miss_interval": spread}
    figures |= {"speaker_interval": spread, "per_speaker": {who: [misses, 5] for who in PEOPLE}}
    condition = {
        "at_fah": {
            "0.5": {**figures, "false_alarms": 1, "met": met, "events_allowed": 4, "supported": supported and met}
        },
        "each_fold_at_fah": {"0.5": {**figures, "false_alarms": 1, "met": met, "events_allowed": [1, 2]}},
        "shipped": figures,
    }
    return {
        "conditions": {"clean": condition, "telephone": condition},
        "false_alarms": {"events": alarms, "hours": 8.0},
        "hours": 8.0,
        "near_words": {"accepted": alarms, "judged": 30, "by_fold": [[alarms, 30]]} if alarms else None,
        "folds": [{"data": {"train": {"positive_speakers": n + 9, "synthetic_speakers": 9}}} for n in trained],
        "warnings": ["the split may leak"],
    }


TABLE = VoicesTable(
    "uyan",
    (
        Point(0, {"both": report(5, 4, trained=(0, 0))}),
        Point(5, {"real": report(4, 0), "both": report(2, 3)}),
        Point(None, {"real": report(1, 1, met=False, trained=(27, 29)), "both": report(1, 0, trained=(27, 29))}),
    ),
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []

    def compare_voices(*arguments: Any) -> VoicesTable:
        made.append(arguments[:6])
        return TABLE

    monkeypatch.setattr(pipeline, "compare_voices", compare_voices)
    monkeypatch.setenv("COLUMNS", "120")
    return made


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `uyan voices compare ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["uyan", "voices", "compare", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_options_reach_the_pipeline(calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "a/word.yaml") == 0
    options = ("--speakers", "0, 3,9", "--folds", "3", "--jobs", "2", "--out", "there", "--set", "training.epochs=5")
    assert call(monkeypatch, "a/word.yaml", *options) == 0
    assert calls == [
        (Path("a/word.yaml"), [], Path("runs/word-compare"), [0, 5, 10, 20], 5, None),
        (Path("a/word.yaml"), ["training.epochs=5"], Path("there"), [0, 3, 9], 3, 2),
    ]


def test_the_table_pairs_both_and_says_what_it_cannot_promise(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "a/word.yaml", "--out", "there") == 0
    shown = capsys.readouterr().out
    assert "misses at 0.5 FAH (≤ 4 alarms in 8.00 h), one threshold" in shown and "“uyan”: as shipped" in shown
    assert shown.lstrip().startswith("synthetic voices spoke 5 of the 40 recordings")
    assert "misses, each fold at its own test's threshold for 0.5 FAH (≤ 1, 2 alarms)" in shown
    assert max(len(line) for line in shown.splitlines() if line.startswith(("│", "┃"))) <= 100
    assert "32/40 80.0%" in shown and "16/40 40.0%" in shown
    assert "-40.0 (-50%)" in shown and "]*" in shown
    assert shown.count("-40.0") == 4, "as shipped nothing is called better: other alarms"
    assert "│ 0: synthetic │" in shown and "│ alone        │" in shown
    assert "27 – 29" in shown and "not met" in shown and "+0.0" not in shown, "nor where one side keeps no target"
    assert "0 in 8.00 h" in shown and "4 in 8.00 h" in shown
    assert "near words accepted" in shown and "3/30 10.0%" in shown and "4/30 13.3%" in shown
    assert "as one change in twenty" in shown and "they promise nothing" in " ".join(shown.split())
    assert "cannot support" not in shown
    assert "warning: the split may leak" in shown and "there/compare.png" in shown


def test_hours_that_cannot_support_the_target_are_named(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = {"real": report(4, 0, supported=False), "both": report(2, 0, supported=False)}
    few = VoicesTable("uyan", (Point(5, sides),))
    monkeypatch.setattr(pipeline, "compare_voices", lambda *arguments: few)
    assert call(monkeypatch, "a/word.yaml") == 0
    shown = capsys.readouterr().out
    assert "so few hours of negatives cannot support 0.5 FAH" in shown
    assert "-40.0 (-50%)" in shown and "]*" not in shown, "no change is called one where nothing can be claimed"


def test_numbers_that_are_none_are_named(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("5,many", "5,,10", "5,", " , "):
        assert call(monkeypatch, "a/word.yaml", "--speakers", text) == 2
        assert f"--speakers {text!r}: write whole numbers" in capsys.readouterr().err
    assert calls == []
