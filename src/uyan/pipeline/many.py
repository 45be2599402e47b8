"""Several runs side by side, each in a process of its own: folds, seeds, ablations.

What they share, the probes and the features, is made before they start, so that they only read it. A finished run is
not run again and an interrupted one resumes: the same call goes on. It knows nothing of what the runs differ in.
"""

import json
import multiprocessing
import os
import shutil
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Literal, NamedTuple

from uyan import __version__
from uyan.data.cache import default_budget_gb
from uyan.data.parallel import Progress, silent
from uyan.errors import ConfigError, TrainingError, UyanError
from uyan.pipeline.evaluate import TRACKS
from uyan.pipeline.run import run_until
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import Recipe

BUNDLE, METRICS, TRACEBACK = "bundle.onnx", "metrics.json", "traceback.txt"
STOP_S = 30.0
"""An interrupted run has this long to leave its checkpoint."""


class RunTask(NamedTuple):
    """One run to do."""

    recipe: Recipe
    base: Path
    """What the recipe's paths are relative to."""
    out: Path
    name: str
    """Stands before every line it tells."""


class Message(NamedTuple):
    """What a run says: a line or a step of its progress; the last is `failed`, or nothing."""

    kind: Literal["tell", "progress", "failed"]
    text: str = ""
    """A line, a stage, or why it failed."""
    done: int = 0
    total: int = 0


@dataclass
class _Child:
    task: RunTask
    process: SpawnProcess
    messages: Connection
    failure: str = ""


def run_many(
    tasks: Sequence[RunTask], jobs: int | None = None, progress: Progress = silent, tell: Tell = say_nothing
) -> list[dict[str, Any]]:
    """Do every run, `jobs` at a time (by default one a core); their metrics, in order.

    A run that fails does not stop the others. Raises TrainingError with each one's reason when all have ended, and
    whatever stops the preparation at once. Interrupted, it stops every run before it raises KeyboardInterrupt.
    """
    cores = os.cpu_count() or 1
    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs must be at least 1, not {jobs}")
    waiting = [task for task in tasks if finished(task) is None]
    # Not of those that wait: the threads of a resumed run are those it began with, or else its sums may differ.
    together = min(jobs or cores, max(1, len(tasks)))
    _prepare(waiting, progress)
    failures = _run_all([_shared(task, together, cores) for task in waiting], together, len(tasks), progress, tell)
    if failures:
        listed = "".join(f"\n  {name}: {reason}" for name, reason in failures)
        raise TrainingError(f"{len(failures)} of {len(tasks)} runs failed; the same command goes on{listed}")
    metrics = [(task, finished(task)) for task in tasks]
    for task, found in metrics:
        if found is None:
            raise TrainingError(f"{task.name} ended without its figures in {task.out}; run the same command again")
    return [found for _, found in metrics if found is not None]


def finished(task: RunTask) -> dict[str, Any] | None:
    """The metrics of a run that is over, of this uyan with this very recipe and sources; None otherwise."""
    if not all((task.out / name).is_file() for name in (BUNDLE, METRICS, TRACKS)):
        return None
    metrics = _metrics(task.out)
    found = tuple(metrics.get(field) for field in ("uyan", "config_hash", "manifests_sha256"))
    here = Workspace(task.recipe, task.base, task.out).manifests_digest()
    return metrics if found == (__version__, task.recipe.digest(), here) else None


