"""The index of a shard as bytes: which items it has, where their frames lie, and the checksum of every block.

A header, then the names (20 bytes each, sorted), the first frame and the number of frames of every item, and a CRC-32
of every block of `BLOCK_FRAMES` frames, item after item. What comes from a stranger is safe to read: nothing is
unpickled, no memory is taken for a count that the file's own size does not bear out, and items must fill the shard
without gap or overlap. Another layout gets another suffix. It knows nothing of what the frames hold.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.errors import ShardError

INDEX_SUFFIX = ".index"
BLOCK_FRAMES = 6_000
"""What is verified at once: a minute, 768 kB with 64 mels."""
NAME_BYTES = 20
"""Of a sha1."""
MOST_ITEMS, MOST_FRAMES, MOST_MELS = 2**22, 2**40, 2**12
"""Of one shard: far above what the writer makes, low enough that no sum below overflows."""

_MAGIC = b"uyan-sh1"
_HEADER = struct.Struct("<8sIIIIQ")
"""Magic, CRC-32 of all that follows it, mels, items, blocks, frames."""
_CHECKED_FROM = 12

Names = NDArray[np.bytes_]
"""(items,) of 20 bytes each."""


class ShardIndex(NamedTuple):
    """Items in the order of their names; some `chosen` of them, in any."""

    mels: int
    names: Names
    starts: NDArray[np.int64]
    """(items,): first frame of each in the shard."""
    frames: NDArray[np.int64]
    """(items,): how many each has."""
    checks: NDArray[np.uint32]
    """(blocks,): CRC-32 of each block's bytes, all of the first item, then of the second."""

    def first_blocks(self) -> NDArray[np.int64]:
        """(items,): number of each item's first block."""
        blocks = block_counts(self.frames)
        return np.cumsum(blocks) - blocks

    def chosen(self, rows: NDArray[np.integer]) -> "ShardIndex":
        """The same of some items, shape (chosen,), in that order."""
        counts = block_counts(self.frames[rows])
        before = np.cumsum(counts) - counts
        blocks = np.repeat(self.first_blocks()[rows] - before, counts) + np.arange(int(counts.sum()))
        return ShardIndex(self.mels, self.names[rows], self.starts[rows], self.frames[rows], self.checks[blocks])

    def to_bytes(self) -> bytes:
        """As `read_index` reads it."""
        arrays = (self.names, self.starts.astype("<i8"), self.frames.astype("<i8"), self.checks.astype("<u4"))
        sizes = (self.mels, len(self.names), len(self.checks), int(self.frames.sum()))
        rest = _HEADER.pack(_MAGIC, 0, *sizes)[_CHECKED_FROM:] + b"".join(array.tobytes() for array in arrays)
        return _MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest


def block_counts(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Blocks of items with so many frames.

    >>> block_counts(np.array([0, 1, 6000, 6001])).tolist()
    [0, 1, 1, 2]
    """
    return -(-frames // BLOCK_FRAMES)


def names_of(texts: Sequence[str]) -> Names:
    """Names as an index has them, from 40 hex digits each. Raises ShardError for anything else.

    >>> names_of(["00" * 19 + "ff"]).tobytes()[-2:].hex()
    '00ff'
    """
    try:
        raw = bytes.fromhex("".join(texts))
    except ValueError:
        raw = b""
    if len(raw) != NAME_BYTES * len(texts) or any(len(text) != 2 * NAME_BYTES for text in texts):
        wrong = next((text for text in texts if not _is_name(text)), "")
        raise ShardError(f"{wrong!r} cannot name features; a name is a sha1, 40 hex digits")
    return named(raw)


def name_of(text: str) -> Names:
    """`names_of` a single one, in less time."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    return named(raw) if len(raw) == NAME_BYTES and len(text) == 2 * NAME_BYTES else names_of([text])


def named(raw: bytes) -> Names:
    """Names from their bytes, one after the other."""
    return np.frombuffer(raw, f"S{NAME_BYTES}")


def _is_name(text: str) -> bool:
    return len(text) == 2 * NAME_BYTES and all(digit in "0123456789abcdefABCDEF" for digit in text)


def texts_of(names: Names) -> list[str]:
    """The 40 hex digits of each."""
    digits = names.tobytes().hex()
    return [digits[at : at + 2 * NAME_BYTES] for at in range(0, len(digits), 2 * NAME_BYTES)]


def read_index(path: Path) -> ShardIndex:
    """Read and verify an index. Raises ShardError for any that the writer cannot have written, OSError without one."""
    with path.open("rb") as file:
        return parse_index(file, path)


def parse_index(file: BinaryIO | RawIOBase, name: object) -> ShardIndex:
    """The index that an open file holds, of which errors speak by `name`. Raises ShardError as `read_index` does."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = file.read(_HEADER.size) or b""
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise ShardError(f"{name}: not the index of a shard")
    _, check, mels, items, blocks, frames = _HEADER.unpack(header)
    bounded = 1 <= mels <= MOST_MELS and items <= MOST_ITEMS and frames <= MOST_FRAMES
    if not bounded or size != _HEADER.size + items * (NAME_BYTES + 16) + blocks * 4:
        raise ShardError(f"{name}: torn, or its counts cannot be")
    rest = file.read(size - _HEADER.size) or b""
    if len(rest) != size - _HEADER.size or zlib.crc32(rest, zlib.crc32(header[_CHECKED_FROM:])) != check:
        raise ShardError(f"{name}: its checksum is wrong")
    at = items * NAME_BYTES
    names = named(rest[:at])
    starts, lengths = (np.frombuffer(rest, "<i8", items, at + part * items * 8).astype(np.int64) for part in (0, 1))
    checks = np.frombuffer(rest, "<u4", blocks, at + items * 16).astype(np.uint32)
    if not _possible(names, starts, lengths, blocks, frames):
        raise ShardError(f"{name}: its items do not fill the shard")
    return ShardIndex(mels, names, starts, lengths, checks)


def as_written(content: memoryview, checks: NDArray[np.uint32], row_bytes: int) -> bool:
    """Whether bytes that begin with a block and end with one, or with an item, are those that the checksums are of."""
    step = BLOCK_FRAMES * row_bytes
    if -(-len(content) // step) != len(checks):
        return False
    for number, begin in enumerate(range(0, len(content), step)):
        if zlib.crc32(content[begin : begin + step]) != checks[number]:
            return False
    return True


def _possible(names: Names, starts: NDArray[np.int64], lengths: NDArray[np.int64], blocks: int, frames: int) -> bool:
    if (names[1:] <= names[:-1]).any() or (lengths < 0).any() or (lengths > frames).any():
        return False
    order = np.lexsort((lengths, starts))
    ends = np.cumsum(lengths[order])
    filled = (starts[order] == ends - lengths[order]).all() and (int(ends[-1]) if ends.size else 0) == frames
    return bool(filled) and int(block_counts(lengths).sum()) == blocks
