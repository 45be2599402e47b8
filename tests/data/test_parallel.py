"""Results in order, progress to the end, and an error ends the run instead of hanging it."""

import os
import time
from pathlib import Path

import pytest

from uyan.data.parallel import AHEAD, LOCAL, SMALL_JOB_ITEMS, ahead, engine, run_tasks
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


def kill_at_five(item: int) -> str:
    if item == 5:
        os._exit(9)
    return f"did {item}"


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
    results = list(run_tasks("work", kill_at_five, ITEMS, workers=2, lost=lambda item, reason: f"{item} {reason}"))
    assert results == [f"did {item}" if item != 5 else "5 its process died 3 times" for item in ITEMS]


def test_without_another_answer_it_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="work: 5: its process died 3 times"):
        list(run_tasks("work", kill_at_five, ITEMS, workers=2))


def test_a_process_that_dies_once_is_tried_again(tmp_path: Path) -> None:
    results = list(run_tasks("work", die_once, [tmp_path / str(item) for item in ITEMS], workers=2))
    assert results == ["second time" if item == 7 else "first time" for item in ITEMS]


def test_engines_by_name() -> None:
    with engine(None), engine(LOCAL):
        assert list(run_tasks("work", fail_at_five, [1, 2])) == [1, 2]
    with pytest.raises(ConfigError, match="--on 'slurm': is none of local, ray, ray://HOST:PORT"), engine("slurm"):
        pass
