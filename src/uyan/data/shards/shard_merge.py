"""Keeping a folder of shards in few files: small shards become large ones, leftovers of killed writers go.

Every packet of an extraction writes a shard of its own, so that no packet waits for another and none is lost with
another; they are put together here, verified as they are copied. A shard is deleted only after a shard with all that
was in it has appeared: whoever else writes, reads or merges at the same time loses nothing. The lock keeps two from
doing the same work; nothing depends on it.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from uyan.data.shards.shard import DATA_SUFFIX, Shard
from uyan.data.shards.shard_folder import ShardFolder, remove
from uyan.data.shards.shard_index import INDEX_SUFFIX, texts_of
from uyan.data.shards.shard_writer import SHARD_BYTES, ShardWriter
from uyan.errors import ShardError

SMALL_BYTES = 100 * 1024**2
"""Shards below this size are put together."""
MANY = 16
"""So many small shards are left alone, where together they are not a large one."""
STALE_S = 24 * 3600.0
"""A file without its index that nobody has added to for so long has no writer any more."""
LOCK = ".merging"


def tidy(folder: ShardFolder, finished: bool = True) -> None:
    """Put small shards together; while more are to come, `finished` false, only those that make a large one.

    Where that cannot be written they stay as they are, and the folder's `tell` hears of it.
    """
    _sweep(folder.path)
    folder.refresh()
    groups = list(_groups([shard for shard in folder.shards if shard.nbytes < SMALL_BYTES], finished))
    if not groups:
        return
    try:
        with FileLock(folder.path / LOCK, blocking=False):
            for group in groups:
                _merge(folder, group)
    except Timeout:
        return
    except ShardError as reason:
        folder.tell(f"small shards stay apart: {reason}")
    except OSError as reason:  # of the lock, or of a shard that may not be deleted
        folder.tell(f"small shards stay apart: {reason.filename or folder.path}: {reason.strerror}")
    folder.refresh()


def _groups(small: list[Shard], finished: bool) -> Iterator[list[Shard]]:
    group: list[Shard] = []
    size = 0
    for shard in small:
        group.append(shard)
        size += shard.nbytes
        if size >= SHARD_BYTES:
            yield group
            group, size = [], 0
    if finished and len(group) > MANY:
        yield group


def _merge(folder: ShardFolder, group: list[Shard]) -> None:
    writer = ShardWriter(folder.path, folder.mels, most_bytes=float("inf"))
    try:
        merged = [shard for shard in group if _copied(folder, shard, writer)]
        writer.close()
    finally:
        writer.abandon()  # what an interruption left: all of it is still where it was
    for shard in merged:
        remove(shard.path)


def _copied(folder: ShardFolder, shard: Shard, writer: ShardWriter) -> bool:
    """Whether all of a shard was added; one that is gone, somebody else was faster with."""
    names = texts_of(shard.names)
    for row in shard.starts.argsort(kind="stable").tolist():
        try:
            features = shard.read(row)
        except FileNotFoundError:
            return False
        except ShardError:
            shard.close()
            folder.discard(shard.path, len(shard))
            return False
        writer.add(names[row], features)
    shard.close()
    return True


def _sweep(folder: Path) -> None:
    now = time.time()
    for data in (*folder.glob(f"*{DATA_SUFFIX}"), *folder.glob(f".*{INDEX_SUFFIX}.*.tmp")):
        with contextlib.suppress(OSError):
            if not data.with_suffix(INDEX_SUFFIX).exists() and now - data.stat().st_mtime > STALE_S:
                data.unlink()
