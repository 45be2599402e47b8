"""Jobs in processes of their own: the environment they start with, what they say, how they end, and once more."""

import os
import signal
from pathlib import Path

import pytest

from uyan.engine.job import Job, Message, Outlet
from uyan.engine.local_jobs import environment, local_jobs


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UYAN_A", "before")
    monkeypatch.delenv("UYAN_B", raising=False)
    with environment(UYAN_A="1", UYAN_B="2"):
        assert (os.environ["UYAN_A"], os.environ["UYAN_B"]) == ("1", "2")
    assert os.environ["UYAN_A"] == "before" and "UYAN_B" not in os.environ


def die_once(file: Path, threads: int, outlet: Outlet) -> None:
    """Killed the first time only, as when memory was short."""
    outlet.send(Message("tell", f"{threads} of {os.environ['OMP_NUM_THREADS']} threads"))
    if not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def die(starts: Path, threads: int, outlet: Outlet) -> None:
    with starts.open("a") as opened:
        opened.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def give_up(reason: str, threads: int, outlet: Outlet) -> None:
    if reason:
        outlet.send(Message("failed", reason))
    raise SystemExit(3)


def test_a_job_that_is_killed_is_begun_again(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    over: list[int] = []
    jobs = [Job("a", die_once, tmp_path / "a")]
    assert local_jobs(jobs, 1, 2, lambda name, m: said.append((name, m.text)), over.append) == {}
    assert said == [("a", "2 of 2 threads")] * 2
    assert over == [0, 1]


def test_why_jobs_ended_is_told_by_name_and_only_killed_ones_are_begun_again(tmp_path: Path) -> None:
    jobs = [Job("a", die, tmp_path / "a"), Job("b", give_up, "no word"), Job("c", give_up, "")]
    failures = local_jobs(jobs, 2, 1, lambda name, message: None, lambda over: None, where="node n1")
    assert failures == {
        "a": "ended by SIGKILL on node n1; if the memory was short, use fewer jobs",
        "b": "no word",
        "c": "ended with code 3 on node n1",
    }
    assert (tmp_path / "a").read_text() == "xxx"
