"""What `uyan listen` shows: a line a detection and, on a terminal, a bar a word with its score and threshold."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from uyan.detector import Detection
from uyan.runtime.listener import Heard

BAR_CELLS = 40
REFRESHES_PER_S = 10


class Lines:
    """A watcher that prints detections; `tell` is for everything else and goes to standard error."""

    def __init__(self, as_json: bool, file: Path | None = None) -> None:
        """`as_json` makes a line one object; `file` is named in every line."""
        self._as_json, self._file = as_json, file
        self.detections = 0

    def heard(self, heard: Heard) -> None:
        """Print what fired."""
        for detection in heard.detections:
            self.detected(detection)

    def detected(self, found: Detection) -> None:
        """Print one detection."""
        self.detections += 1
        if self._as_json:
            row = {"time_s": found.time_s, "label": found.label, "score": found.score}
            file = {"file": str(self._file)} if self._file else {}
            self.show(json.dumps(file | row, ensure_ascii=False))
        else:
            where = f"{self._file}  " if self._file else ""
            self.show(f"{where}{found.time_s:9.3f} s  {found.label}  score {found.score:.3f}")

    def cut(self, position: int) -> None:
        """Told by whoever noticed."""

    def finish(self) -> None:
        """Nothing is open."""

    def show(self, line: str) -> None:
        """A result."""
        typer.echo(line)

    def tell(self, line: str) -> None:
        """A message."""
        typer.echo(line, err=True)


class Meter(Lines):
    """Lines above live bars, for a terminal."""

    def __init__(self, as_json: bool, thresholds: Mapping[str, float]) -> None:
        super().__init__(as_json)
        self._thresholds = thresholds
        self._scores = dict.fromkeys(thresholds, 0.0)
        self._last: dict[str, Detection] = {}
        self._live = Live(
            console=Console(stderr=True),
            get_renderable=lambda: meter(self._scores, self._thresholds, self._last),
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def heard(self, heard: Heard) -> None:
        """Print what fired and move the bars."""
        if not self._live.is_started:
            self._live.start()
        super().heard(heard)
        self._scores |= {score.label: score.value for score in heard.scores}

    def detected(self, found: Detection) -> None:
        """Print one detection and remember it."""
        super().detected(found)
        self._last[found.label] = found

    def cut(self, position: int) -> None:
        """The bars fall."""
        self._scores = dict.fromkeys(self._thresholds, 0.0)

    def finish(self) -> None:
        """Take the bars away."""
        self._live.stop()

    def show(self, line: str) -> None:
        """A result: above the bars, or to where standard output goes."""
        if sys.stdout.isatty():
            self.tell(line)
        else:
            super().show(line)

    def tell(self, line: str) -> None:
        """A message above the bars."""
        self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)


def meter(scores: Mapping[str, float], thresholds: Mapping[str, float], last: Mapping[str, Detection]) -> Text:
    """One line a word: its score as a bar, a mark at the threshold, its last detection."""
    width = max(map(len, thresholds))
    lines = []
    for label, threshold in thresholds.items():
        fired = f"last {last[label].time_s:.1f} s, {last[label].score:.3f}" if label in last else ""
        style = "green" if scores[label] >= threshold else ""
        lines.append(Text.assemble(f"{label:<{width}} ", (bar(scores[label], threshold), style)))
        lines[-1].append(f" {scores[label]:.3f}  {fired}")
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def bar(score: float, threshold: float, cells: int = BAR_CELLS) -> str:
    """A score from 0 to 1 in so many cells, the threshold's marked.

    >>> bar(0.5, 0.8, 10), bar(0.9, 0.8, 10)
    ('━━━━━   ┊ ', '━━━━━━━━┿ ')
    """
    mark = min(cells - 1, int(threshold * cells))
    filled = round(score * cells)
    row = ["━"] * filled + [" "] * (cells - filled)
    row[mark] = "┿" if mark < filled else "┊"
    return "".join(row)


def live_lines(as_json: bool, thresholds: Mapping[str, float]) -> Lines:
    """With bars where standard error is a terminal, plain lines elsewhere."""
    return Meter(as_json, thresholds) if sys.stderr.isatty() else Lines(as_json)
