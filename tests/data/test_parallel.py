"""Results in order, progress to the end, and an error ends the run instead of hanging it."""

import os
import time

import pytest

from uyan.data.parallel import AHEAD, SMALL_JOB_ITEMS, ahead, run_tasks

ITEMS = list(range(SMALL_JOB_ITEMS + 6))


def process_of(item: int) -> tuple[int, int]:
    if item % 7 == 0:
        time.sleep(0.002)  # some are slower: order must not depend on it
    return item, os.getpid()


def fail_at_five(item: int) -> int:
    if item == 5:
        raise ValueError("item 5 is bad")
    return item


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