def _metrics(out: Path) -> dict[str, Any]:
    """What was measured of the run there; empty where nothing was, or where the file is damaged."""
    try:
        metrics = json.loads((out / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return metrics if isinstance(metrics, dict) else {}


def threads_each(jobs: int, cores: int) -> int:
    """Threads of each of `jobs` processes.

    >>> threads_each(1, 8), threads_each(3, 8), threads_each(5, 2)
    (8, 2, 1)
    """
    return max(1, cores // jobs)


def _prepare(tasks: Sequence[RunTask], progress: Progress) -> None:
    """Check and extract in this process, once for each split and its features; the run itself tells of it."""
    prepared = set()
    for task in tasks:
        run = Workspace(task.recipe, task.base, task.out, progress)
        recipe = run.recipe
        data = recipe.data.model_dump_json()
        shared = (run.cache_folder, recipe.keyword, data, recipe.split, recipe.frontend, recipe.variants)
        if shared not in prepared:
            run_until(run, "features")
            prepared.add(shared)


def _shared(task: RunTask, jobs: int, cores: int) -> RunTask:
    """The task with its share of the machine: none of these fields changes a result."""
    recipe = task.recipe
    budget_gb = recipe.cache.max_ram_gb or default_budget_gb()
    cache = recipe.cache.model_copy(
        update={"max_ram_gb": budget_gb / jobs, "workers": recipe.cache.workers or threads_each(jobs, cores)}
    )
    # With a run on every core, loader processes would only take turns with it.
    batches = replace(recipe.batches, workers=0, validation_workers=0) if jobs >= cores else recipe.batches
    return task._replace(recipe=recipe.model_copy(update={"cache": cache, "batches": batches}))


def _run_all(tasks: Sequence[RunTask], jobs: int, total: int, progress: Progress, tell: Tell) -> list[tuple[str, str]]:
    """Name and reason of every run that failed."""
    threads = threads_each(jobs, os.cpu_count() or 1)
    waiting, running, failures = list(tasks), list[_Child](), list[tuple[str, str]]()
    try:
        while waiting or running:
            progress("runs", total - len(waiting) - len(running), total)
            while waiting and len(running) < jobs:
                running.append(_start(waiting.pop(0), threads))
            _listen(running, progress, tell)
            ended = [child for child in running if child.messages.closed]
            running = [child for child in running if not child.messages.closed]
            failures += [(child.task.name, reason) for child in ended if (reason := _end(child))]
        progress("runs", total, total)
    finally:
        _stop(running)
    return failures


def _start(task: RunTask, threads: int) -> _Child:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # Not a daemon: it has loader processes of its own.
    process = context.Process(target=_run_one, args=(task, threads, theirs), name=task.name)
    with _environment(OMP_NUM_THREADS=str(threads)):
        process.start()
    theirs.close()
    return _Child(task, process, ours)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
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


def _listen(running: Sequence[_Child], progress: Progress, tell: Tell) -> None:
    """Pass on what has been said; the pipe of a run that has ended is closed."""
    ready = wait([child.messages for child in running])
    for child in (child for child in running if child.messages in ready):
        try:
            message: Message = child.messages.recv()
        except EOFError:
            child.messages.close()
            continue
        if message.kind == "tell":
            tell(f"{child.task.name}: {message.text}")
        elif message.kind == "progress":
            progress(child.task.name, message.done, message.total)
        else:
            child.failure = message.text
            tell(f"{child.task.name} failed: {message.text}")


def _end(child: _Child) -> str:
    """Why a run that has closed its pipe failed; empty when it did not."""
    child.process.join()
    code = child.process.exitcode
    if child.failure or code == 0:
        return child.failure
    if code is not None and code < 0:
        return f"ended by {signal.Signals(-code).name}; if the memory was short, use fewer jobs"
    return f"ended with code {code}"


def _stop(running: Sequence[_Child]) -> None:
    """Interrupt what still runs, and wait until it has."""
    for child in running:
        if child.process.pid is not None and child.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(child.process.pid, signal.SIGINT)
    for child in running:
        # Nobody reads on: a run must not wait for room in its pipe.
        child.messages.close()
        child.process.join(STOP_S)
        if child.process.is_alive():
            child.process.kill()
            child.process.join()


def _run_one(task: RunTask, threads: int, messages: Connection) -> None:
    """A whole run, in its own process."""
    signal.signal(signal.SIGINT, _interrupt_once)

    try:
        import torch

        torch.set_num_threads(threads)
        run = Workspace(
            task.recipe,
            task.base,
            task.out,
            lambda stage, done, total: messages.send(Message("progress", stage, done, total)),
            lambda line: messages.send(Message("tell", line)),
        )
        run.open()
        _forget_other_version(run)
        run_until(run)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:
        raise SystemExit(1) from None  # whoever started it is gone
    except (UyanError, OSError) as reason:
        messages.send(Message("failed", str(reason)))
    except Exception as reason:
        file = task.out / TRACEBACK
        file.write_text(traceback.format_exc(), encoding="utf-8")
        messages.send(Message("failed", f"{type(reason).__name__}: {reason} (see {file})"))


def _forget_other_version(run: Workspace) -> None:
    """Delete the training of a run that another uyan finished: its weights would be taken for this one's."""
    metrics = _metrics(run.out)
    if metrics and metrics.get("uyan") != __version__:
        run.tell(f"was made by uyan {metrics.get('uyan')}, is trained again by {__version__}")
        shutil.rmtree(run.training, ignore_errors=True)
        # Last: interrupted before, it is forgotten again; after, what is there is this uyan's.
        (run.out / METRICS).unlink()


def _interrupt_once(number: int, frame: object) -> None:
    """A terminal interrupts the whole group, and so does who started us: the second time must not hurt the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
