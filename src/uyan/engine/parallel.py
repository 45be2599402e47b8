"""The seam: one function over many items, results in order, or long jobs side by side, whichever engine runs them.

It knows nothing of audio: whoever calls it brings the task. Tasks for processes must be module-level functions and
handle their own expected errors; an unexpected one stops the run. Nothing above knows which engine is at work.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from uyan.engine.job import Cores, Ended, Job, RunJobs, Said
from uyan.engine.local_jobs import local_cores, local_jobs
from uyan.engine.local_tasks import local_map
from uyan.engine.task_map import Item, Lost, Result, TaskMap, run_here
from uyan.errors import ConfigError, DataError

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total); the CLI draws a bar with an ETA from it."""

AHEAD = 2
"""Results that wait to be asked for: as many cores decode beside the one that works on them."""
SMALL_JOB_ITEMS = 64
"""Below this many items, starting processes usually costs more than they save."""
LOCAL = "local"


class Engine(NamedTuple):
    """What runs tasks and jobs."""

    map: TaskMap
    jobs: RunJobs
    cores: Callable[[], Cores]


HERE = Engine(local_map, local_jobs, local_cores)
_engine: ContextVar[Engine] = ContextVar("engine", default=HERE)


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


@contextmanager
def engine(name: str | None) -> Iterator[None]:
    """What runs tasks and jobs inside: `local`, `ray` to start a cluster here, `ray://HOST:PORT` to join one.

    Raises ConfigError for another name, ClusterError where the cluster cannot be had.
    """
    if name in (None, LOCAL):
        yield
        return
    from uyan.engine import ray_cluster
    from uyan.engine.ray_jobs import ray_jobs
    from uyan.engine.ray_tasks import ray_map

    if name != ray_cluster.HERE and not str(name).startswith(ray_cluster.CLIENT):
        raise ConfigError(f"--on {name!r}: is none of {LOCAL}, {ray_cluster.HERE}, {ray_cluster.CLIENT}HOST:PORT")
    with ray_cluster.cluster(str(name)):
        token = _engine.set(Engine(ray_map, ray_jobs, ray_cluster.cluster_cores))
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
    lost: Callable[[Item, Lost], Result] | None = None,
    least: int = SMALL_JOB_ITEMS,
    mark: Path | None = None,
) -> Generator[Result, None, None]:
    """Yield `task(item)` for every item, in order. Whoever may raise in between closes it, which ends what is at work.

    `workers` None means one process per core; 1, or fewer than `least` items, run in this process, unless `least` is 0.
    An item that kills its process again and again becomes `lost(item, why)`, or DataError without it. Here it kills
    whoever asks: `mark` is there meanwhile, and where it was left, the next list with that mark runs in processes.
    """
    total = len(items)
    count = min(workers or os.cpu_count() or 1, total)
    progress(stage, 0, total)
    mapped = _engine.get().map
    ended_here = mark is not None and mark.exists()
    here = mapped is local_map and least > 0 and (count <= 1 or total < least) and not ended_here
    if here:
        results: Iterator[Result | Lost] = run_here(task, items)
    else:
        results = mapped(task, items, max(1, count)) if total else iter(())
    with _marked(mark, total > 0, here), _ended(results):
        for done, (item, result) in enumerate(zip(items, results, strict=True), 1):
            if isinstance(result, Lost):
                if lost is None:
                    raise DataError(f"{stage}: {item}: {result.reason}")
                yield lost(item, result)
            else:
                yield result
            progress(stage, done, total)


def run_jobs(jobs: Sequence[Job], together: int, threads: int, said: Said, ended: Ended) -> dict[str, str]:
    """Do long jobs, `together` at a time, each in a process with so many threads; see `RunJobs`."""
    return _engine.get().jobs(jobs, together, threads, said, ended)


def cores() -> Cores:
    """What the engine computes with."""
    return _engine.get().cores()


@contextmanager
def _marked(mark: Path | None, needed: bool, here: bool) -> Iterator[None]:
    """The mark stays where this process is ended meanwhile, and until processes of their own have done the list."""
    done = False
    if mark and here and needed:
        with suppress(OSError):  # what the work writes says why nothing can be written
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
    try:
        yield
        done = needed
    finally:
        if mark and (here or done):
            with suppress(OSError):
                mark.unlink(missing_ok=True)


@contextmanager
def _ended(results: Iterator[Result]) -> Iterator[None]:
    """What is at work ends with the loop over it, not when an interruption's traceback is dropped."""
    try:
        yield
    finally:
        if isinstance(results, Generator):
            results.close()


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
