"""One shard, to read from: features of many recordings in two plain files that are written once and never changed.

`ID.f16` is an array of shape (frames, mels), little-endian fp16, all items one after the other: any program can map
it. `ID.index` says what lies where (`shard_index`); without it a shard is not there. Verified are the index and the
data's length when a shard is opened, and every block of frames whenever it is read; nothing is mapped here, since what
is mapped changes unseen with its file. It knows nothing of other shards, nor of writing.
"""

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uyan.data.shards.shard_index import BLOCK_FRAMES, INDEX_SUFFIX, as_written, name_of, read_index
from uyan.errors import ShardError

DATA_SUFFIX = ".f16"

HalfFeatures = NDArray[np.float16]
"""Log-mel features, shape (mels, frames)."""
FrameRows = NDArray[np.float16]
"""The same frame by frame, as they are stored: shape (frames, mels)."""


class Shard:
    """Items of a shard by name or by row, which is their place among the sorted names; for one thread."""

    def __init__(self, path: Path) -> None:
        """Open the shard whose index is `path`. Raises ShardError when it is damaged, OSError when it is not there."""
        self.path = path
        self.data_path = path.with_suffix(DATA_SUFFIX)
        index = read_index(path)
        self.mels = index.mels
        """Numbers a frame."""
        self.names = index.names
        """(items,), sorted: the name of every row."""
        self.frames = index.frames
        """(items,): how many frames every row has."""
        self.starts = index.starts
        """(items,): where every row begins, in frames; reading in this order is reading the file in order."""
        self.opened: int | None = None
        """The data file's descriptor, while it is held open."""
        self._row_bytes = index.mels * np.dtype(np.float16).itemsize
        self.nbytes = int(index.frames.sum()) * self._row_bytes
        with self.data_path.open("rb") as data:  # opened: over a network, a look from outside may be an old one
            size = os.fstat(data.fileno()).st_size
        if size != self.nbytes:
            raise ShardError(f"{self.data_path}: torn, {size:,} bytes where its index speaks of {self.nbytes:,}")
        self._checks, self._first_blocks = index.checks, index.first_blocks()
        self._closing: Any = None

    def __len__(self) -> int:
        return len(self.names)

    def row(self, sha1: str) -> int | None:
        """The row of that name; None where there is none."""
        name = name_of(sha1)
        place = int(self.names.searchsorted(name)[0])
        return place if place < len(self) and self.names[place] == name[0] else None

    def get(self, sha1: str) -> HalfFeatures:
        """Features of shape (mels, frames), read and verified. Raises KeyError for a name that is not here."""
        row = self.row(sha1)
        if row is None:
            raise KeyError(sha1)
        return self.read(row)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> HalfFeatures:
        """Frames [start, stop) of a row, shape (mels, frames), copied to memory; what is read are their whole blocks.

        Raises ShardError when they are not what was written, OSError when the file is gone or cannot be read.
        """
        total = int(self.frames[row])
        stop = total if stop is None else min(stop, total)
        begin = start - start % BLOCK_FRAMES
        end = min(stop + -stop % BLOCK_FRAMES, total)
        rows = np.empty((max(0, end - begin), self.mels), np.float16)
        self._read_blocks(row, begin // BLOCK_FRAMES, rows)
        return rows[start - begin : stop - begin].T

    def read_into(self, row: int, rows: FrameRows) -> None:
        """A whole row into (frames, mels), which lies in one piece. Raises as `read` does."""
        self._read_blocks(row, 0, rows)

    def close(self) -> None:
        """Give the data file back; the next reading opens it again."""
        if self._closing is not None:
            self._closing()
        self.opened = self._closing = None

    def _read_blocks(self, row: int, first: int, rows: FrameRows) -> None:
        """Fill `rows` from block `first` of the row on, and verify them: whole blocks but for the row's last one."""
        if not rows.size:
            return
        content = rows.data.cast("B")
        self._read_bytes(content, (int(self.starts[row]) + first * BLOCK_FRAMES) * self._row_bytes)
        number = int(self._first_blocks[row]) + first
        count = -(-len(rows) // BLOCK_FRAMES)
        if not as_written(content, self._checks[number : number + count], self._row_bytes):
            raise self._damaged("not the features that were written, by their checksum")

    def _read_bytes(self, place: memoryview, offset: int) -> None:
        file = self._open() if self.opened is None else self.opened
        while place:
            count = os.preadv(file, [place], offset)
            if not count:
                raise self._damaged("shorter than its index says")
            place, offset = place[count:], offset + count

    def _open(self) -> int:
        self.opened = os.open(self.data_path, os.O_RDONLY)
        self._closing = weakref.finalize(self, os.close, self.opened)
        return self.opened

    def _damaged(self, how: str) -> ShardError:
        return ShardError(f"{self.data_path}: {how}")


def shard_files(folder: Path) -> list[str]:
    """File names of the indices in a folder, sorted; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.name.endswith(INDEX_SUFFIX) and not e.name.startswith("."))
    except FileNotFoundError:
        return []
