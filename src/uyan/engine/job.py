"""What every engine does with long jobs, such as whole trainings: each in a process of its own, what it says passed on.

Whoever adds an engine writes one function of the shape of `RunJobs`; `parallel` chooses among them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol


class Message(NamedTuple):
    """What a job says: a line or a step of its progress; the last is `failed`, or nothing."""

    kind: Literal["tell", "progress", "failed"]
    text: str = ""
    """A line, a stage, or why it failed."""
    done: int = 0
    total: int = 0
    lasting: bool = False
    """Of one that failed: what it was told to do is why, so that it would fail again wherever and whenever."""


class Killed(str):
    """Why a job failed that did not fail by itself: begun again, it may well go on."""


class Outlet(Protocol):
    """Where a job says it."""

    def send(self, message: Message, /) -> None:
        """Pass a message on. Raises BrokenPipeError when nobody hears it any more."""


class Job(NamedTuple):
    """Something long to do, in a process of its own; begun again, it goes on where it stopped."""

    name: str
    """Like no other's."""
    work: Callable[[Any, int, Outlet], None]
    """Called there as work(argument, threads, outlet); a function of a module. SIGINT asks it to stop."""
    argument: Any


class Cores(NamedTuple):
    """What there is to compute with."""

    total: int
    a_node: int
    """Of the smallest computer: a job cannot have more."""


Said = Callable[[str, Message], None]
"""Called as said(name, message) of a job, here."""
Ended = Callable[[int], None]
"""Told how many jobs are over, failed or not."""


class RunJobs(Protocol):
    """An engine."""

    def __call__(self, jobs: Sequence[Job], together: int, threads: int, said: Said, ended: Ended) -> dict[str, str]:
        """Do all jobs, so many at a time, each with so many threads; why those that failed did, by their names.

        One whose process or computer was lost goes on, begun ATTEMPTS times in all.
        Interrupted, it interrupts them and waits for a while until they have ended.
        """
