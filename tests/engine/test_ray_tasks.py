"""The Ray engine gives what the local one gives: order, errors, items that kill, nodes that die."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_head import free_ports, ray_head
from uyan.engine.job import Job
from uyan.engine.parallel import SMALL_JOB_ITEMS, engine, run_jobs, run_tasks
from uyan.engine.task_map import Lost
from uyan.errors import ClusterError, ShardError

ray = pytest.importorskip("ray", reason="needs uyan[ray]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
ITEMS = list(range(SMALL_JOB_ITEMS + 6))


def square(item: int) -> int:
    return item * item


def slow_square(item: int) -> int:
    time.sleep(0.2)
    return item * item


def fail_at_five(item: int) -> int:
    if item == 5:
        raise ValueError("item 5 is bad")
    return item


def no_room_at_five(item: int) -> int:
    if item == 5:
        raise ShardError("/cache/a.f16: cannot be written (No space left on device)")
    return item


def kill_at_five(item: int) -> str:
    if item == 5:
        os._exit(9)
    return f"did {item}"


def kill_for(item: tuple[Path, int]) -> int:
    """Item 5 kills its process and counts how often it was begun."""
    starts, number = item
    if number == 5:
        with starts.open("a") as opened:
            opened.write("x")
        os._exit(9)
    return number


@pytest.fixture(scope="module", autouse=True)
def tasks_can_be_imported() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for folder in Path(__file__).parents[:2]:
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture
def started() -> Iterator[None]:
    with engine("ray"):
        yield


def in_ray(*arguments: object, **options: object) -> list[object]:
    return list(run_tasks("work", *arguments, **options))  # type: ignore[arg-type]


def test_the_same_results_in_the_same_order(started: None) -> None:
    seen: list[tuple[str, int, int]] = []
    results = in_ray(square, ITEMS, progress=lambda *args: seen.append(args))
    assert results == [item * item for item in ITEMS]
    assert seen == [("work", done, len(ITEMS)) for done in range(len(ITEMS) + 1)]
    assert in_ray(square, []) == []


def test_an_error_of_the_task_is_that_error(started: None) -> None:
    with pytest.raises(ValueError, match="item 5 is bad"):
        in_ray(fail_at_five, ITEMS)


def test_an_error_that_the_user_can_mend_says_where(started: None) -> None:
    with pytest.raises(ShardError) as raised:
        in_ray(no_room_at_five, ITEMS)
    assert str(raised.value) == f"/cache/a.f16: cannot be written (No space left on device) (on node {platform.node()})"


def test_who_kills_its_process_is_given_up_and_nobody_else(started: None) -> None:
    seen: list[Lost] = []

    def lost(item: object, why: Lost) -> str:
        seen.append(why)
        return f"{item} {why.reason}"

    results = in_ray(kill_at_five, ITEMS, lost=lost)
    assert results == [f"did {item}" if item != 5 else "5 its process died 3 times" for item in ITEMS]
    assert [platform.node() in why.node for why in seen] == [True]


def test_it_is_begun_three_times(started: None, tmp_path: Path) -> None:
    items = [(tmp_path / "starts", number) for number in range(SMALL_JOB_ITEMS)]
    assert in_ray(kill_for, items, lost=lambda item, why: -1) == [-1 if n == 5 else n for _, n in items]
    assert (tmp_path / "starts").read_text() == "xxx"


def test_nobody_answers() -> None:
    with pytest.raises(ClusterError, match="cannot be joined"), engine(f"ray://127.0.0.1:{free_ports()[0]}"):
        pass


def test_a_cluster_that_exists_is_joined_as_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: a client and a driver do not get along in one."""
    pytest.importorskip("grpc", reason="needs uyan[ray]")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ray_head() as address:
        joined = subprocess.run([sys.executable, __file__, address], capture_output=True, text=True, timeout=300)
    said = "fails: the word is missing, 1 line of two threads"
    assert joined.stdout == f"{[item * item for item in ITEMS]}\n{said}\n", joined.stderr


def test_a_node_that_dies_changes_no_result() -> None:
    """Two nodes, each a process tree of its own; one is ended in the middle."""
    from ray.cluster_utils import Cluster

    from uyan.engine.ray_tasks import ray_map

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    doomed = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        results = ray_map(slow_square, ITEMS, 2)
        first = [next(results) for _ in range(6)]
        cluster.remove_node(doomed, allow_graceful=False)
        assert [*first, *results] == [item * item for item in ITEMS]
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    from test_ray_jobs import say

    lines: list[str] = []
    with engine(sys.argv[1]):
        print(in_ray(square, ITEMS))
        failed = run_jobs([Job("fails", say, "fails")], 1, 2, lambda _, m: lines.append(m.text), lambda over: None)
    told = sum(line == "fails with 2 of 2 threads" for line in lines)
    print(*(f"{name}: {reason}, {told} line of two threads" for name, reason in failed.items()))
