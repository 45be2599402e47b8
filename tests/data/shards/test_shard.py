"""A shard gives what was written, for the cost of what is asked for, and notices every change."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_shard import one_shard

from uyan.data.shards.shard import Shard, shard_files
from uyan.data.shards.shard_index import BLOCK_FRAMES, texts_of
from uyan.errors import ShardError

MELS = 3
sizes = st.lists(st.sampled_from([0, 1, 7, BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 1, 2 * BLOCK_FRAMES + 5]))


def name(number: int) -> str:
    return f"{number * 7919 % 997:040x}"


def features(number: int, frames: int) -> np.ndarray:
    return np.random.default_rng(number).normal(-8, 3, (MELS, frames)).astype(np.float16)


def written(folder: Path, frames: list[int]) -> Shard:
    return Shard(one_shard(folder, {name(number): features(number, count) for number, count in enumerate(frames)}))


@given(frames=sizes.filter(bool), asked=st.tuples(st.integers(0, 99), st.integers(0, 20_000), st.integers(0, 20_000)))
def test_every_stretch_of_every_item_comes_back(
    tmp_path_factory: pytest.TempPathFactory, frames: list[int], asked: tuple[int, int, int]
) -> None:
    shard = written(tmp_path_factory.mktemp("shard"), frames)
    assert sorted(texts_of(shard.names)) == sorted(name(number) for number in range(len(frames)))
    number = asked[0] % len(frames)
    row = shard.row(name(number))
    assert row is not None and shard.frames[row] == frames[number]
    expected = features(number, frames[number])
    for found in (shard.get(name(number)), shard.read(row)):
        assert (found.shape, found.dtype) == (expected.shape, np.float16)
        np.testing.assert_array_equal(found, expected)
    start, stop = sorted(at % (frames[number] + 1) for at in asked[1:])
    np.testing.assert_array_equal(shard.read(row, start, stop), expected[:, start:stop])
    into = np.empty((frames[number], MELS), np.float16)
    shard.read_into(row, into)
    np.testing.assert_array_equal(into.T, expected)
    shard.close()


def test_the_data_is_one_plain_array(tmp_path: Path) -> None:
    shard = written(tmp_path, [5, 3])
    plain = np.memmap(shard.data_path, "<f2", "r").reshape(-1, MELS)
    np.testing.assert_array_equal(plain.T, np.concatenate([features(0, 5), features(1, 3)], axis=1))
    assert shard.nbytes == plain.nbytes == shard.data_path.stat().st_size
    assert shard.read(0).strides == (2, 2 * MELS)  # a crop is one stretch of the file


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    shard = written(tmp_path, [5])
    assert shard.row("f" * 40) is None
    with pytest.raises(KeyError):
        shard.get("f" * 40)
    assert shard_files(tmp_path) == [shard.path.name]
    assert shard_files(tmp_path / "nowhere") == []


def test_a_changed_byte_is_found_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    shard = written(tmp_path, [50, BLOCK_FRAMES + 50, 50])
    spoilt, long = shard.row(name(0)), shard.row(name(1))
    assert spoilt is not None and long is not None
    content = bytearray(shard.data_path.read_bytes())
    content[17] ^= 1
    content[(50 + BLOCK_FRAMES + 3) * 2 * MELS] ^= 1
    shard.data_path.write_bytes(content)
    for row in (spoilt, long):
        with pytest.raises(ShardError, match=rf"{shard.data_path.name}: not the features that were written"):
            shard.read(row)
    np.testing.assert_array_equal(shard.read(long, 0, 99), features(1, BLOCK_FRAMES + 50)[:, :99])
    np.testing.assert_array_equal(shard.read(3 - spoilt - long), features(2, 50))


@pytest.mark.parametrize("opened", [False, True])
def test_a_file_cut_under_the_reader_is_named(tmp_path: Path, opened: bool) -> None:
    shard = written(tmp_path, [50, 60])
    row = shard.row(name(1))
    assert row is not None
    if opened:
        shard.read(row)
    os.truncate(shard.data_path, 60 * 2 * MELS)
    with pytest.raises(ShardError, match=rf"{shard.data_path.name}: shorter than its index says"):
        shard.read(row)


@pytest.mark.parametrize("change", [-1, 1, None])
def test_a_shard_is_whole_or_not_opened(tmp_path: Path, change: int | None) -> None:
    shard = written(tmp_path, [50])
    if change is None:
        shard.data_path.unlink()
        with pytest.raises(FileNotFoundError):
            Shard(shard.path)
        return
    os.truncate(shard.data_path, shard.nbytes + change)
    with pytest.raises(ShardError, match="torn, 301 bytes where" if change > 0 else "torn, 299 bytes where"):
        Shard(shard.path)


def test_what_is_open_stays_readable_when_it_is_deleted(tmp_path: Path) -> None:
    shard = written(tmp_path, [50])
    shard.read(0, 1, 2)
    assert shard.opened
    shard.data_path.unlink()
    np.testing.assert_array_equal(shard.read(0), features(0, 50))
    shard.close()
    assert not shard.opened
    with pytest.raises(FileNotFoundError):
        shard.read(0)
