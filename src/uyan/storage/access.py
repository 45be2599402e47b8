"""Opening what a location names: from this computer, from a copy of it, or in ranges while it is read.

Short remote files that are wanted again are fetched whole and copied; a stream copies nothing. A remote file is used as
one content or refused: whether it is still the same is asked after reading. It knows nothing of what is in a file.
"""

import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from uyan.errors import AccessError, MissingFileError, StorageError
from uyan.storage import range_reader, remote
from uyan.storage.failures import BUCKETS
from uyan.storage.location import WEB, Location, Remote
from uyan.storage.range_reader import RangeReader

WHOLE_BYTES = 2**24
"""16 MiB: up to here a remote file is fetched at once and copied; eight minutes of WAV."""
LISTINGS = 16
"""Questions to a server at a time."""
NO_FILE = (-1, -1)

Stamp = tuple[int, int]
"""Size, and when or as what it was written: another one for another content."""
Readable = Location | RangeReader


@contextmanager
def opened(file: Readable, keep: bool = True) -> Iterator[str | BinaryIO | RangeReader]:
    """A path or file object with a file's bytes; `keep` lets a short remote one be copied.

    Raises FileNotFoundError or MissingFileError where there is none, StorageError for what goes wrong while it is
    fetched, also at the end of the block.
    """
    if isinstance(file, Path):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file")
        yield str(file)
        return
    with _source(file, keep) if isinstance(file, Remote) else file as source:
        if not isinstance(source, RangeReader):
            yield source
            return
        try:
            yield source
        except Exception:
            source.verify()  # the better reason, where there is one
            raise
        source.verify()


def begun(file: Location) -> Readable:
    """A local file as it is, a remote one with its first range under way: for who opens it soon, to be read once."""
    if isinstance(file, Path):
        return file
    reader = _ranges(file, remote.version(file))
    reader.begin()
    return reader


def size_of(file: Location) -> int:
    """Bytes. Raises OSError or StorageError."""
    return file.stat().st_size if isinstance(file, Path) else remote.version(file).size


def read_bytes(file: Location) -> bytes:
    """All of a file, of one content. Raises OSError or StorageError."""
    return file.read_bytes() if isinstance(file, Path) else b"".join(_whole(file, remote.version(file)))


def is_file(file: Location) -> bool:
    """Whether it is there. Raises StorageError where that cannot be told."""
    if isinstance(file, Path):
        return file.is_file()
    try:
        remote.version(file)
    except MissingFileError:
        return False
    return True


def stamps(files: Sequence[Location]) -> list[Stamp]:
    """The stamp of each file, `NO_FILE` where there is none; remote folders are listed, not asked file by file.

    Raises AccessError, StorageError.
    """
    distant = [file for file in files if isinstance(file, Remote)]
    listable = {str(file.parent): file.parent for file in distant if file.scheme not in WEB}
    with ThreadPoolExecutor(LISTINGS) as pool:
        found = dict(zip(listable, pool.map(_listing, listable.values()), strict=True))
        listings = {folder: listing for folder, listing in found.items() if listing is not None}
        alone = [file for file in distant if str(file.parent) not in listings]
        asked = dict(zip(alone, pool.map(_stamp, alone), strict=True))
    return [
        _local_stamp(file)
        if isinstance(file, Path)
        else asked.get(file) or listings.get(str(file.parent), {}).get(file.name, NO_FILE)
        for file in files
    ]


def _listing(folder: Remote) -> dict[str, Stamp] | None:
    """Stamps by name; None where the folder may not be listed."""
    try:
        return {name: _number(version) for name, version in remote.listed(folder).items()}
    except AccessError:
        return None


def _stamp(file: Remote) -> Stamp:
    try:
        return _number(remote.version(file))
    except MissingFileError:
        return NO_FILE


def _number(version: remote.Version) -> Stamp:
    """A version as numbers; one that tells nothing is like no other."""
    if not version.token:
        return version.size, time.time_ns()
    digest = hashlib.sha256(version.token.encode()).digest()
    return version.size, int.from_bytes(digest[:8], "big", signed=True)


def _local_stamp(file: Path) -> Stamp:
    try:
        status = file.stat()
    except OSError:
        return NO_FILE
    return status.st_size, status.st_mtime_ns


def _source(file: Remote, keep: bool) -> BinaryIO | RangeReader:
    found = remote.version(file)
    if file.copies and found.token:
        name = found.name(file.url)
        if copy := file.copies.open(name):
            return copy
        if keep and found.size <= WHOLE_BYTES:
            content = b"".join(_whole(file, found))
            file.copies.put(name, found.size, [content])
            return io.BytesIO(content)
    return _ranges(file, found)


def _ranges(file: Remote, found: remote.Version) -> RangeReader:
    fetch = partial(remote.fetched, file, size=found.size)
    # One answer of an object store is of one content; whatever takes more is asked about again.
    single = file.scheme in BUCKETS and found.size <= range_reader.RANGE_BYTES
    return RangeReader(file.url, found.size, fetch, None if single else partial(remote.require_unchanged, file, found))


def _whole(file: Remote, found: remote.Version) -> Iterator[bytes]:
    """The bytes of one content, range by range; the last comes when they are known to be of one."""
    step = WHOLE_BYTES if found.size <= WHOLE_BYTES else range_reader.RANGE_BYTES
    for start in range(0, found.size, step):
        try:
            block = remote.fetched(file, start, min(start + step, found.size), found.size)
        except StorageError:
            remote.require_unchanged(file, found)  # the better reason, where there is one
            raise
        if start + step >= found.size:
            remote.require_unchanged(file, found)
        yield block
