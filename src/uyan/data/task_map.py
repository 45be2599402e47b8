"""What every engine does: map a task over items in order, and say which items nobody could do and why.

Whoever adds an engine writes one function of this shape; `parallel` chooses among them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3
"""An item whose process dies so often is given up: it is the item's fault."""


@dataclass(frozen=True)
class Lost:
    """An item without a result."""

    reason: str


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


def run_chunk(task: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    """A packet's results, in a worker."""
    return [task(item) for item in chunk]
