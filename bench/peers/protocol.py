"""What the harness and a worker say to each other: a job as JSON in, a score track and a report as files out.

It runs inside every engine's environment, so that it uses the standard library alone; sample rate and chunk come with
the job. A worker measures itself: the harness cannot see where importing ends and listening begins.
"""

import importlib
import json
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

UNKNOWN_WORD_STATUS = 3
"""Exit status of a worker whose engine does not know the word."""
ROWS_PER_WRITE = 4096
"""Score rows kept in memory: few, because the memory of the process is one of the figures."""
BYTES_PER_SAMPLE = 2
KIB = 1024


@dataclass(frozen=True)
class Job:
    """What one worker process is to do."""

    stream: str
    """Raw little-endian int16 mono."""
    rate_hz: int
    chunk_samples: int
    word: str
    model: str
    """The engine's own name or path of its model for that word."""
    threshold: float | None
    """For an engine that decides by itself; None for one that gives scores."""
    track: str
    """Where the scores go: rows of two float64, seconds of audio delivered by then and score."""
    report: str
    max_chunks: int | None = None
    """Stop after so many chunks: 1 to measure the start alone."""


@dataclass(frozen=True)
class Report:
    """What a worker measured of its own process."""

    import_s: float
    """Wall-clock time of importing the engine's package."""
    ready_s: float
    """The same and loading the model and answering the first chunk: nothing is left to be done on first use."""
    cpu_s: float
    """User and system time of all threads from then on."""
    audio_s: float
    """What was heard in that time."""
    peak_bytes: int | None
    """Peak resident memory of the process, track buffer included; None where the system does not tell."""
    threads: int | None
    """Threads of the process at the end."""


class UnknownWordError(Exception):
    """The engine has no model for the word and cannot make one."""


Listener = Callable[[bytes], Iterable[float]]
"""Takes the next chunk of int16 samples, gives the scores (or a 1.0 for each detection) that it completes."""


def serve(module: str, load: Callable[[Job], Listener]) -> None:
    """A worker's main function: import `module`, let `load` make the listener, hear the stream, write the results."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    _stay_on_one_core()
    begin = time.perf_counter()
    importlib.import_module(module)
    import_s = time.perf_counter() - begin
    try:
        listener = load(job)
    except UnknownWordError as reason:
        print(reason, file=sys.stderr)
        raise SystemExit(UNKNOWN_WORD_STATUS) from reason
    report = _listen(job, listener, begin, import_s)
    Path(job.report).write_text(json.dumps(asdict(report)), encoding="utf-8")


def _listen(job: Job, listener: Listener, begin: float, import_s: float) -> Report:
    rows = array("d")
    chunks = 0
    ready_s = cpu_begin_s = 0.0
    with Path(job.stream).open("rb") as stream, Path(job.track).open("wb") as track:
        while chunks != job.max_chunks:
            chunk = stream.read(job.chunk_samples * BYTES_PER_SAMPLE)
            if len(chunk) < job.chunk_samples * BYTES_PER_SAMPLE:
                break
            chunks += 1
            for score in listener(chunk):
                rows.extend((chunks * job.chunk_samples / job.rate_hz, score))
            if len(rows) >= 2 * ROWS_PER_WRITE:
                rows.tofile(track)
                del rows[:]
            if chunks == 1:
                ready_s = time.perf_counter() - begin
                cpu_begin_s = time.process_time()
        cpu_s = time.process_time() - cpu_begin_s
        rows.tofile(track)
    status = _own_status()
    peak_kib = status.get("VmHWM")
    return Report(
        import_s,
        ready_s,
        cpu_s,
        max(0, chunks - 1) * job.chunk_samples / job.rate_hz,
        None if peak_kib is None else peak_kib * KIB,
        status.get("Threads"),
    )


def _stay_on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _own_status() -> dict[str, int]:
    """Whole numbers of /proc/self/status (memory in KiB); empty elsewhere than on Linux.

    Not `getrusage`: on Linux its peak starts at that of the process which started this one.
    """
    listing = Path("/proc/self/status")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    fields = (line.replace(":", " ").split() for line in lines)
    return {field[0]: int(field[1]) for field in fields if len(field) > 1 and field[1].isdigit()}
