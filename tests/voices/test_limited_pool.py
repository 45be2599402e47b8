"""Processes with a time limit: results of all, and a reason for what hung or died."""

import os
import time

import pytest

from uyan.data.task_map import Lost
from uyan.voices.limited_pool import run_limited


def at_work(item: int) -> int:
    if item == -1:
        time.sleep(600)
    if item == -2:
        os._exit(7)
    if item == -3:
        raise ValueError("unexpected")
    return item * item


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
