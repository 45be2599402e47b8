"""What is asked of a file behind a URL: how long and which it is, and its bytes; every failure typed, with its mend.

fsspec and the package of each protocol do the work; both are loaded when the first URL is opened. What may pass is
tried again a few times. Credentials come from where those packages look for them (AWS_* variables, profiles, fsspec's
configuration); they are not read here.
"""

import hashlib
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from uyan.errors import MissingFileError, StorageError
from uyan.storage.failures import BUCKETS, Dropped, cause_of, missing, typed
from uyan.storage.location import WEB, Location, Remote
from uyan.storage.web import web_part

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ATTEMPTS = 3
WAIT_S = 0.3
"""Before the second attempt; three times as long before the next."""
VERSION_KEYS = ("ETag", "etag", "md5Hash", "Content-MD5", "Digest", "mtime", "LastModified", "Last-Modified",
                "modified", "updated", "created")  # fmt: skip
"""What tells one content of a file from another, the surest first."""

Result = TypeVar("Result")


class Version(NamedTuple):
    """A file as it is at one moment."""

    size: int
    token: str
    """Another one for another content; empty where the server names none."""

    def name(self, url: str) -> str:
        """The name of a copy of exactly this, 40 hex digits."""
        return hashlib.sha256(f"{url}\0{self.token}\0{self.size}".encode()).hexdigest()[:40]


def version(file: Remote) -> Version:
    """Which content the file has now. Raises MissingFileError, AccessError, StorageError."""
    return _asked(file, lambda system, path: _version(system.info(path), file))


def listed(folder: Remote) -> dict[str, Version]:
    """The files directly in a folder, by name; none where there is no such folder.

    Raises AccessError, StorageError, also for a bucket that does not exist.
    """

    def names(system: "AbstractFileSystem", path: str) -> dict[str, Version]:
        files = (entry for entry in system.ls(path, detail=True) if entry["type"] == "file")
        return {entry["name"].rpartition("/")[2]: _version(entry, folder) for entry in files}

    try:
        return _asked(folder, names)
    except MissingFileError:
        return {}


def fetched(file: Remote, start: int, stop: int, size: int) -> bytes:
    """Bytes [start, stop) of a file of `size` bytes. Raises MissingFileError, AccessError, StorageError."""

    def part(system: "AbstractFileSystem", path: str) -> bytes:
        found: bytes
        if file.scheme in WEB:
            found = web_part(system, file, path, start, stop, size)
        else:
            found = system.cat_file(path, start=start, end=stop)
        if len(found) != stop - start:
            raise Dropped
        return found

    return _asked(file, part) if stop > start else b""


def require_unchanged(file: Remote, was: Version) -> None:
    """Raise StorageError where the file has another content than it had."""
    if version(file) != was:
        raise changed(file)


def changed(file: Location) -> StorageError:
    """The file has another content than it had."""
    return StorageError(f"{file}: changed while it was read; run the command again once nobody writes there")


def _version(info: dict[str, Any], file: Remote) -> Version:
    if info["type"] != "file":
        raise FileNotFoundError
    if info.get("size") is None:
        raise StorageError(f"{file}: its server does not say how long it is; copy it to this computer")
    token = next((str(info[key]) for key in VERSION_KEYS if info.get(key)), "")
    return Version(int(info["size"]), token)


def _asked(file: Remote, question: Callable[["AbstractFileSystem", str], Result]) -> Result:
    """The answer, after ATTEMPTS at most."""
    system, path = _connected(file), _path(file)
    attempt = 0
    while True:
        attempt += 1
        try:
            return question(system, path)
        except StorageError:
            raise
        except Exception as reason:  # each protocol's package has errors of its own, which share no ancestor
            cause = cause_of(reason)
            if isinstance(cause, FileNotFoundError):
                raise missing(file, _bucket_exists(system, file)) from None
            failure, may_pass = typed(file, cause)
            if not may_pass or attempt == ATTEMPTS:
                raise failure from None  # what the service said could show how a request was signed
        time.sleep(WAIT_S * 3 ** (attempt - 1))


def _bucket_exists(system: "AbstractFileSystem", file: Remote) -> bool:
    """Whether a file that is missing could be there at all; yes where that cannot be told."""
    if file.scheme not in BUCKETS:
        return True
    try:
        system.info(file.parts[1])
    except FileNotFoundError:
        return False
    except Exception:  # the bucket may not be asked about, or the service is gone by now: the file is missing anyway
        return True
    return True


def _connected(file: Remote) -> "AbstractFileSystem":
    try:
        return _system(file.scheme, os.getpid())
    except ImportError as reason:
        raise StorageError(
            f"{file}: fsspec, or its package for {file.scheme}://, is not installed; pip install 'uyan[s3]' brings "
            f"those for s3:// and http:// ({reason})"
        ) from reason
    except TypeError as reason:  # it wants a host or a user, which belong to a connection there, not to a file
        raise StorageError(
            f"{file}: {file.scheme}:// is not read, as it needs more than a URL; copy the data to this computer, or to "
            "s3:// or http://"
        ) from reason
    except ValueError as reason:
        raise StorageError(f"{file}: {file.scheme}:// is no protocol that fsspec knows; s3:// is one") from reason


@lru_cache(maxsize=16)
def _system(scheme: str, process: int) -> "AbstractFileSystem":
    """One connection pool a process and protocol, shared by its threads; nothing is remembered about files."""
    import fsspec

    return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)


def _path(file: Remote) -> str:
    if file.scheme not in WEB:
        return file.url
    scheme, _, rest = file.url.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}/{quote(path)}"
