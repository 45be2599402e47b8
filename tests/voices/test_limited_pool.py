"""Processes with a time limit: results of all, and a reason for what hung or died."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uyan.engine.task_map import Lost
from uyan.voices.limited_pool import run_limited


def at_work(item: int) -> int:
    if item == -1:
        time.sleep(600)
    if item == -2:
        os._exit(7)
    if item == -3:
        raise ValueError("unexpected")
    return item * item


def with_a_program(folder: Path) -> None:
    """Starts a program that hangs, in a session of its own, and ends it whenever it leaves."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        (folder / "program.part").write_text(f"{os.getpid()} {program.pid}")
        (folder / "program.part").rename(folder / "program")
        program.wait()
    finally:
        program.kill()
        program.wait()


def over_a_program(folder: str) -> None:
    list(run_limited(with_a_program, [Path(folder)], 1, 600.0))


def started(folder: Path, patience_s: float = 60.0) -> list[int]:
    """The process ids of a worker and of the program that it started."""
    waited_until = time.monotonic() + patience_s
    while not (folder / "program").exists():
        assert time.monotonic() < waited_until
        time.sleep(0.02)
    return [int(pid) for pid in (folder / "program").read_text().split()]


def are_gone(pids: list[int], patience_s: float = 20.0) -> bool:
    waited_until = time.monotonic() + patience_s
    while any(runs(pid) for pid in pids) and time.monotonic() < waited_until:
        time.sleep(0.02)
    return not any(runs(pid) for pid in pids)


def runs(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be collected by whoever inherited it."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.startswith("Z")


@pytest.mark.slow
def test_what_is_cut_off_ends_the_programs_it_started(tmp_path: Path) -> None:
    ((_, result),) = run_limited(with_a_program, [tmp_path], 1, 4.0, start_s=6.0)
    assert isinstance(result, Lost)
    assert are_gone(started(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_whoever_started_it(tmp_path: Path, how: signal.Signals) -> None:
    context = multiprocessing.get_context("spawn")
    starter = context.Process(target=over_a_program, args=(str(tmp_path),))
    starter.start()
    pids = started(tmp_path)
    assert starter.pid is not None
    os.kill(starter.pid, how)
    starter.join()
    assert are_gone(pids)


def test_every_item_comes_back_with_its_result() -> None:
    assert dict(run_limited(at_work, range(20), 2, 30.0)) == {item: item * item for item in range(20)}


def test_what_hangs_or_dies_is_told_and_the_others_are_done() -> None:
    results = dict(run_limited(at_work, [1, -1, 2, -2, 3], 2, 0.2, start_s=5.0))
    assert {item: result for item, result in results.items() if item > 0} == {1: 1, 2: 4, 3: 9}
    assert isinstance(results[-1], Lost)
    assert "longer than 0.2 s" in results[-1].reason
    assert isinstance(results[-2], Lost)
    assert "exit code 7" in results[-2].reason


def test_an_unexpected_error_is_raised_here() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        list(run_limited(at_work, [1, -3], 1, 30.0))


def test_nothing_to_do_starts_nothing() -> None:
    assert list(run_limited(at_work, [], 2, 1.0)) == []
