"""What the tables that people write have in common: a bounded file, UTF-8, and a header with named columns.

It knows nothing of what the columns mean. Every message names the file, and the row (the header is row 1) if there is
one.
"""

from collections.abc import Sequence

from uyan.errors import ManifestError
from uyan.storage.access import read_bytes, size_of
from uyan.storage.location import Location


def table_bytes(path: Location, most: int) -> bytes:
    """The whole file. Raises ManifestError where it cannot be read or has more than `most` bytes, StorageError."""
    try:
        size = size_of(path)
        if size > most:
            raise ManifestError(f"{path}: {size / 1e6:.6g} MB; such a table has at most {most / 1e6:.6g} MB, split it")
        return read_bytes(path)
    except OSError as reason:
        raise ManifestError(f"{path}: cannot be read ({reason.strerror})") from reason


def table_text(raw: bytes, path: Location) -> str:
    """The text of a CSV, without a byte order mark. Raises ManifestError with the row where it is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        row = 1 + reason.object.count(b"\n", 0, reason.start)
        raise ManifestError(f"{path}: row {row}: not UTF-8; save the table as 'CSV UTF-8'") from reason


def column_positions(
    header: Sequence[str], required: Sequence[str], optional: Sequence[str], path: Location
) -> dict[str, int]:
    """Where the columns that are wanted stand. Raises ManifestError where a required one is missing."""
    missing = [name for name in required if name not in header]
    if missing:
        commas = "; separate the columns by commas" if any(";" in name for name in header) else ""
        raise ManifestError(
            f"{path}: row 1: no column {', '.join(missing)}; there are {', '.join(header)[:200]}{commas}"
        )
    return {name: header.index(name) for name in (*required, *optional) if name in header}
