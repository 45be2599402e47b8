"""What is written is read; whatever else is in the file is refused before memory is taken for it."""

import hashlib
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.shards.shard_index import BLOCK_FRAMES, ShardIndex, block_counts, named, names_of, read_index, texts_of
from uyan.errors import ShardError

lengths = st.lists(st.integers(0, 3 * BLOCK_FRAMES), max_size=12)


def index_of(frames: list[int], mels: int = 64, seed: int = 0) -> ShardIndex:
    """Items of those lengths, stored in another order than that of their names."""
    rng = np.random.default_rng(seed)
    names = names_of(sorted(hashlib.sha1(f"{number}".encode()).hexdigest() for number in range(len(frames))))
    order = rng.permutation(len(frames))
    counts = np.array(frames, np.int64)
    starts = np.zeros(len(frames), np.int64)
    starts[order] = np.cumsum(counts[order]) - counts[order]
    checks = rng.integers(0, 2**32, int(block_counts(counts).sum()), np.uint32)
    return ShardIndex(mels, names, starts, counts, checks)


def sealed(content: bytes) -> bytes:
    """With the checksum that belongs to it, as an attacker would write it."""
    return content[:8] + struct.pack("<I", zlib.crc32(content[12:])) + content[12:]


@given(frames=lengths, mels=st.integers(1, 4096), seed=st.integers(0, 99))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, frames: list[int], mels: int, seed: int
) -> None:
    path, written = tmp_path_factory.mktemp("index") / "a.index", index_of(frames, mels, seed)
    path.write_bytes(written.to_bytes())
    found = read_index(path)
    assert found.mels == mels
    for one, other in zip(found[1:], written[1:], strict=True):
        np.testing.assert_array_equal(one, other)


@given(data=st.data(), frames=lengths.filter(bool))
def test_no_changed_byte_and_no_cut_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, frames: list[int]
) -> None:
    content = bytearray(index_of(frames).to_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    path = tmp_path_factory.mktemp("index") / "a.index"
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"a\.index: "):
        read_index(path)


@given(data=st.data(), frames=lengths.filter(bool))
def test_a_hostile_index_is_refused_or_makes_sense(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, frames: list[int]
) -> None:
    content = bytearray(index_of(frames).to_bytes())
    at = data.draw(st.integers(12, len(content) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=16))
    content[at : at + len(patch)] = patch[: len(content) - at]
    path = tmp_path_factory.mktemp("index") / "a.index"
    path.write_bytes(sealed(bytes(content)))
    try:
        found = read_index(path)
    except ShardError as reason:
        assert "a.index: " in str(reason)
        return
    assert ((found.starts >= 0) & (found.frames >= 0)).all()
    assert (found.starts + found.frames <= found.frames.sum()).all()
    assert block_counts(found.frames).sum() == len(found.checks)


def test_counts_that_the_file_does_not_bear_out_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.index"
    for sizes in ((64, 2**32 - 1, 2**32 - 1, 2**63), (64, 2**22, 0, 0), (2**31, 0, 0, 0), (0, 0, 0, 0), (64, 0, 9, 9)):
        path.write_bytes(sealed(b"uyan-sh1" + bytes(4) + struct.pack("<IIIQ", *sizes)))
        tracemalloc.start()
        with pytest.raises(ShardError, match="its counts cannot be"):
            read_index(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
        tracemalloc.stop()


@pytest.mark.parametrize("how", ["gap", "overlap", "negative", "twice", "unsorted", "blocks", "beyond"])
def test_items_that_do_not_fill_the_shard_are_refused(tmp_path: Path, how: str) -> None:
    index = index_of([10, 20, 30])
    starts, frames, names = index.starts.copy(), index.frames.copy(), index.names.copy()
    if how == "gap":
        starts[index.starts.argmax()] += 1
    elif how == "overlap":
        starts[:] = 0
    elif how == "negative":
        frames[0] -= 20
    elif how == "twice":
        names[1] = names[0]
    elif how == "unsorted":
        names = names[::-1]
    elif how == "beyond":
        frames[1] = 2**62
    content = bytearray(index._replace(starts=starts, frames=frames, names=names).to_bytes())
    content[24:32] = struct.pack("<Q", 60)
    if how == "blocks":
        content = bytearray(index._replace(frames=index.frames, checks=index.checks[:2]).to_bytes())
    (tmp_path / "a.index").write_bytes(sealed(bytes(content)))
    with pytest.raises(ShardError, match="do not fill"):
        read_index(tmp_path / "a.index")


def test_names_end_in_zeros_too() -> None:
    texts = ["00" * 20, "ab" + "00" * 19, "ab" + "00" * 18 + "01"]
    assert texts_of(names_of(texts)) == texts
    assert (names_of(texts)[1:] > names_of(texts)[:-1]).all()
    assert len(named(b"")) == len(names_of([])) == 0 and texts_of(named(b"")) == []


@pytest.mark.parametrize("text", ["", "ab", "a" * 39, "a" * 41, "g" * 40, "ab " * 13 + "a", "../" * 13 + "a"])
def test_a_name_is_forty_hex_digits(text: str) -> None:
    with pytest.raises(ShardError, match=r"cannot name features"):
        names_of(["0" * 40, text])
