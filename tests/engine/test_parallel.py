"""Results in order, progress to the end, and an error ends the run instead of hanging it."""

import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from uyan.engine.given_up import NAME, GivenUp
from uyan.engine.parallel import AHEAD, LOCAL, SMALL_JOB_ITEMS, ahead, engine, run_tasks
from uyan.engine.task_map import Lost, PacketTask, chunks_of
from uyan.errors import ConfigError, DataError

ITEMS = list(range(SMALL_JOB_ITEMS + 6))


def process_of(item: int) -> tuple[int, int]:
    if item % 7 == 0:
        time.sleep(0.002)  # some are slower: order must not depend on it
    return item, os.getpid()


def fail_at_five(item: int) -> int:
    if item == 5:
        raise ValueError("item 5 is bad")
    return item


def kill_with_a_note(item: tuple[Path | None, int]) -> int:
    starts, number = item
    if starts:
        with starts.open("a") as opened:
            opened.write("x")
        os._exit(9)
    time.sleep(0.02)
    return number


def wait_from_four(item: int) -> int:
    time.sleep(300 if item >= 4 else 0)
    return item


def kill_at_five(item: int) -> str:
    if item == 5:
        os._exit(9)
    return f"did {item}"


@dataclass(frozen=True)
class Logged(PacketTask[int, int]):
    """Doubles its items; writes how many each packet had when that is closed."""

    folder: Path

    @contextmanager
    def packet(self) -> Iterator[Callable[[int], int]]:
        items: list[int] = []

        def each(item: int) -> int:
            if item == -1:
                raise ValueError("no such item")
            items.append(item)
            return 2 * item

        try:
            yield each
        finally:
            (self.folder / f"{os.getpid()}-{items[0]}").write_text(str(len(items)))


def packets(folder: Path) -> list[int]:
    return sorted(int(file.read_text()) for file in folder.iterdir())


def die_once(file: Path) -> str:
    """The process dies the first time only, as when memory was short."""
    if file.name == "7":
        if not file.exists():
            file.touch()
            os._exit(9)
        return "second time"
    return "first time"


class Watch:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.seen.append((stage, done, total))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_packet_is_closed_before_its_results_are_there(tmp_path: Path, workers: int) -> None:
    assert list(run_tasks("work", Logged(tmp_path), ITEMS, workers)) == [2 * item for item in ITEMS]
    assert packets(tmp_path) == sorted(len(chunk) for chunk in chunks_of(ITEMS, workers))
    assert Logged(tmp_path)(500) == 1000
    assert packets(tmp_path)[0] == 1


def test_whatever_stops_a_packet_closes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such item"):
        list(run_tasks("work", Logged(tmp_path), [*range(30), -1, 7, 8, 9], 1))
    assert packets(tmp_path) == [2] + [4] * 7

    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    (tmp_path / "b").mkdir()
    with pytest.raises(KeyboardInterrupt) as caught:
        list(run_tasks("work", Logged(tmp_path / "b"), ITEMS, 1, interrupt))
    assert packets(tmp_path / "b") == [3], caught  # though the traceback still holds the loop


def test_processes_return_everything_in_order() -> None:
    watch = Watch()
    results = list(run_tasks("work", process_of, ITEMS, workers=2, progress=watch))
    assert [item for item, _ in results] == ITEMS
    processes = {process for _, process in results}
    assert os.getpid() not in processes
    assert len(processes) <= 2
    assert watch.seen == [("work", done, len(ITEMS)) for done in range(len(ITEMS) + 1)]


def test_an_error_in_a_process_ends_the_run() -> None:
    watch = Watch()
    with pytest.raises(ValueError, match="item 5 is bad"):
        list(run_tasks("work", fail_at_five, ITEMS, workers=2, progress=watch))
    assert watch.seen[-1][1] <= 5


@pytest.mark.parametrize(
    ("count", "workers"), [(SMALL_JOB_ITEMS - 1, 2), (SMALL_JOB_ITEMS + 6, 1), (1, None), (0, None)]
)
def test_small_jobs_and_single_workers_stay_in_this_process(count: int, workers: int | None) -> None:
    watch = Watch()
    results = list(run_tasks("work", process_of, ITEMS[:count], workers, watch))
    assert results == [(item, os.getpid()) for item in range(count)]
    assert watch.seen == [("work", done, count) for done in range(count + 1)]


def test_an_error_here_comes_through_after_the_results_before_it() -> None:
    watch = Watch()
    results = run_tasks("work", fail_at_five, ITEMS[:10], progress=watch)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="item 5"):
        next(results)
    assert watch.seen[-1] == ("work", 5, 10)


def test_work_is_done_as_results_are_asked_for() -> None:
    done: list[int] = []

    def task(item: int) -> int:
        done.append(item)
        return item

    results = run_tasks("work", task, ITEMS[:10])
    assert done == []
    assert next(results) == 0
    assert done == [0]


