"""Items are found whichever shard they are in, whoever writes, merges or damages shards meanwhile."""

import os
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_shard import one_shard

from uyan.data.shards import shard_folder
from uyan.data.shards.shard_folder import ShardFolder, remove
from uyan.errors import DataError, ShardError

MELS = 3


def name(number: int) -> str:
    return f"{number * 7919 % 997:038x}00"


def features(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(-8, 3, (MELS, number % 5 + 1)).astype(np.float16)


def write(folder: Path, numbers: list[int]) -> Path:
    """One shard; its index."""
    return one_shard(folder, {name(number): features(number) for number in numbers})


@given(
    shards=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=6), max_size=6),
    asked=st.lists(st.integers(0, 22), max_size=12),
)
def test_items_are_found_wherever_they_are(
    tmp_path_factory: pytest.TempPathFactory, shards: list[list[int]], asked: list[int]
) -> None:
    path = tmp_path_factory.mktemp("shards")
    folder = ShardFolder(path, MELS)
    for numbers in shards:
        write(path, numbers)
    there = {number for numbers in shards for number in numbers}
    assert folder.missing([name(n) for n in asked]) == [name(n) for n in asked if n not in there]
    known = [number for number in asked if number in there]
    for number in known:
        np.testing.assert_array_equal(folder.read(name(number)), features(number))
    packed = folder.packed([name(number) for number in known])
    assert np.diff(packed.starts).tolist() == [number % 5 + 1 for number in known]
    if known:
        np.testing.assert_array_equal(packed.rows.T, np.concatenate([features(n) for n in known], axis=1))
    for number in set(asked) - there:
        assert folder.locate(name(number)) is None
        with pytest.raises(DataError, match=f"no features of {name(number)}"):
            folder.read(name(number))


def test_what_others_write_is_seen(tmp_path: Path) -> None:
    folder = ShardFolder(tmp_path / "later", MELS)
    assert folder.missing([name(1)]) == [name(1)]
    write(tmp_path / "later", [1])
    assert folder.locate(name(1)) is not None
    write(tmp_path / "later", [2])
    assert folder.lengths([name(1), name(2)]).tolist() == [2, 3]


@pytest.mark.parametrize("opened", [False, True])
def test_items_that_moved_to_another_shard_are_followed(tmp_path: Path, opened: bool) -> None:
    folder, first = ShardFolder(tmp_path, MELS), write(tmp_path, [1, 2])
    assert folder.missing([name(1)]) == []
    if opened:
        folder.read(name(1))
    write(tmp_path, [3, 1, 2])
    remove(first)
    for number in (2, 1):
        np.testing.assert_array_equal(folder.read(name(number)), features(number))
    assert [len(shard) for shard in folder.shards] == ([2] if opened else [3])  # what is open is still there


def test_a_listing_is_read_until_it_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process merges just after the folder was listed."""
    first, listing = write(tmp_path, [1]), shard_folder.shard_files

    def merging(path: Path) -> list[str]:
        listed = listing(path)
        if first.exists():
            write(tmp_path, [1, 2])
            remove(first)
        return listed

    monkeypatch.setattr(shard_folder, "shard_files", merging)
    assert ShardFolder(tmp_path, MELS).missing([name(1), name(2)]) == []


Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "no data": lambda index: index.with_suffix(".f16").unlink(),
    "data cut": lambda index: os.truncate(index.with_suffix(".f16"), 5),
    "index cut": lambda index: os.truncate(index, 40),
    "index empty": lambda index: os.truncate(index, 0),
    "index of zeros": lambda index: index.write_bytes(bytes(index.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shard_is_deleted_told_of_and_missing(tmp_path: Path, damage: Damage) -> None:
    told: list[str] = []
    index = write(tmp_path, [1, 2])
    write(tmp_path, [3])
    damage(index)
    folder = ShardFolder(tmp_path, MELS, told.append)
    assert folder.missing([name(1), name(2), name(3)]) == [name(1), name(2)]
    assert told == [f"{index}: damaged, deleted; features of its recordings are made again"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["no data", "rot"])
def test_damage_under_the_reader_is_an_error_once(tmp_path: Path, damage: str) -> None:
    told: list[str] = []
    folder, index = ShardFolder(tmp_path, MELS, told.append), write(tmp_path, [1, 2])
    data = index.with_suffix(".f16")
    folder.refresh()
    if damage == "no data":
        data.unlink()
    else:
        data.write_bytes(bytes(data.stat().st_size))
    with pytest.raises(ShardError, match=rf"{data}: .*; run the same command again"):
        folder.read(name(1))
    assert told == [f"{index}: damaged, deleted; features of its 2 recording(s) are made again"]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="no features of"):
        folder.read(name(1))


def test_what_cannot_be_deleted_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    os.truncate(index := write(tmp_path, [1]), 40)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shard_folder, "remove", refuse)
    folder = ShardFolder(tmp_path, MELS, told.append)
    assert folder.missing([name(1)]) == folder.missing([name(1)]) == [name(1)]
    assert told == [f"{index}: damaged, and cannot be deleted (Permission denied); delete it"]


def test_a_disk_that_cannot_be_read_costs_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, index = ShardFolder(tmp_path, MELS), write(tmp_path, [1])

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(ShardError, match=r"f16: cannot be read \(Input/output error\)"):
        folder.read(name(1))
    assert index.exists()


def test_a_shard_of_another_front_end_is_none(tmp_path: Path) -> None:
    write(tmp_path, [1])
    assert ShardFolder(tmp_path, MELS + 1).missing([name(1)]) == [name(1)]


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_folder, "MOST_OPEN", 3)
    folder = ShardFolder(tmp_path, MELS)
    for number in range(8):
        write(tmp_path, [number])
    for number in np.random.default_rng(0).integers(0, 8, 50).tolist():
        np.testing.assert_array_equal(folder.read(name(number)), features(number))
        assert sum(shard.opened is not None for shard in folder.shards) <= 3


def test_open_files_are_closed_for_another_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a read from what is open, nor for a question that opens nothing."""
    monkeypatch.setattr(shard_folder, "MOST_OPEN", 3)
    folder = ShardFolder(tmp_path, MELS)
    for number in range(4):
        write(tmp_path, [number])
    for number in (0, 1, 2):
        folder.read(name(number))
    for _ in range(3):
        folder.read(name(0))
        assert folder.frames(name(3)) == 4
        assert sum(shard.opened is not None for shard in folder.shards) == 3
    folder.read(name(3))
    assert [shard.opened is not None for shard in folder.shards].count(True) == 1


@pytest.mark.parametrize("how", ["forgotten", "refreshed"])
def test_a_shard_that_is_gone_is_let_go(tmp_path: Path, how: str) -> None:
    index = write(tmp_path, [1])
    folder = ShardFolder(tmp_path, MELS)
    folder.read(name(1))
    (shard,) = folder.shards
    gone = weakref.ref(shard)
    remove(index)
    if how == "forgotten":
        folder.forget(shard)
    else:
        folder.refresh()
    del shard
    assert gone() is None


def test_a_copy_in_another_process_opens_its_own(tmp_path: Path) -> None:
    write(tmp_path, [1])
    folder = ShardFolder(tmp_path, MELS, lambda line: None)
    folder.read(name(1))
    copy = pickle.loads(pickle.dumps(folder))
    assert copy.shards == []
    np.testing.assert_array_equal(copy.read(name(1)), features(1))
