"""The table of clips that `uyan listen --save-clips` keeps, `clips.csv`: what people answered, read and written.

An answer is `yes` (the word was said), `no` (it was not, someone said something else), `noise` (nobody spoke), or the
word that was said, one of those listened for. It opens no audio and knows nothing of manifests.
"""

import csv
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from uyan.data.recording import normal_word
from uyan.data.table_file import column_positions, table_bytes, table_text
from uyan.errors import ManifestError
from uyan.files import replacing

TABLE = "clips.csv"
MAX_TABLE_BYTES = 100_000_000
YES, NO, NOISE = "yes", "no", "noise"
SHORT = {"y": YES, "n": NO, "b": NOISE}
"""One key for an answer; b is for background."""

_REQUIRED = ("path", "word", "time_s", "score", "event", "label")


@dataclass(frozen=True)
class Clip:
    """One row."""

    row: int
    """As people count: the header is row 1."""
    path: str
    word: str
    """What the detector listened for."""
    time_s: str
    score: str
    event: str
    label: str
    """The answer, empty where there is none yet."""
    speaker_id: str


def read_clips(folder: Path) -> list[Clip]:
    """All rows of the folder's table, rows with nothing in them left out.

    Raises ManifestError, with file, row and field, for a table that cannot be read.
    """
    file = folder / TABLE
    header, rows = _parsed(file)
    at = column_positions([name.strip() for name in header], _REQUIRED, ("speaker_id",), file)
    clips = []
    for number, row in rows:
        if any(field.strip() for field in row):
            given = {name: normal_word(row[position]) for name, position in at.items() if position < len(row)}
            values = {name: given.get(name, "") for name in (*_REQUIRED, "speaker_id")}
            clips.append(Clip(number, **values))
    return clips


def answer(text: str, words: Collection[str]) -> str:
    """What was meant: yes, no, noise or one of the words, by themselves or by one key. Raises ValueError otherwise.

    >>> answer("Y", []), answer("no", []), answer(" selam ", ["selam"])
    ('yes', 'no', 'selam')
    """
    given = normal_word(text)
    if given in words:
        return given
    short = SHORT.get(given.casefold(), given.casefold())
    if short in (YES, NO, NOISE):
        return short
    known = f" or one of the words {', '.join(sorted(words))}" if words else ""
    raise ValueError(f"is none of {YES}, {NO}, {NOISE}{known}; write {NO} for other speech")


def set_label(folder: Path, path: str, label: str) -> None:
    """Write an answer into the table as it is on disk now, which else stays as it is; atomically.

    Raises ManifestError where the table cannot be read.
    """
    file = folder / TABLE
    header, rows = _parsed(file)
    at = column_positions([name.strip() for name in header], ("path", "label"), (), file)
    table = io.StringIO()
    written = csv.writer(table, lineterminator="\n")
    written.writerow(header)
    for _, row in rows:
        fields = row + [""] * (len(header) - len(row))
        if normal_word(fields[at["path"]]) == path:
            fields[at["label"]] = label
        written.writerow(fields)
    with replacing(file) as partial:
        partial.write_text(table.getvalue(), encoding="utf-8", newline="")


def _parsed(file: Path) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    """The header, and the other rows with their numbers."""
    text = table_text(table_bytes(file, MAX_TABLE_BYTES), file)
    rows, number = [], 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), 1):
            rows.append((number, row))
    except csv.Error as reason:
        raise ManifestError(
            f"{file}: row {number + 1}: not CSV ({reason}); put a field with commas or quotes in double quotes"
        ) from reason
    if not rows:
        raise ManifestError(f"{file}: the file is empty; uyan listen --save-clips makes it")
    (_, header), *rest = rows
    return header, rest
