"""Writing shards: items are appended to a file of the writer's own, which is a shard once its index is beside it.

No two writers share a file, so any number of processes and computers write to one folder without asking each other.
Killed at any moment, a writer loses the shard it was at and nothing else. Nothing is forced to the disk: what a power
failure tears, checksums find. It knows nothing of the other shards in the folder.
"""

import contextlib
import uuid
import zlib
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from uyan.data.shards.shard import DATA_SUFFIX
from uyan.data.shards.shard_index import BLOCK_FRAMES, INDEX_SUFFIX, ShardIndex, name_of, named
from uyan.errors import ShardError
from uyan.files import replacing

SHARD_BYTES = 256 * 1024**2
"""A shard ends before it grows larger than this, unless a single item is."""


class _Item(NamedTuple):
    start: int
    frames: int
    checks: tuple[int, ...]


class ShardWriter:
    """A shard after the other. As a context it closes what it is at, also when there was an error elsewhere."""

    def __init__(self, folder: Path, mels: int, most_bytes: float = SHARD_BYTES) -> None:
        self._folder = folder
        self._mels = mels
        self._most_bytes = most_bytes
        self._begin()

    def _begin(self) -> None:
        self._data = self._folder / f"{uuid.uuid4().hex}{DATA_SUFFIX}"
        self._file: FileIO | None = None
        self._bytes = 0
        self._items: dict[bytes, _Item] = {}

    def add(self, sha1: str, features: NDArray[np.floating]) -> None:
        """Append features of shape (mels, frames) in half precision; what this shard has already is left alone.

        Raises ShardError when they cannot be written; what this shard had before is lost with it.
        """
        name = name_of(sha1).tobytes()
        if features.shape[0] != self._mels:
            raise ShardError(f"{self._folder}: features of {features.shape[0]} mels where {self._mels} belong")
        rows = np.ascontiguousarray(features.T, "<f2")
        if self._items and self._bytes + rows.nbytes > self._most_bytes:
            self.close()
        if name in self._items:
            return
        checks = tuple(zlib.crc32(rows[at : at + BLOCK_FRAMES].data) for at in range(0, len(rows), BLOCK_FRAMES))
        try:
            self._append(rows)
        except OSError as reason:
            raise self._failed(reason) from reason
        self._items[name] = _Item(self._bytes // (rows.itemsize * self._mels), len(rows), checks)
        self._bytes += rows.nbytes

    def close(self) -> None:
        """Make what was added a shard that readers find. Raises ShardError when it cannot be written."""
        if self._file is None or not self._items:
            self.abandon()
            return
        index = self._index()
        try:
            # An interruption may have come while something was appended.
            self._file.truncate(int(index.frames.sum()) * self._mels * np.dtype(np.float16).itemsize)
            self._file.close()
            with replacing(self._data.with_suffix(INDEX_SUFFIX)) as partial:
                partial.write_bytes(index.to_bytes())
        except OSError as reason:
            raise self._failed(reason) from reason
        self._begin()

    def _append(self, rows: NDArray[np.float16]) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._data.open("xb", buffering=0)
        content = rows.view(np.uint8).reshape(-1).data
        while content:
            content = content[self._file.write(content) :]

    def _index(self) -> ShardIndex:
        names = sorted(self._items)
        items = [self._items[name] for name in names]
        places = np.array([(item.start, item.frames) for item in items], np.int64).reshape(-1, 2)
        checks = np.array([check for item in items for check in item.checks], np.uint32)
        return ShardIndex(self._mels, named(b"".join(names)), places[:, 0], places[:, 1], checks)

    def abandon(self) -> None:
        """Leave nothing of what was added since the last shard was closed."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
                self._data.unlink(missing_ok=True)
        self._begin()

    def _failed(self, reason: OSError) -> ShardError:
        data = self._data
        self.abandon()
        return ShardError(
            f"{data}: cannot be written ({reason.strerror}); make room there or set cache.folder, then run the command "
            "again: it goes on"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
