"""One function over many items in processes, each item within a time limit: what hangs or dies is cut off and told.

`concurrent.futures` cannot end a process that hangs in a library; here each process has a pipe of its own, is ended
when its item takes too long, and is started anew. Whoever is ended may clean up first: end the programs it started,
remove its files. A process ends, too, when the one that started it is gone. It knows nothing of what it runs.
"""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic

from uyan.engine.task_map import Item, Lost, Result

START_S = 60.0
"""A new process may take this much longer with its first item: it imports, and it loads a model."""
LEAVE_S = 5.0
"""So long a process that is ended may take to clean up; one that hangs in a library does not hear of it."""


def run_limited(
    task: Callable[[Item], Result], items: Iterable[Item], workers: int, limit_s: float, start_s: float | None = None
) -> Iterator[tuple[Item, Result | Lost]]:
    """Each item with `task(item)`, in the order in which they end; an item is taken when a process is free for it.

    A new process has `start_s` more, START_S by default. `task` must be picklable and handle its own expected errors:
    any other stops the run and is raised here.
    """
    waiting = iter(items)
    busy: list[_Worker[Item, Result]] = []
    idle: list[_Worker[Item, Result]] = []
    try:
        while True:
            for item in itertools.islice(waiting, workers - len(busy)):
                worker = idle.pop() if idle else _Worker(task, START_S if start_s is None else start_s)
                busy.append(worker)
                worker.give(item, limit_s)
            if not busy:
                return
            patience_s = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
            ready = wait([worker.pipe for worker in busy], patience_s)
            for worker in list(busy):
                if worker.pipe in ready or time.monotonic() > worker.deadline:
                    item, result = worker.taken(worker.pipe in ready, limit_s)
                    busy.remove(worker)
                    if not isinstance(result, Lost):
                        idle.append(worker)
                    yield item, result
    finally:
        for worker in [*busy, *idle]:
            worker.end()


class _Worker(Generic[Item, Result]):
    """A process, the pipe to it, and what it is at."""

    def __init__(self, task: Callable[[Item], Result], start_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(task, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.deadline = 0.0
        self._item: list[Item] = []
        self._grace_s = start_s

    def give(self, item: Item, limit_s: float) -> None:
        """Begin an item."""
        self._item, self.deadline = [item], time.monotonic() + limit_s + self._grace_s
        self._grace_s = 0.0
        self.pipe.send(item)

    def taken(self, ready: bool, limit_s: float) -> tuple[Item, Result | Lost]:
        """The item that ended, and its result; a process that was too slow, or died, is gone afterwards."""
        item = self._item.pop()
        if not ready:
            self.end()
            return item, Lost(f"took longer than {limit_s:g} s and was cut off")
        try:
            result: Result | BaseException = self.pipe.recv()
        except EOFError:
            self.process.join()
            exit_code = self.process.exitcode
            self.end()
            return item, Lost(f"the engine's process died (exit code {exit_code})")
        if isinstance(result, BaseException):
            raise result
        return item, result

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.terminate()
        self.process.join(LEAVE_S)
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(task: Callable[[Item], Result], pipe: Connection) -> None:
    """In the process: one item after the other, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started the processes ends them
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer: object = task(item)
        except Exception as reason:
            answer = reason
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return


def _leave(*_: object) -> None:
    """What is open is closed on the way out."""
    raise SystemExit(1)


def _leave_with_parent() -> None:
    """Wait for the end of the process that started this one, then end it as `_Worker.end` would have."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LEAVE_S)
        os._exit(1)
