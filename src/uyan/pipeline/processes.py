"""One command in several processes of this computer, which train together; torchrun does the same over computers.

The first of them answers: what it says is shown, and Ctrl-C and SIGTERM reach it alone. Where it does not end, since it
waits for one that hangs, or where one dies, all are ended, so that nobody waits. It knows nothing of what the command
does.
"""

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from uyan.errors import ConfigError
from uyan.ranks import GOES_ON

GRACE_S = 30.0
"""For a process to end by itself after a signal, or after another has ended with an error, and again after SIGTERM."""
POLL_S = 0.1
INTERRUPTED = 130
"""Exit code of a command that was interrupted, as shells have it."""


@dataclass
class _Asked:
    """Signals that have come."""

    count: int = 0
    first_s: float = math.inf
    """When, by the monotonic clock."""

    def in_vain(self) -> bool:
        """Whether nobody waits any longer for an answer: the second signal, or the first one long ago."""
        return self.count > 1 or time.monotonic() > self.first_s + GRACE_S


def run_processes(command: Sequence[str], count: int, tell: Callable[[str], None]) -> int:
    """Run so many copies of `command` as one group; the exit code is the first process's, or that of who failed first.

    `tell` hears of processes that were killed. Raises ConfigError for fewer than one process.
    """
    if count < 1:
        raise ConfigError(f"--processes must be at least 1, not {count}")
    port, children = str(_free_port()), list[subprocess.Popen[bytes]]()
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    group = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    try:
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": threads}
            # A group of its own: Ctrl-C of a terminal goes to everyone in ours, and the first is told once.
            children.append(subprocess.Popen(command, env={**os.environ, **group, **own}, process_group=0))
        with _passed_on(children[0]) as asked:
            try:
                return _watched(children, asked, tell)
            finally:
                _end(children, asked)
    finally:
        _end(children, _Asked())


def _watched(children: Sequence["subprocess.Popen[bytes]"], asked: _Asked, tell: Callable[[str], None]) -> int:
    """Wait for all, or for the first that fails and, for a while, for the others."""
    while all(child.poll() in (None, 0) for child in children):
        if children[0].returncode == 0 and all(child.returncode == 0 for child in children):
            return 0
        if asked.in_vain():
            tell(f"interrupted; a process did not answer, and all are ended; {GOES_ON}")
            return INTERRUPTED
        time.sleep(POLL_S)
    failed = next(rank for rank, child in enumerate(children) if child.returncode)
    _wait(children, asked)
    code = children[failed].returncode
    if code < 0:
        name = signal.Signals(-code).name
        tell(f"process {failed + 1} of {len(children)} was ended by {name}; {GOES_ON}")
        return 1
    own = children[0].returncode
    return own if own and own > 0 else int(code)


def _wait(children: Sequence["subprocess.Popen[bytes]"], asked: _Asked) -> None:
    """For a while, and no longer than until somebody asks twice."""
    until = time.monotonic() + GRACE_S
    while any(child.poll() is None for child in children) and time.monotonic() < until and asked.count < 2:
        time.sleep(POLL_S)


def _end(children: Sequence["subprocess.Popen[bytes]"], asked: _Asked) -> None:
    """Nobody is left behind."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        for child in children:
            if child.poll() is None:
                child.send_signal(end)
        _wait(children, asked)
    for child in children:
        child.wait()


@contextmanager
def _passed_on(first: "subprocess.Popen[bytes]") -> Iterator[_Asked]:
    """Ctrl-C and SIGTERM are the first process's to answer, and a terminal that is closed is told as SIGTERM."""

    asked = _Asked()

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.count, asked.first_s = asked.count + 1, min(asked.first_s, time.monotonic())
        first.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    passed_on = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.signal(number, pass_on) for number in passed_on}
    try:
        yield asked
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
