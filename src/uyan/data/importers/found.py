"""What an importer says of a recording, and what importers have in common: tables, and words in a text.

It opens no audio.
"""

import csv
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uyan.data.recording import Kind, OfficialSplit
from uyan.data.table_file import column_positions, table_bytes, table_text
from uyan.errors import DataError

MAX_TABLE_BYTES = 2_000_000_000
AUDIO = (".wav", ".flac", ".mp3", ".opus", ".ogg")


@dataclass(frozen=True)
class Found:
    """One recording as its data set describes it."""

    path: str
    """POSIX, relative to the folder that is imported."""
    kind: Kind
    label: str
    license: str
    speaker_id: str = ""
    """Empty where the data set does not tell; for noise, what was recorded at once and has to stay together."""
    split: OfficialSplit = ""
    text: str = ""
    """What is said, where that is known."""


def rows_of(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """Rows of a .csv or .tsv as text; an absent optional column is empty. Raises ManifestError where it is damaged."""
    lines = table_text(table_bytes(path, MAX_TABLE_BYTES), path).splitlines()
    tabs = path.suffix == ".tsv"
    table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines)
    positions = column_positions(next(table, []), required, optional, path)
    for row in table:
        yield {
            name: row[at] if (at := positions.get(name, len(row))) < len(row) else "" for name in (*required, *optional)
        }


def audio_below(folder: Path, pattern: str) -> Iterator[str]:
    """Audio files that match, POSIX and relative to the folder, in order; hidden ones are left out."""
    for file in sorted(folder.glob(pattern)):
        if file.suffix.lower() in AUDIO and not file.name.startswith("."):
            yield file.relative_to(folder).as_posix()


def expect(folder: Path, names: tuple[str, ...], data_set: str) -> None:
    """DataError unless one of these is in the folder."""
    if not any((folder / name).exists() for name in names):
        raise DataError(f"{folder}: is not {data_set}; it should hold {' or '.join(names)}")


def says(text: str, keyword: str) -> bool:
    """Whether the words of the keyword stand in the text, one after the other.

    >>> says("Hello, Jarvis! Play music", "jarvis"), says("a jarvish accent", "jarvis")
    (True, False)
    """
    words, wanted = _words(text), _words(keyword)
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFC", text).casefold()
    return "".join(char if char.isalnum() or char == "'" else " " for char in plain).split()
