"""Copies of a command: what they are told, who answers, and that none is left behind."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from uyan.errors import ConfigError
from uyan.pipeline import processes
from uyan.pipeline.processes import run_processes

WRITE = """
import os, pathlib
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
pathlib.Path(os.environ["OUT"], os.environ["RANK"]).write_text(" ".join(os.environ[name] for name in names))
"""
WAIT = """
import os, pathlib, signal, sys, time
def answer(number, frame):
    sys.exit(number + 100)
if os.environ["RANK"] == "0":
    signal.signal(signal.SIGINT, answer)
    signal.signal(signal.SIGTERM, answer)
pathlib.Path(os.environ["OUT"], os.environ["RANK"]).write_text(str(os.getpid()))
time.sleep(600)
"""


def run(code: str, count: int, told: list[str] | None = None) -> int:
    return run_processes([sys.executable, "-c", code], count, (told if told is not None else []).append)


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setattr(processes, "GRACE_S", 2.0)
    return tmp_path


def alive(out: Path) -> list[int]:
    """Of the processes that wait, those that are there."""
    pids = [int(file.read_text()) for file in out.iterdir()]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def send(out: Path, *numbers: signal.Signals) -> None:
    """Signals to this process, once two others wait."""
    while len(list(out.iterdir())) < 2:
        time.sleep(0.05)
    for number in numbers:
        time.sleep(0.2)
        os.kill(os.getpid(), number)


def test_each_is_told_which_one_it_is(out: Path) -> None:
    assert run(WRITE, 3) == 0
    assert [(out / str(rank)).read_text() for rank in range(3)] == [f"{rank} {rank} 3 3 127.0.0.1" for rank in range(3)]


def test_the_first_one_answers_for_all() -> None:
    assert run("import os, sys; sys.exit(2 if os.environ['RANK'] == '0' else 1)", 2) == 2
    assert run("import os, sys; sys.exit(3 * (os.environ['RANK'] == '1'))", 2) == 3


def test_one_that_dies_ends_the_others(out: Path) -> None:
    told: list[str] = []
    code = f"import os, signal\nif os.environ['RANK'] == '1': os.kill(os.getpid(), signal.SIGKILL)\n{WAIT}"
    assert run(code, 3, told) == 1
    assert told == ["process 2 of 3 was ended by SIGKILL; the same command goes on where it stopped"]
    assert alive(out) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGHUP, signal.SIGTERM)],
)
def test_signals_are_the_first_ones_to_answer(out: Path, number: signal.Signals, told: signal.Signals) -> None:
    sender = threading.Thread(target=send, args=(out, number))
    sender.start()
    before = signal.getsignal(number)
    assert run(WAIT, 2) == told + 100
    sender.join()
    assert alive(out) == [] and signal.getsignal(number) is before


@pytest.mark.parametrize(("signals", "grace_s"), [(1, 1.0), (2, 600.0)])
def test_a_first_one_that_cannot_answer_is_ended_after_a_while_or_when_asked_twice(
    signals: int, grace_s: float, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_S", grace_s)
    deaf = (
        f"import signal\nsignal.signal = lambda number, how: signal.pthread_sigmask(signal.SIG_BLOCK, [number])\n{WAIT}"
    )
    sender = threading.Thread(target=send, args=(out, *[signal.SIGINT] * signals))
    sender.start()
    told: list[str] = []
    assert run(deaf, 2, told) == 130
    sender.join()
    assert told == [
        "interrupted; a process did not answer, and all are ended; the same command goes on where it stopped"
    ]
    assert alive(out) == []


def test_no_processes_are_refused() -> None:
    with pytest.raises(ConfigError, match="--processes must be at least 1, not 0"):
        run(WRITE, 0)
