"""A bounded folder of remote files that were fetched whole: who asks again within the bound finds a copy here.

Copies are named by what they are copies of, content included, and never change. When room is needed, those used longest
ago go. Several processes share the folder: what is being written counts from its first byte, under a lock, and a copy
appears whole or not at all. It knows nothing of URLs.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from uyan.errors import StorageError

GIB = 1024**3
DEFAULT_GB = 10.0
SLACK = 1 / 16
"""Of the bound, made free beyond what is asked for: the folder is listed rarely."""
ABANDONED_S = 3600.0
"""A partial file that nobody wrote to for so long is that of a process that died."""
LEDGER, LOCK, PARTIAL = ".used", ".lock", ".partial"


@dataclass(frozen=True, slots=True)
class LocalCopies:
    """At most `max_bytes` of copies below `folder`, which is made when the first is."""

    folder: Path
    max_bytes: int

    def path(self, name: str) -> Path:
        """Where the copy of that name (40 hex digits) lies, if it does."""
        return self.folder / name[:2] / name

    def find(self, name: str) -> Path | None:
        """The copy, marked as used now; None where there is none. Open it at once: another process may need room."""
        path = self.path(name)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def open(self, name: str) -> BinaryIO | None:
        """The copy for reading, which no eviction takes away; None where there is none."""
        path = self.find(name)
        try:
            return path.open("rb") if path else None
        except OSError:
            return None

    def put(self, name: str, size: int, blocks: Iterable[bytes]) -> bool:
        """Write a copy of `size` bytes; False, without asking for a block, where there is no room for it.

        Raises StorageError where the folder cannot be written, and what `blocks` raises; then nothing is left.
        """
        from filelock import FileLock

        try:
            with self._reserved(size) as partial:
                if partial is None:
                    return False
                with partial.open("r+b") as file:
                    for block in blocks:
                        file.write(block)
                    # It has its full length from the beginning: whatever stops the machine must leave no hole in it.
                    file.flush()
                    os.fsync(file.fileno())
                self.path(name).parent.mkdir(exist_ok=True)
                with FileLock(self.folder / LOCK):  # who lists the folder meanwhile would miss it in both places
                    partial.replace(self.path(name))
        except OSError as reason:
            raise StorageError(
                f"{self.folder}: copies of remote files cannot be written there ({reason.strerror}); make room, or "
                "choose cache.folder and cache.remote_gb"
            ) from reason
        return True

    @contextlib.contextmanager
    def _reserved(self, size: int) -> Iterator[Path | None]:
        """A partial file that already counts as `size` bytes; None where even evicting leaves no room."""
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / LOCK):
            used = self._used()
            if used is None or used + size > self.max_bytes:
                used = self._evict(size)
            if used + size > self.max_bytes:
                (self.folder / LEDGER).write_text(str(used), encoding="ascii")
                fits = None
            else:
                handle, made = tempfile.mkstemp(PARTIAL, dir=self.folder)
                os.truncate(handle, size)
                os.close(handle)
                (self.folder / LEDGER).write_text(str(used + size), encoding="ascii")
                fits = Path(made)
        try:
            yield fits
        finally:
            if fits is not None:
                fits.unlink(missing_ok=True)

    def _used(self) -> int | None:
        """Bytes in the folder as the last process left the count; None where it is not to be had."""
        try:
            return int((self.folder / LEDGER).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _evict(self, size: int) -> int:
        """Count what is there; make room for `size` and some more where it lacks. Returns the bytes that remain."""
        files = sorted(self._listed())
        used = sum(length for _, length, _ in files)
        if used + size <= self.max_bytes:
            return used
        wanted = self.max_bytes * (1 - SLACK) - size
        for age, length, path in files:
            if used <= max(0, wanted):
                break
            if path.suffix != PARTIAL or time.time() - age > ABANDONED_S:
                path.unlink(missing_ok=True)
                used -= length
        return used

    def _listed(self) -> Iterator[tuple[float, int, Path]]:
        """When each file was used, its bytes, and where it is."""
        for path in (*self.folder.glob("??/*"), *self.folder.glob(f"*{PARTIAL}")):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path


def user_cache() -> Path:
    """The folder for what a user's commands may find again, by the convention of desktops."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uyan"


def user_copies() -> LocalCopies:
    """For commands without a recipe, which would say where and how much."""
    return LocalCopies(user_cache() / "remote", int(DEFAULT_GB * GIB))
