"""A folder's files, on this computer or behind a URL: which there are, and parts of what was listed, or an error.

It knows nothing of what is in a file, and keeps nothing.
"""

import os
from pathlib import Path
from typing import NamedTuple

from uyan.errors import MissingFileError, StorageError
from uyan.storage import remote
from uyan.storage.location import WEB, Location


class Listed(NamedTuple):
    """A file as it was when its folder was listed."""

    file: Location
    version: remote.Version


def list_folder(folder: Location) -> dict[str, Listed]:
    """The files directly in a folder, by name, sorted; none where there is no such folder.

    Raises AccessError, StorageError; for a web server, too, which lists nothing.
    """
    if isinstance(folder, Path):
        found = _local(folder)
    elif folder.scheme in WEB:
        raise StorageError(f"{folder}: a web server does not list its folders; use object storage (s3://) or a path")
    else:
        there = {name: version for name, version in remote.listed(folder).items() if name not in ("", ".", "..")}
        found = {name: Listed(folder / name, version) for name, version in there.items()}
    return dict(sorted(found.items()))


def read_part(listed: Listed, start: int, stop: int) -> bytes:
    """Bytes [start, stop). Raises MissingFileError where the file is gone, StorageError where it changed, and else."""
    file, version = listed
    if isinstance(file, Path):
        return _local_part(listed, start, stop)
    try:
        return remote.fetched(file, start, stop, version.size)
    except MissingFileError:
        raise
    except StorageError:
        require_unchanged(listed)  # the better reason, where there is one
        raise


def require_unchanged(listed: Listed) -> None:
    """Raise StorageError where the file is not the one that was listed."""
    file, version = listed
    if not isinstance(file, Path):
        remote.require_unchanged(file, version)
        return
    try:
        now = _version(file.stat())
    except OSError as reason:
        raise _failed(file, reason) from reason
    if now != version:
        raise remote.changed(file)


def _local(folder: Path) -> dict[str, Listed]:
    try:
        with os.scandir(folder) as entries:
            return {e.name: Listed(folder / e.name, _version(e.stat())) for e in entries if e.is_file()}
    except FileNotFoundError:
        return {}
    except OSError as reason:
        raise _failed(folder, reason) from reason


def _local_part(listed: Listed, start: int, stop: int) -> bytes:
    file = Path(str(listed.file))
    try:
        with file.open("rb") as opened:
            opened.seek(start)
            found = opened.read(stop - start)
    except OSError as reason:
        raise _failed(file, reason) from reason
    if len(found) != stop - start:
        raise remote.changed(file)
    return found


def _version(status: os.stat_result) -> remote.Version:
    return remote.Version(status.st_size, f"{status.st_mtime_ns}-{status.st_ino}")


def _failed(file: Path, reason: OSError) -> StorageError:
    if isinstance(reason, FileNotFoundError):
        return MissingFileError(f"{file}: no such file")
    return StorageError(f"{file}: cannot be read ({reason.strerror})")
