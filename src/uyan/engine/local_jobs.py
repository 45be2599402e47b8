"""Long jobs on this computer: processes that say what they do, are interrupted together, and name why they ended.

It needs nothing but Python's own processes.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from uyan.engine.job import Cores, Ended, Job, Killed, Message, Said
from uyan.engine.task_map import ATTEMPTS

STOP_S = 30.0
"""An interrupted job has this long to leave what it goes on from."""
HEED_S = 0.5
"""So often it is looked whether there was an interruption that wakes nobody, as Ray's are."""


@dataclass
class _Child:
    job: Job
    attempt: int
    process: SpawnProcess
    messages: Connection
    failure: str = ""


def local_cores() -> Cores:
    """Those of this computer."""
    count = os.cpu_count() or 1
    return Cores(count, count)


def local_jobs(
    jobs: Sequence[Job],
    together: int,
    threads: int,
    said: Said,
    ended: Ended,
    attempts: int = ATTEMPTS,
    where: str = "",
) -> dict[str, str]:
    """See `RunJobs`. `where` names this computer."""
    waiting, running, failures = deque((job, 1) for job in jobs), list[_Child](), dict[str, str]()
    over = 0
    try:
        ended(over)
        while waiting or running:
            while waiting and len(running) < together:
                running.append(_start(*waiting.popleft(), threads))
            _listen(running, said)
            for child in [child for child in running if child.messages.closed]:
                running.remove(child)
                reason = _reason(child, where)
                if isinstance(reason, Killed) and child.attempt < attempts:
                    waiting.append((child.job, child.attempt + 1))
                    continue
                if reason:
                    failures[child.job.name] = reason
                over += 1
                ended(over)
    finally:
        _stop(running)
    return failures


def _start(job: Job, attempt: int, threads: int) -> _Child:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # Not a daemon: it has loader processes of its own.
    process = context.Process(target=job.work, args=(job.argument, threads, theirs), name=job.name)
    with environment(OMP_NUM_THREADS=str(threads)):
        process.start()
    theirs.close()
    return _Child(job, attempt, process, ours)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """These variables while the block runs: OpenMP reads them when it is loaded, before any line of ours."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _listen(running: Sequence[_Child], said: Said) -> None:
    """Pass on what has been said; the pipe of a job that has ended is closed."""
    ready = wait([child.messages for child in running], HEED_S)
    for child in (child for child in running if child.messages in ready):
        try:
            message: Message = child.messages.recv()
        except EOFError:
            child.messages.close()
            continue
        if message.kind == "failed":
            child.failure = message.text
        said(child.job.name, message)


def _reason(child: _Child, where: str) -> str:
    """Why a job that has closed its pipe failed; empty when it did not."""
    child.process.join()
    code = child.process.exitcode
    if child.failure or code == 0:
        return child.failure
    there = f" on {where}" if where else ""
    if code is not None and code < 0:
        return Killed(f"ended by {signal.Signals(-code).name}{there}; if the memory was short, use fewer jobs")
    return f"ended with code {code}{there}"


def _stop(running: Sequence[_Child]) -> None:
    """Interrupt what still runs, and wait until it has."""
    for child in running:
        if child.process.pid is not None and child.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(child.process.pid, signal.SIGINT)
    for child in running:
        # Nobody reads on: a job must not wait for room in its pipe.
        child.messages.close()
        child.process.join(STOP_S)
        if child.process.is_alive():
            child.process.kill()
            child.process.join()
