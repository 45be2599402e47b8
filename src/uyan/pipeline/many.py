"""Several runs side by side, each in a process of its own: folds, seeds, ablations.

What they share, the probes and the features, is made before they start, so that they only read it. A finished run is
not run again and an interrupted one resumes: the same call goes on. It knows nothing of what the runs differ in, nor of
which engine runs them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from uyan.data.cache import default_budget_gb
from uyan.engine.job import Cores, Job, Message
from uyan.engine.parallel import Progress, cores, run_jobs, silent
from uyan.errors import ConfigError, RunsFailedError, TrainingError
from uyan.pipeline.loading import settle
from uyan.pipeline.one_run import one_run
from uyan.pipeline.run import run_until
from uyan.pipeline.run_task import RunTask, finished
from uyan.pipeline.workspace import Tell, Workspace, say_nothing


def run_many(
    tasks: Sequence[RunTask], jobs: int | None = None, progress: Progress = silent, tell: Tell = say_nothing
) -> list[dict[str, Any]]:
    """Do every run, `jobs` at a time (by default one a core); their metrics, in order.

    A run that fails does not stop the others. Raises RunsFailedError with each one's reason when all have ended, and
    whatever stops the preparation at once. Interrupted, it stops every run before it raises KeyboardInterrupt.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs must be at least 1, not {jobs}")
    waiting, there = [task for task in tasks if finished(task) is None], cores()
    # Not of those that wait: the threads of a resumed run are those it began with, or else its sums may differ.
    together = min(jobs or there.total, max(1, len(tasks)))
    if waiting:
        largest = _prepare(waiting, progress)
        settle([Workspace(task.recipe, task.base, task.out) for task in tasks], largest, tell)
    shared = [_shared(task, together, there) for task in waiting]
    failures, lasting = _run_all(shared, together, len(tasks), progress, tell)
    if failures:
        listed = "".join(f"\n  {name}: {reason}" for name, reason in failures.items())
        goes_on = "" if lasting >= failures.keys() else "; the same command goes on"
        message = f"{len(failures)} of {len(tasks)} runs failed{goes_on}{listed}"
        raise RunsFailedError(message, failures, lasting)
    metrics = [(task, finished(task)) for task in tasks]
    for task, found in metrics:
        if found is None:
            raise TrainingError(f"{task.name} ended without its figures in {task.out}; run the same command again")
    return [found for _, found in metrics if found is not None]


def _run_all(
    tasks: Sequence[RunTask], together: int, total: int, progress: Progress, tell: Tell
) -> tuple[dict[str, str], set[str]]:
    """Why those that failed did, by their names, and the names of those that always will."""
    lasting = set[str]()

    def said(name: str, message: Message) -> None:
        if message.kind == "tell":
            tell(f"{name}: {message.text}")
        elif message.kind == "progress":
            progress(name, message.done, message.total)
        else:
            lasting.update([name] if message.lasting else [])
            tell(f"{name} failed: {message.text}")

    # Absolute: nobody else need be at work where this process is.
    jobs = [Job(task.name, one_run, task._replace(out=task.out.absolute())) for task in tasks]
    threads = threads_each(together, cores())
    failures = run_jobs(jobs, together, threads, said, lambda over: progress("runs", total - len(jobs) + over, total))
    return failures, lasting


def threads_each(together: int, there: Cores) -> int:
    """Threads of each of so many runs; no more than a computer has.

    >>> threads_each(1, Cores(8, 8)), threads_each(3, Cores(8, 8)), threads_each(5, Cores(2, 2))
    (8, 2, 1)
    >>> threads_each(1, Cores(8, 2))
    2
    """
    return max(1, min(there.total // together, there.a_node))


def _prepare(tasks: Sequence[RunTask], progress: Progress) -> int:
    """Check and extract in this process, once for each split and its features; the run itself tells of it.

    Returns the bytes of the most features that one of them has.
    """
    prepared, largest = set(), 0
    for task in tasks:
        run = Workspace(task.recipe, task.base, task.out, progress)
        recipe = run.recipe
        data = recipe.data.model_dump_json()
        shared = (run.cache_folder, recipe.keyword, data, recipe.split, recipe.frontend, recipe.variants)
        if shared not in prepared:
            run_until(run, "features")
            prepared.add(shared)
            largest = max(largest, run.feature_bytes)
    return largest


def _shared(task: RunTask, together: int, there: Cores) -> RunTask:
    """The task with its share of the machine, which changes no result: where batches come from is settled already."""
    recipe = task.recipe
    budget_gb = recipe.cache.max_ram_gb or default_budget_gb()
    cache = recipe.cache.model_copy(
        update={"max_ram_gb": budget_gb / together, "workers": recipe.cache.workers or threads_each(together, there)}
    )
    # With a run on every core, loader processes would only take turns with it.
    batches = replace(recipe.batches, workers=0, validation_workers=0) if together >= there.total else recipe.batches
    return task._replace(recipe=recipe.model_copy(update={"cache": cache, "batches": batches}))
