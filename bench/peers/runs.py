"""Worker processes: one for each engine, word and threshold, and five more for the time an engine takes to start.

What is finished is kept: a run is told by the audio, the engine, the model and the worker's own code. It knows nothing
of what the scores mean.
"""

import hashlib
import json
import os
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.peers import protocol
from bench.peers.engines import ROOT, Engine
from bench.peers.protocol import UNKNOWN_WORD_STATUS, Job, Report
from uyan.audio import SAMPLE_RATE
from uyan.errors import UyanError
from uyan.files import replacing

CHUNK_SAMPLES = SAMPLE_RATE * 80 // 1000
STARTS = 5
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class EngineError(UyanError):
    """A worker failed."""


class NoModelError(EngineError):
    """An engine that takes any word does not know this one."""


@dataclass(frozen=True)
class Run:
    """One pass over the stream."""

    threshold: float | None
    report: Report
    times_s: NDArray[np.float64]
    """Seconds of audio delivered when each score was known, shape (scores,)."""
    scores: NDArray[np.float64]
    """Shape (scores,)."""


@dataclass(frozen=True)
class StreamFile:
    """The audio to hear."""

    path: Path
    sha256: str


def listen(
    engine: Engine, word: str, python: Path, stream: StreamFile, folder: Path, max_chunks: int | None = None
) -> list[Run]:
    """The engine's passes over the stream: one, or one at each of its thresholds; finished ones are read again.

    Raises NoModelError, or EngineError with the last line the worker said.
    """
    return [_one(engine, word, each, python, stream, folder, max_chunks) for each in engine.thresholds or (None,)]


def start_s(engine: Engine, word: str, python: Path, stream: StreamFile, folder: Path) -> tuple[float, float]:
    """Median seconds of importing the engine's package, and until it has answered its first chunk, in new processes."""
    usual = engine.shipped_threshold(word) if engine.thresholds else None
    runs = [_one(engine, word, usual, python, stream, folder / f"start-{i}", 1) for i in range(STARTS)]
    import_s = statistics.median(run.report.import_s for run in runs)
    return import_s, statistics.median(run.report.ready_s for run in runs)


def _one(
    engine: Engine,
    word: str,
    threshold: float | None,
    python: Path,
    stream: StreamFile,
    folder: Path,
    max_chunks: int | None,
) -> Run:
    model = engine.model(word)
    if model is None:
        raise NoModelError(f"{engine.name}: no model for {word!r}")
    key = _key(engine, word, threshold, stream, max_chunks)
    at = folder / f"{_slug(engine.name)}-{_slug(word)}-{key[:12]}"
    finished, track = at / "finished.json", at / "track.f64"
    if not finished.is_file():
        at.mkdir(parents=True, exist_ok=True)
        report = at / "report.json"
        job = Job(
            str(stream.path), SAMPLE_RATE, CHUNK_SAMPLES, word, model, threshold, str(track), str(report), max_chunks
        )
        _work(engine, python, job, at)
        with replacing(finished) as partial:  # last: without it the run counts as never done
            partial.write_bytes(report.read_bytes())
    rows = np.fromfile(track, np.float64).reshape(-1, 2)
    if not np.isfinite(rows).all():
        raise EngineError(f"{engine.name}: {np.sum(~np.isfinite(rows))} scores are not numbers")
    return Run(threshold, Report(**json.loads(finished.read_text(encoding="utf-8"))), rows[:, 0], rows[:, 1])


def _work(engine: Engine, python: Path, job: Job, folder: Path) -> None:
    order = folder / "job.json"
    order.write_text(json.dumps(asdict(job)), encoding="utf-8")
    # Nothing of this process's own packages reaches the worker; `bench` is found, the current folder is not looked at.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **dict.fromkeys(ONE_THREAD, "1")}
    done = subprocess.run(
        [str(python), str(engine.worker), str(order)], capture_output=True, text=True, env=environment, cwd=folder
    )
    if done.returncode == UNKNOWN_WORD_STATUS:
        raise NoModelError(f"{engine.name}: {_last_line(done.stderr)}")
    if done.returncode:
        raise EngineError(f"{engine.name}: failed with status {done.returncode}: {_last_line(done.stderr)}")


def _key(engine: Engine, word: str, threshold: float | None, stream: StreamFile, max_chunks: int | None) -> str:
    code = [Path(protocol.__file__).read_text(encoding="utf-8"), engine.worker.read_text(encoding="utf-8")]
    what = [engine.stamp, engine.model(word), engine.model_sha256, word, threshold, stream.sha256, max_chunks, code]
    return hashlib.sha256(json.dumps([*what, CHUNK_SAMPLES]).encode()).hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-").lower()


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "no message"
