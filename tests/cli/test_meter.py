import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from uyan.cli.meter import Lines, Meter, bar, live_lines, meter
from uyan.detector import Detection
from uyan.runtime.listener import Heard, Score

FOUND = Detection("günaydın", 12.34, 0.9)


def heard(value: float, *detections: Detection) -> Heard:
    return Heard(np.zeros(0, np.float32), 0, [Score("günaydın", 1.0, value)], list(detections))


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_a_bar_is_as_wide_as_asked_and_has_one_mark(score: float, threshold: float) -> None:
    row = bar(score, threshold, 20)
    assert len(row) == 20
    assert row.count("┊") + row.count("┿") == 1
    assert row.count("━") + row.count("┿") == round(score * 20)


def test_the_meter_has_a_line_a_word() -> None:
    shown = meter({"günaydın": 0.25, "hey": 0.9}, {"günaydın": 0.5, "hey": 0.8}, {"hey": FOUND}).plain.splitlines()
    assert [line.split()[0] for line in shown] == ["günaydın", "hey"]
    assert "0.250" in shown[0]
    assert shown[1].endswith("0.900  last 12.3 s, 0.900")


def on_terminal(shown: Meter, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the meter's terminal is sent."""
    sent = io.StringIO()
    monkeypatch.setattr(shown._live, "console", Console(file=sent, force_terminal=True, width=120))
    return sent


def test_bars_are_drawn_below_results_and_taken_away(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    shown = Meter(as_json=False, thresholds={"günaydın": 0.5})
    sent = on_terminal(shown, monkeypatch)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown.heard(heard(0.75, FOUND))
    shown._live.refresh()
    assert "   12.340 s  günaydın  score 0.900" in sent.getvalue()
    assert "0.750  last 12.3 s, 0.900" in sent.getvalue()
    shown.cut(0)
    shown._live.refresh()
    assert "0.000  last 12.3 s" in sent.getvalue()
    shown.finish()
    assert sent.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in sent.getvalue()
    assert capsys.readouterr().out == ""


def test_results_that_are_piped_elsewhere_go_there(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    shown = Meter(as_json=True, thresholds={"günaydın": 0.5})
    on_terminal(shown, monkeypatch)
    shown.heard(heard(0.75, FOUND))
    shown.finish()
    assert capsys.readouterr().out == '{"time_s": 12.34, "label": "günaydın", "score": 0.9}\n'


def test_without_a_terminal_there_are_lines_alone(capsys: Any) -> None:
    shown = live_lines(as_json=False, thresholds={"günaydın": 0.5})
    assert type(shown) is Lines
    shown.heard(heard(0.75))
    shown.heard(heard(0.75, FOUND))
    shown.finish()
    assert capsys.readouterr() == ("   12.340 s  günaydın  score 0.900\n", "")
    assert shown.detections == 1