def test_only_a_few_results_are_made_ahead_of_time() -> None:
    made: list[int] = []

    def make(item: int) -> int:
        made.append(item)
        return item

    results = ahead(make, iter(range(100)))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    results.close()  # type: ignore[attr-defined]  # a generator
    assert len(made) <= 5 + AHEAD


def test_an_error_comes_in_the_place_of_its_result() -> None:
    results = ahead(fail_at_five, range(10))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="item 5 is bad"):
        next(results)


def test_who_kills_its_process_is_given_up_and_nobody_else() -> None:
    given_up = Lost("its process died 3 times", platform.node())
    results = list(run_tasks("work", kill_at_five, ITEMS, workers=2, lost=lambda item, why: f"{item} {why}"))
    assert results == [f"did {item}" if item != 5 else f"5 {given_up}" for item in ITEMS]


@pytest.mark.parametrize("killer", [0, 5, 40])
def test_who_kills_is_begun_three_times(tmp_path: Path, killer: int) -> None:
    items = [(tmp_path / "starts" if item == killer else None, item) for item in ITEMS]
    results = list(run_tasks("work", kill_with_a_note, items, workers=2, lost=lambda item, why: -1))
    assert results == [-1 if item == killer else item for item in ITEMS]
    assert (tmp_path / "starts").read_text() == "xxx"


def test_nothing_is_at_work_after_an_error_of_whoever_asks() -> None:
    with pytest.raises(ValueError) as caught, closing(run_tasks("work", wait_from_four, ITEMS, workers=2)) as results:
        assert next(results) == 0
        processes = multiprocessing.active_children()
        assert len(processes) == 2
        raise ValueError
    until = time.monotonic() + 60
    while any(process.is_alive() for process in processes) and time.monotonic() < until:
        time.sleep(0.02)  # the pool's own thread may have learnt of an end and not said so yet
    assert not any(process.is_alive() for process in processes), caught  # though the traceback still holds the loop


def test_without_another_answer_it_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="work: 5: its process died 3 times"):
        list(run_tasks("work", kill_at_five, ITEMS, workers=2))


def test_a_process_that_dies_once_is_tried_again(tmp_path: Path) -> None:
    results = list(run_tasks("work", die_once, [tmp_path / str(item) for item in ITEMS], workers=2))
    assert results == ["second time" if item == 7 else "first time" for item in ITEMS]


def lists_given_up(folder: Path) -> None:
    """A command whose list stays in its process; files called 5 kill."""
    files, known = [folder / str(item) for item in range(8)], GivenUp(folder / NAME)
    refused = known.among(files)

    def lost(file: Path, why: Lost) -> str:
        known.add(file, why)
        return why.reason

    waiting = [file for file in files if str(file) not in refused]
    print(list(run_tasks("work", kill_if_five, waiting, 2, lost=lost, mark=known.mark("work"))))
    print(os.getpid(), (folder / "process").read_text())


def kill_if_five(file: Path) -> str:
    file.with_name("process").write_text(str(os.getpid()))
    if file.name == "5":
        os._exit(9)
    return file.name


def test_what_ended_the_command_is_given_up_by_the_next(tmp_path: Path) -> None:
    for item in range(8):
        (tmp_path / str(item)).touch()

    def command() -> tuple[int, list[str]]:
        found = subprocess.run([sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, timeout=100)
        return found.returncode, found.stdout.splitlines()

    assert command() == (9, []) and not (tmp_path / NAME).exists()
    code, lines = command()
    done = ["0", "1", "2", "3", "4", "its process died 3 times", "6", "7"]
    assert (code, lines[0]) == (0, str(done)) and len(set(lines[1].split())) == 2
    assert list(GivenUp(tmp_path / NAME).among([tmp_path / "5"])) == [str(tmp_path / "5")]
    code, lines = command()
    assert (code, lines[0]) == (0, "['0', '1', '2', '3', '4', '6', '7']") and len(set(lines[1].split())) == 1  # here


def test_a_mark_is_there_while_the_work_is(tmp_path: Path) -> None:
    mark = tmp_path / "cache" / ".at-work"
    assert list(run_tasks("work", lambda item: mark.exists(), ITEMS[:3], mark=mark)) == [True] * 3
    assert not mark.exists()
    with pytest.raises(ValueError, match="item 5"):
        list(run_tasks("work", fail_at_five, ITEMS[:10], mark=mark))
    assert not mark.exists()
    mark.touch()
    assert list(run_tasks("work", process_of, [], mark=mark)) == []
    assert mark.exists()  # of another list nothing is known yet
    with pytest.raises(ValueError, match="item 5"):
        list(run_tasks("work", fail_at_five, ITEMS[:10], mark=mark))
    assert mark.exists()


def test_engines_by_name() -> None:
    with engine(None), engine(LOCAL):
        assert list(run_tasks("work", fail_at_five, [1, 2])) == [1, 2]
    with pytest.raises(ConfigError, match="--on 'slurm': is none of local, ray, ray://HOST:PORT"), engine("slurm"):
        pass


if __name__ == "__main__":
    lists_given_up(Path(sys.argv[1]))
