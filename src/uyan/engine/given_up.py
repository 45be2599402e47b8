"""Files that killed whoever read them, again and again: kept with the reason, and not tried again before they change.

One CSV beside the probes, for people as well: whoever deletes a line, or the file, has its recording tried again. It
knows nothing of engines, nor of what is done without the files.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from uyan.engine.task_map import Lost
from uyan.errors import DataError
from uyan.files import replacing
from uyan.storage.access import Stamp, stamps
from uyan.storage.location import Location

NAME = "given-up.csv"
LOCK = ".given-up.lock"
COLUMNS = ("path", "size", "version", "reason", "node")


class _Row(NamedTuple):
    stamp: Stamp
    reason: str
    node: str


class GivenUp:
    """What is known of such files, by absolute path or URL. Without a CSV it remembers nothing."""

    def __init__(self, file: Path | None) -> None:
        """Raises DataError for a CSV that cannot be read."""
        self._file = file
        self._rows = _read(file) if file is not None and file.exists() else {}

    def mark(self, stage: str) -> Path | None:
        """What is there while files are read at this stage by the process that asks, whom they may kill."""
        return self._file.with_name(f".at-work-{stage}") if self._file else None

    def among(self, files: Iterable[Location]) -> dict[str, str]:
        """The reasons why some of these are not to be tried, by their names: those that are still what they were."""
        listed = [file for file in files if str(file) in self._rows]
        return {
            str(file): self._rows[str(file)].reason
            for file, stamp in zip(listed, stamps(listed), strict=True)
            if stamp == self._rows[str(file)].stamp
        }

    def add(self, file: Location, lost: Lost) -> None:
        """Keep a file as it is now, and why, beside what others have kept meanwhile."""
        self._rows[str(file)] = row = _Row(stamps([file])[0], lost.reason, lost.node)
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._file.with_name(LOCK)):
            self._rows = {**(_read(self._file) if self._file.exists() else {}), str(file): row}
            self._write(self._file)

    def _write(self, listed: Path) -> None:
        with replacing(listed) as partial, partial.open("w", encoding="utf-8", newline="") as opened:
            table = csv.writer(opened)
            table.writerow(COLUMNS)
            table.writerows([path, *row.stamp, row.reason, row.node] for path, row in sorted(self._rows.items()))


def _read(file: Path) -> dict[str, _Row]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened, strict=True))
        return {
            row["path"]: _Row((int(row["size"]), int(row["version"])), row["reason"] or "", row["node"] or "")
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as reason:
        raise DataError(f"{file}: not a list of files that were given up ({reason}); delete it") from reason
