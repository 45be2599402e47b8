"""The journal of a corpus in the making: one line a clip, appended when its file is there; what was dropped, and why.

A line is read only when it is whole and belongs to the clip that is planned, so a program killed at any moment loses a
clip at the most. It knows nothing of how clips are made.
"""

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from uyan.voices.clip import Clip, Made, disk_error


class Journal:
    """The file, open for more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made: dict[str, Made] = {}
        self._dropped: dict[str, str] = {}
        whole = self._read()
        try:
            # Without a buffer: what does not fit on the disk is not tried again when the file is closed.
            self._file: IO[bytes] = path.open("r+b" if path.exists() else "w+b", buffering=0)
            self._file.truncate(whole)  # what a kill left half-written
            self._file.seek(whole)
        except OSError as reason:
            raise disk_error(reason, path) from reason

    def made(self, clip: Clip, folder: Path) -> Made | None:
        """What became of a clip, if that is known and its file is where it should be."""
        made = self._made.get(clip.identity)
        if made is None or made.number != clip.number:
            return None
        there = made.failure or clip.identity in self._dropped or (folder / clip.path).is_file()
        return made if there else None

    def add(self, made: Made) -> None:
        """Note what became of a clip."""
        self._made[made.identity] = made
        self._append(asdict(made))

    def drop(self, clip: Clip, reason: str) -> None:
        """Note that a clip is not used: its file need not be there."""
        if self._dropped.get(clip.identity) != reason:
            self._dropped[clip.identity] = reason
            self._append({"identity": clip.identity, "dropped": reason})

    def keep(self, clip: Clip) -> None:
        """A clip is used, whatever was thought of it among fewer: its file must be there."""
        self._dropped.pop(clip.identity, None)

    def _append(self, fields: dict[str, Any]) -> None:
        line = json.dumps(fields, ensure_ascii=False).encode() + b"\n"
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as reason:
            raise disk_error(reason, self._path) from reason

    def _read(self) -> int:
        """Take in the lines that are there; returns the bytes of the whole ones."""
        if not self._path.is_file():
            return 0
        raw = self._path.read_bytes()
        whole = 0
        for line in raw.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    break
                fields = json.loads(line)
                if "dropped" in fields:
                    self._dropped[fields["identity"]] = str(fields["dropped"])
                else:
                    made = Made(**fields)
                    self._made[made.identity] = made
            except (ValueError, TypeError, KeyError):
                break
            whole += len(line)
        return whole

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
