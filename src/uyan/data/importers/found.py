"""What an importer says of a recording, and what importers have in common: tables, and words in a text.

It opens no audio.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uyan.data.recording import Kind, OfficialSplit, normal_word
from uyan.data.table_file import column_positions, table_bytes, table_text
from uyan.errors import DataError, ManifestError

MAX_TABLE_BYTES = 2_000_000_000
LETTER_APOSTROPHE = "\u02bc"
"""To Unicode a letter; the other apostrophes are punctuation."""
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
    text = table_text(table_bytes(path, MAX_TABLE_BYTES), path)
    table = _by_tabs(text) if path.suffix == ".tsv" else _by_commas(text, path)
    positions = column_positions(next(table, []), required, optional, path)
    for row in table:
        if any(row):
            yield {
                name: row[at] if (at := positions.get(name, len(row))) < len(row) else ""
                for name in (*required, *optional)
            }


def _by_tabs(text: str) -> Iterator[list[str]]:
    """Without quotes; only a line feed ends a row, for sentences hold the other marks that may end a line."""
    for line in io.StringIO(text, newline="\n"):
        yield line.removesuffix("\n").removesuffix("\r").split("\t")


def _by_commas(text: str, path: Path) -> Iterator[list[str]]:
    last = 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), 1):
            yield row
            last = number
    except csv.Error as reason:
        raise ManifestError(f"{path}: row {last + 1}: not CSV ({reason}); unpack the table again") from reason


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

    What follows an apostrophe is a word of its own: an ending, as in "Ankara'ya".

    >>> says("Hello, Jarvis! Play music", "jarvis"), says("a jarvish accent", "jarvis")
    (True, False)
    """
    words, wanted = _words(text), _words(keyword)
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))


def dots_apart(label: str, keyword: str) -> bool:
    """Whether dots over i, which lower case without a language gets wrong, are all that tells the two apart.

    >>> dots_apart("i\u015f\u0131k", "\u0131\u015f\u0131k"), dots_apart("Jarvis", "jarvis")
    (True, False)
    """
    one, other = (normal_word(word).casefold() for word in (label, keyword))
    return one != other and _folded(one) == _folded(other)


def _words(text: str) -> list[str]:
    return "".join(char if char.isalnum() and char != LETTER_APOSTROPHE else " " for char in _folded(text)).split()


def _folded(text: str) -> str:
    """Without case, and with one letter for I, i and both with the other's dot: languages pair them differently."""
    plain = unicodedata.normalize("NFC", text).casefold()
    return plain.replace("i\u0307", "i").replace("\u0131", "i")
