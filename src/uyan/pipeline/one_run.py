"""One of several runs in its own process: it says what it does and why it failed, and leaves its checkpoint.

It ends with whoever started it. It knows nothing of the other runs.
"""

import shutil
import signal
import threading
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import wait
from os import getpid, kill

from uyan import __version__
from uyan.engine.job import Message, Outlet
from uyan.errors import ConfigError, TrainingError, UyanError
from uyan.freed_memory import keep_freed_memory
from uyan.pipeline.loading import DECISION
from uyan.pipeline.run import run_until
from uyan.pipeline.run_task import METRICS, RunTask, read_metrics
from uyan.pipeline.validation import VALIDATION, train_and_validate
from uyan.pipeline.workspace import Workspace
from uyan.ranks import interrupt

TRACEBACK = "traceback.txt"
LEAVING_S = 30.0
"""A run that was begun elsewhere before, and lost whoever started it, leaves the folder within this time."""


def one_run(task: RunTask, threads: int, messages: Outlet) -> None:
    """A whole run; see `Job.work`."""
    signal.signal(signal.SIGINT, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Ray blocks it in all that it starts
    _end_with_parent()
    keep_freed_memory()
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
        run.open(LEAVING_S)
        _forget_other_version(run)
        run_until(run) if task.judged_on == "test" else train_and_validate(run)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:
        raise SystemExit(1) from None  # whoever started it is gone
    except (UyanError, OSError) as reason:
        messages.send(Message("failed", str(reason), lasting=_lasting(reason)))
    except Exception as reason:
        file = task.out / TRACEBACK
        file.write_text(traceback.format_exc(), encoding="utf-8")
        messages.send(Message("failed", f"{type(reason).__name__}: {reason} (see {file})"))


def _lasting(reason: Exception) -> bool:
    """Whether the recipe is why: a value, or a training that went wrong by itself, with no other error behind it."""
    return isinstance(reason, ConfigError | TrainingError) and reason.__cause__ is None


def _forget_other_version(run: Workspace) -> None:
    """Delete the training of a run that another uyan finished: its weights would be taken for this one's."""
    for file in (run.out / METRICS, run.out / VALIDATION):
        metrics = read_metrics(file)
        if metrics and metrics.get("uyan") != __version__:
            run.tell(f"was made by uyan {metrics.get('uyan')}, is trained again by {__version__}")
            for left in [left for left in run.training.glob("*") if left.name != DECISION]:  # settled for all
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
            # Last: interrupted before, it is forgotten again; after, what is there is this uyan's.
            file.unlink()


def _end_with_parent() -> None:
    """Interrupt this process when the one that started it is gone: another may want to go on with the run."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        kill(getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
