"""The seam: one function over many items, results in order, whichever engine runs it; or a little ahead in threads.

It knows nothing of audio: whoever calls it brings the task. Tasks for processes must be module-level functions and
handle their own expected errors; an unexpected one stops the run. Nothing above knows which engine is at work.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

from uyan.data.local_tasks import local_map
from uyan.data.task_map import Item, Lost, Result, TaskMap
from uyan.errors import ConfigError, DataError

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total); the CLI draws a bar with an ETA from it."""

AHEAD = 2
"""Results that wait to be asked for: as many cores decode beside the one that works on them."""
SMALL_JOB_ITEMS = 64
"""Below this many items, starting processes costs more than they save."""
LOCAL = "local"

_engine: ContextVar[TaskMap] = ContextVar("engine", default=local_map)


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


@contextmanager
def engine(name: str | None) -> Iterator[None]:
    """What runs tasks inside: `local`, `ray` to start a cluster here, `ray://HOST:PORT` to join one.

    Raises ConfigError for another name, ClusterError where the cluster cannot be had.
    """
    if name in (None, LOCAL):
        yield
        return
    from uyan.data.ray_tasks import CLIENT, HERE, ray_engine

    if name != HERE and not str(name).startswith(CLIENT):
        raise ConfigError(f"--on {name!r}: is none of {LOCAL}, {HERE}, {CLIENT}HOST:PORT")
    with ray_engine(str(name)) as mapped:
        token = _engine.set(mapped)
        try:
            yield
        finally:
            _engine.reset(token)


def run_tasks(
    stage: str,
    task: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Progress = silent,
    lost: Callable[[Item, str], Result] | None = None,
) -> Iterator[Result]:
    """Yield `task(item)` for every item, in order.

    `workers` None means one process per core; 1, or a small job, runs in this process. An item that kills its process
    again and again becomes `lost(item, reason)`, or DataError without it.
    """
    total = len(items)
    count = min(workers or os.cpu_count() or 1, total)
    progress(stage, 0, total)
    mapped = _engine.get()
    if mapped is local_map and (count <= 1 or total < SMALL_JOB_ITEMS):
        results: Iterator[Result | Lost] = map(task, items)
    else:
        results = mapped(task, items, max(1, count)) if total else iter(())
    for done, (item, result) in enumerate(zip(items, results, strict=True), 1):
        if isinstance(result, Lost):
            if lost is None:
                raise DataError(f"{stage}: {item}: {result.reason}")
            yield lost(item, result.reason)
        else:
            yield result
        progress(stage, done, total)


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
