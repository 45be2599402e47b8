"""Jobs on a cluster say and end what they would here; killed ones go on, on another node if need be."""

import _thread
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from uyan.engine.job import Job, Message, Outlet
from uyan.engine.parallel import cores, engine, run_jobs

ray = pytest.importorskip("ray", reason="needs uyan[ray]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def say(name: str, threads: int, outlet: Outlet) -> None:
    outlet.send(Message("tell", f"{name} with {threads} of {os.environ['OMP_NUM_THREADS']} threads"))
    for done in range(1, 101):
        outlet.send(Message("progress", "train", done, 100))
    if name == "fails":
        outlet.send(Message("failed", "the word is missing"))


def count(folder: Path, threads: int, outlet: Outlet) -> None:
    """Goes on from its folder; killed at 3 the first time."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        for number in range(len(list(folder.glob("[0-9]*"))), 6):
            (folder / f"{number}").write_text(str(os.getppid()))
            outlet.send(Message("progress", "count", number + 1, 6))
            if folder.name == "killed" and number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60 if folder.name == "slow" else 0.5)
    except KeyboardInterrupt:
        (folder / "left").touch()
        raise SystemExit(130) from None


def die(starts: Path, threads: int, outlet: Outlet) -> None:
    with starts.open("a") as opened:
        opened.write("x")
    os.kill(os.getppid() if starts.name == "watcher" else os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def tasks_can_be_imported() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # nobody is there, nor asked
    with engine("ray"):
        yield


def test_what_jobs_say_and_why_they_fail(started: None) -> None:
    assert cores().total == cores().a_node == os.cpu_count()
    said: list[tuple[str, Message]] = []
    over: list[int] = []
    jobs = [Job(name, say, name) for name in ("works", "fails")]
    failures = run_jobs(jobs, 2, 1, lambda *heard: said.append(heard), over.append)
    assert failures == {"fails": "the word is missing"}
    assert over == [0, 1, 2]
    for name in ("works", "fails"):
        mine = [message for who, message in said if who == name]
        assert mine[0] == Message("tell", f"{name} with 1 of 1 threads")
        assert Message("progress", "train", 100, 100) in mine and len(mine) < 60  # few of a hundred at once
        last = Message("progress", "train", 100, 100) if name == "works" else Message("failed", "the word is missing")
        assert mine[-1] == last


def test_a_job_that_is_killed_goes_on(started: None, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    steps: list[Message] = []
    assert run_jobs([Job("a", count, folder)], 1, 1, lambda _, m: steps.append(m), lambda over: None) == {}
    assert sorted(file.name for file in folder.iterdir()) == list("012345")
    assert steps[-1] == Message("progress", "count", 6, 6)


@pytest.mark.parametrize("name", ["job", "watcher"])
def test_a_job_that_kills_is_begun_three_times(started: None, tmp_path: Path, name: str) -> None:
    failures = run_jobs([Job("a", die, tmp_path / name)], 1, 1, lambda *heard: None, lambda over: None)
    assert failures["a"].startswith("ended by SIGKILL on node" if name == "job" else "its process died (")
    assert (tmp_path / name).read_text() == "xxx"


def test_an_interruption_lets_jobs_clean_up(started: None, tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()

    def interrupt(name: str, message: Message) -> None:
        threading.Timer(0.5, _thread.interrupt_main).start()

    with pytest.raises(KeyboardInterrupt):
        run_jobs([Job("a", count, folder)], 1, 1, interrupt, lambda over: None)
    assert (folder / "left").exists()


def test_a_node_that_dies_costs_no_job(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    from uyan.engine.ray_jobs import ray_jobs

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    doomed = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    there = {folder.name: 0 for folder in folders}

    def said(name: str, message: Message) -> None:
        there[name] = message.done
        if min(there.values()) >= 2 and doomed in cluster.worker_nodes:
            cluster.remove_node(doomed, allow_graceful=False)

    try:
        assert ray_jobs([Job(f.name, count, f) for f in folders], 2, 1, said, lambda over: None) == {}
        assert doomed not in cluster.worker_nodes
        for folder in folders:
            assert {file.name for file in folder.iterdir()} >= set("012345")
        watchers = [{file.read_text() for file in folder.glob("[0-9]")} for folder in folders]
        assert max(len(processes) for processes in watchers) == 2  # one went on elsewhere
    finally:
        ray.shutdown()
        cluster.shutdown()
