"""The local engine: a pool of processes on this machine; what kills a process is tried again alone, then given up.

It needs nothing but Python's own pool.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from uyan.data.task_map import ATTEMPTS, Lost, chunks_of, run_chunk

CHUNKS_AHEAD = 3
"""Packets a worker that are given out and not yet asked for: none waits for the slowest."""

Waiting = deque[tuple[Sequence[Any], "Future[list[Any]]"]]


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
                pool.shutdown(wait=False)
                results = list(_one_by_one(task, chunk))
                pool = _pool(workers)
                given = deque((other, _again(pool, task, other, done)) for other, done in given)
            yield from results
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _submitted(pool: ProcessPoolExecutor, task: Callable[[Any], Any], chunk: Sequence[Any]) -> "Future[list[Any]]":
    """The packet given out; to a pool that has broken since, as what was lost with it."""
    try:
        return pool.submit(run_chunk, task, chunk)
    except BrokenProcessPool as reason:
        failed: Future[list[Any]] = Future()
        failed.set_exception(reason)
        return failed


def _again(
    pool: ProcessPoolExecutor, task: Callable[[Any], Any], chunk: Sequence[Any], done: "Future[list[Any]]"
) -> "Future[list[Any]]":
    """What was done before the pool broke stays done."""
    lost = done.done() and isinstance(done.exception(), BrokenProcessPool)
    return _submitted(pool, task, chunk) if lost else done


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _one_by_one(task: Callable[[Any], Any], chunk: Sequence[Any]) -> Iterator[Any]:
    """The results of a packet in which somebody's process died: nobody else's item can be to blame in here."""
    pool = _pool(1)
    try:
        for item in chunk:
            for _ in range(ATTEMPTS):
                try:
                    (result,) = pool.submit(run_chunk, task, [item]).result()
                    break
                except BrokenProcessPool:
                    pool.shutdown(wait=False)
                    pool, result = _pool(1), Lost(f"its process died {ATTEMPTS} times")
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
