"""One task function over many items in a pool of processes, results in order, progress as it goes.

It knows nothing of audio: whoever calls it brings the task. Tasks must be module-level functions and handle
their own expected errors; an unexpected one stops the run.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total); the CLI draws a bar with an ETA from it."""

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
