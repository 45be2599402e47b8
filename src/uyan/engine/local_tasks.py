"""The local engine: a pool of processes on this machine; what kills a process is tried again alone, then given up.

It needs nothing but Python's own pool.
"""

import multiprocessing
import platform
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from uyan.engine.task_map import ATTEMPTS, CHUNKS_AHEAD, Lost, chunks_of, run_chunk

Waiting = deque[tuple[Sequence[Any], "Future[list[Any]]"]]


class _WasAtWork(Exception):
    """A packet that somebody worked at when a process died."""


def local_map(task: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    """See `TaskMap`."""
    chunks = deque(chunks_of(items, workers))
    given: Waiting = deque()
    pool = _pool(workers)
    try:
        while chunks or given:
            while chunks and len(given) < CHUNKS_AHEAD * workers:
                given.append((chunks[0], _submitted(pool, task, chunks[0])))
                chunks.popleft()
            chunk, future = given.popleft()
            try:
                results: list[Any] = future.result()
            except BrokenProcessPool:
                pool.shutdown()  # until it is known which packets were lost
                given.appendleft((chunk, future))
                pool = _pool(workers)
                given = _again(pool, task, given, workers)
                continue
            except _WasAtWork:
                results = list(_one_by_one(task, chunk))
            yield from results
    except BaseException:
        _end(pool)
        raise
    pool.shutdown()


def _submitted(pool: ProcessPoolExecutor, task: Callable[[Any], Any], chunk: Sequence[Any]) -> "Future[list[Any]]":
    """The packet given out; to a pool that has broken since, as what was lost with it."""
    try:
        return pool.submit(run_chunk, task, chunk)
    except BrokenProcessPool as reason:
        return _failed(reason)


def _failed(reason: Exception) -> "Future[list[Any]]":
    failed: Future[list[Any]] = Future()
    failed.set_exception(reason)
    return failed


def _again(pool: ProcessPoolExecutor, task: Callable[[Any], Any], given: Waiting, workers: int) -> Waiting:
    """What was done before the pool broke stays done; of the rest the first, one a worker, may be to blame."""
    lost = [isinstance(future.exception(), BrokenProcessPool) for _, future in given]
    renewed: Waiting = deque()
    for number, (chunk, future) in enumerate(given):
        if not lost[number]:
            renewed.append((chunk, future))
        elif sum(lost[:number]) < workers:
            renewed.append((chunk, _failed(_WasAtWork())))
        else:
            renewed.append((chunk, _submitted(pool, task, chunk)))
    return renewed


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _end(pool: ProcessPoolExecutor) -> None:
    """End the processes at once: nobody waits for what they are at, and packets count whole or not at all."""
    processes = list((pool._processes or {}).values())  # public from Python 3.14 on: terminate_workers
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _one_by_one(task: Callable[[Any], Any], chunk: Sequence[Any]) -> Iterator[Any]:
    """The results of a packet during which a process died, its items' first attempt: alone, each has the others."""
    pool = _pool(1)
    try:
        for item in chunk:
            for _ in range(ATTEMPTS - 1):
                try:
                    (result,) = pool.submit(run_chunk, task, [item]).result()
                    break
                except BrokenProcessPool:
                    pool.shutdown(wait=False)
                    pool, result = _pool(1), Lost(f"its process died {ATTEMPTS} times", platform.node())
            yield result
    finally:
        _end(pool)
