"""What every engine does: map a task over items in order, and say which items nobody could do and why.

Whoever adds an engine writes one function of this shape; `parallel` chooses among them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from uyan.freed_memory import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS_AHEAD = 3
"""Packets a worker that are given out and not yet asked for: none waits for the slowest."""
ATTEMPTS = 3
"""An item whose process dies so often is given up: it is the item's fault."""


@dataclass(frozen=True)
class Lost:
    """An item without a result."""

    reason: str
    node: str = ""
    """Where it was tried; several with commas between them."""


class TaskMap(Protocol):
    """An engine."""

    def __call__(self, task: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
        """`task(item)` or `Lost` for every item, in order, `workers` at a time.

        An item whose process dies is tried ATTEMPTS times; an exception of the task itself is raised here.
        """


def chunks_of(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    """Items in packets: few enough messages to cost nothing, enough packets to keep all workers busy to the end.

    >>> [len(chunk) for chunk in chunks_of(range(70), 2)]
    [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2]
    """
    size = max(1, min(32, len(items) // (workers * 8)))
    return [items[at : at + size] for at in range(0, len(items), size)]


class PacketTask(ABC, Generic[Item, Result]):
    """A task that keeps something open for as long as a packet lasts, such as a file that it writes to.

    It is closed before a packet's results leave the worker; whatever stops a packet, it is closed as well.
    """

    @abstractmethod
    def packet(self) -> AbstractContextManager[Callable[[Item], Result]]:
        """What to call for every item of a packet."""

    def __call__(self, item: Item) -> Result:
        with self.packet() as each:
            return each(item)


@contextmanager
def opened(task: Callable[[Item], Result]) -> Iterator[Callable[[Item], Result]]:
    """The task as it is called for the items of one packet."""
    if isinstance(task, PacketTask):
        with task.packet() as each:
            yield each
    else:
        yield task


def run_chunk(task: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    """A packet's results, in a worker."""
    keep_freed_memory()
    with opened(task) as each:
        return [each(item) for item in chunk]


def run_here(task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results of all items, one after the other in this process, in the packets that one worker would get."""
    for chunk in chunks_of(items, 1):
        with opened(task) as each:
            for item in chunk:
                yield each(item)
