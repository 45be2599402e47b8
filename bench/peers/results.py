"""What is found of one engine: installed, started, heard, counted; a reason in words where one of them was impossible.

An engine that fails is a row that says so; the others are compared all the same. It knows nothing of how rows are
shown.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.compare import AsShipped, AtTarget, as_shipped, at_targets, curve_of
from bench.peers.engines import Engine
from bench.peers.environments import EMPTY, Environment, prepare
from bench.peers.runs import NoModelError, Run, StreamFile, listen, start_s
from bench.peers.truth import Truth
from uyan.errors import UyanError

NO_MODEL = "no model for this word"
JUDGED = "judged"
UNHEARD = "no takes of this word in the stream"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Cost:
    """What an engine takes, medians over its runs (memory: the most)."""

    model: str
    """The word whose model was loaded."""
    cpu_s_per_audio_s: float
    peak_bytes: int | None
    threads: int | None
    import_s: float
    ready_s: float
    install_bytes: int
    """Of its environment, an empty one taken off."""


@dataclass(frozen=True)
class Row:
    """An engine on one word."""

    engine: str
    word: str
    status: str
    """`judged`, `no model for this word`, `no takes of this word in the stream`, or what went wrong."""
    keywords: int = 0
    at_fah: dict[str, AtTarget] | None = None
    shipped: AsShipped | None = None
    cost: Cost | None = None
    packages: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the engine is missing for a reason that can be mended."""
        return self.status not in (JUDGED, NO_MODEL, UNHEARD)


@dataclass(frozen=True)
class Place:
    """Where things lie."""

    environments: Path
    runs: Path
    stream: StreamFile


def compare(engine: Engine, words: Sequence[str], truth: Truth, place: Place, progress: Progress) -> list[Row]:
    """Rows of one engine, one a word of the stream, and one for its cost alone where it knows none of them."""
    try:
        progress(f"{engine.name}: environment")
        empty = prepare(place.environments / EMPTY, None, EMPTY)
        environment = prepare(place.environments / engine.environment, engine.requirement, engine.stamp)
    except UyanError as reason:
        return [Row(engine.name, word, str(reason)) for word in words]
    install_bytes = environment.total_bytes - empty.total_bytes
    rows = [_row(engine, word, truth, place, environment, install_bytes, progress) for word in words]
    if not any(row.cost for row in rows) and not any(row.failed for row in rows):
        rows.append(_row(engine, engine.cost_word, truth, place, environment, install_bytes, progress))
    return rows


def _row(
    engine: Engine,
    word: str,
    truth: Truth,
    place: Place,
    environment: Environment,
    install_bytes: int,
    progress: Progress,
) -> Row:
    if engine.model(word) is None:
        return Row(engine.name, word, NO_MODEL)
    try:
        progress(f"{engine.name}: listens for {word!r}")
        runs = listen(engine, word, environment.python, place.stream, place.runs)
        import_s, ready_s = start_s(engine, word, environment.python, place.stream, place.runs)
        spans = [(each.start_s, each.end_s) for each in truth.keywords if each.word == word]
        shipped = as_shipped(runs, engine.shipped_threshold(word), engine.decision, spans, truth.hours)
        curve = curve_of(runs, engine.decision, spans, truth.hours) if spans else None
    except NoModelError:
        return Row(engine.name, word, NO_MODEL)
    except UyanError as reason:
        return Row(engine.name, word, str(reason))
    return Row(
        engine.name,
        word,
        JUDGED if curve else UNHEARD,
        len(spans),
        at_targets(curve, truth.distinct_hours) if curve else None,
        shipped,
        _cost(word, runs, import_s, ready_s, install_bytes),
        environment.packages,
    )


def _cost(word: str, runs: Sequence[Run], import_s: float, ready_s: float, install_bytes: int) -> Cost:
    reports = [run.report for run in runs]
    peaks = [report.peak_bytes for report in reports if report.peak_bytes is not None]
    return Cost(
        model=word,
        cpu_s_per_audio_s=statistics.median(report.cpu_s / report.audio_s for report in reports),
        peak_bytes=max(peaks, default=None),
        threads=reports[0].threads,
        import_s=import_s,
        ready_s=ready_s,
        install_bytes=install_bytes,
    )
