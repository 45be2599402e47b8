"""One function over many items, results in order: in a pool of processes, or a little ahead in threads.

It knows nothing of audio: whoever calls it brings the task. Tasks for processes must be module-level functions and
handle their own expected errors; an unexpected one stops the run.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total); the CLI draws a bar with an ETA from it."""

AHEAD = 2
"""Results that wait to be asked for: as many cores decode beside the one that works on them."""
SMALL_JOB_ITEMS = 64
"""Below this many items, starting processes costs more than they save."""


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


def run_tasks(
    stage: str,
    task: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress = silent,
) -> Iterator[Result]:
    """Yield `task(item)` for every item, in order.

    `workers` None means one process per core; 1, or a small job, runs in this process.
    """
    total = len(items)
    count = min(workers or os.cpu_count() or 1, total)
    progress(stage, 0, total)
    if count <= 1 or total < SMALL_JOB_ITEMS:
        for done, item in enumerate(items, 1):
            yield task(item)
            progress(stage, done, total)
        return
    chunk = max(1, min(32, total // (count * 8)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        try:
            for done, result in enumerate(pool.map(task, items, chunksize=chunk), 1):
                yield result
                progress(stage, done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for every item, in order; `AHEAD` of them are begun in threads before they are asked for.

    For what releases Python's lock, as decoding does. An exception is raised where its result would have come.

    >>> list(ahead(abs, [-3, -1, 2]))
    [3, 1, 2]
    """
    with ThreadPoolExecutor(AHEAD) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(function, item))
                if len(begun) > AHEAD:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
