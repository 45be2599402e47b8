"""Long recordings in which somebody wrote down when the keyword is said: the tables, read and held against the audio.

A CSV with columns `path,start_s,end_s` and, if wanted, `label`; paths are relative to its folder. A row without times
lists a recording in which the keyword is not said; a label other than the keyword is another word. Every message names
file, row (the header is row 1) and field. Only the audio's headers are read: it knows nothing of detectors.
"""

import csv
import io
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import soundfile

from uyan.data.recording import normal_word
from uyan.data.table_file import column_positions, table_bytes, table_text
from uyan.errors import EvaluationError, ManifestError

_REQUIRED, _LABEL = ("path", "start_s", "end_s"), "label"
MAX_CSV_BYTES = 100_000_000
"""A larger file is no list of words: 10,000 rows take about 400 kB."""
BEYOND_S = 0.05
"""An end this far beyond the recording's is its end, written down by hand."""


class Annotation(NamedTuple):
    """One word, by hand."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class AnnotatedRecording:
    """A recording, and when what is said in it."""

    file: Path
    """Absolute."""
    path: str
    """Folder of the table and path within it, for people to read."""
    duration_s: float
    """As its header says."""
    words: tuple[Annotation, ...]
    """The keyword, ascending; no two overlap."""
    others: tuple[Annotation, ...] = ()
    """Other words that are written down, ascending."""


class _Row(NamedTuple):
    """One line of a table that is in order by itself."""

    number: int
    file: Path
    word: Annotation | None
    """None: the keyword is not said in this recording."""


def load_annotations(tables: Sequence[Path], keyword: str) -> list[AnnotatedRecording]:
    """The recordings of several tables, in order.

    Raises ManifestError at the first thing that is wrong, and EvaluationError where only other words are written down:
    then the keyword is spelt differently, and all of its detections would count as false alarms.
    """
    found: dict[Path, AnnotatedRecording] = {}
    for table in tables:
        for recording in _load(table, keyword):
            if recording.file in found:
                raise ManifestError(f"{table}: path: {recording.file} is listed in another table as well; keep one")
            if twin := next((each.file for each in found.values() if each.path == recording.path), None):
                raise ManifestError(
                    f"{table}: path: {recording.file} and {twin} would both be called {recording.path!r}; rename "
                    "one of their folders"
                )
            found[recording.file] = recording
    labels = sorted({word.label for recording in found.values() for word in recording.others})
    if labels and not any(recording.words for recording in found.values()):
        raise EvaluationError(
            f"{', '.join(map(str, tables))}: no row is of the keyword {keyword!r}, the labels are {', '.join(labels)}; "
            "write the keyword as the bundle does, or leave its label empty"
        )
    return list(found.values())


def _load(table: Path, keyword: str) -> list[AnnotatedRecording]:
    durations_s: dict[Path, float] = {}
    by_file: dict[Path, list[_Row]] = {}
    root = table.parent.resolve()
    for number, fields in _fields(table):
        where = f"{table}: row {number}"
        row = _Row(number, _inside(root, fields["path"], where), _word(fields, keyword, where))
        if row.file not in durations_s:
            durations_s[row.file] = _header_s(row.file, where)
        if row.word:
            _check_end(row.word, durations_s[row.file], where)
        by_file.setdefault(row.file, []).append(row)
    if not by_file:
        raise ManifestError(f"{table}: no rows; list at least one recording")
    return [_recording(table, rows, durations_s[file], keyword) for file, rows in by_file.items()]


def _recording(table: Path, rows: Sequence[_Row], duration_s: float, keyword: str) -> AnnotatedRecording:
    """What all rows of one recording say together."""
    timed = sorted((row.word, row.number) for row in rows if row.word)
    ours = [(word, number) for word, number in timed if word.label == keyword]
    for (before, first), (after, second) in itertools.pairwise(ours):
        if after.start_s < before.end_s:
            raise ManifestError(
                f"{table}: row {second}: start_s: {_times(after)} overlaps {_times(before)} of row {first}; the "
                "keyword is said once at a time: mend the times, or keep one of the rows"
            )
    without = next((row.number for row in rows if not row.word), None)
    if without and ours:
        word, number = ours[0]
        raise ManifestError(
            f"{table}: row {without}: start_s: empty, though row {number} has the keyword at {_times(word)} of the "
            "same recording; delete the row without times"
        )
    file, root = rows[0].file, table.parent.resolve()
    path = f"{root.name}/{file.relative_to(root).as_posix()}"
    others = tuple(word for word, _ in timed if word.label != keyword)
    return AnnotatedRecording(file, path, duration_s, tuple(word for word, _ in ours), others)


def _times(word: Annotation) -> str:
    return f"{word.start_s:g} – {word.end_s:g} s"


def _fields(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and known columns, trimmed, of each row; rows with nothing in them are left out."""
    rows = csv.reader(io.StringIO(table_text(table_bytes(table, MAX_CSV_BYTES), table), newline=""), strict=True)
    number = 0
    try:
        for number, values in enumerate(rows, 1):
            if number == 1:
                header = [name.strip() for name in values]
                positions = column_positions(header, _REQUIRED, (_LABEL,), table)
            elif any(value.strip() for value in values):
                if len(values) > len(header):
                    raise ManifestError(
                        f"{table}: row {number}: {len(values)} fields under {len(header)} columns; write numbers with "
                        "a point, and put a path with commas in double quotes"
                    )
                padded = [value.strip() for value in values] + [""] * len(header)
                yield number, {name: padded[at] for name, at in positions.items()}
    except csv.Error as reason:
        raise ManifestError(f"{table}: row {number + 1}: not CSV ({reason}); write the row again") from reason
    if not number:
        raise ManifestError(f"{table}: the file is empty; it needs the header {','.join((*_REQUIRED, _LABEL))}")


def _inside(root: Path, given: str, where: str) -> Path:
    """The absolute file, without links."""
    if not given:
        raise ManifestError(f"{where}: path: is empty; name the recording, relative to the table")
    try:
        file = (root / given).resolve()
        if not file.is_relative_to(root):
            raise ManifestError(
                f"{where}: path: {given[:200]!r} leads out of the table's folder; move the table above the audio"
            )
        found = file.is_file()
    except (OSError, ValueError, RuntimeError) as reason:  # too long, a zero byte, a link to itself
        raise ManifestError(f"{where}: path: {given[:200]!r} is no path ({reason}); write it again") from reason
    if not found:
        raise ManifestError(f"{where}: path: {given[:200]!r} is not there; write it relative to {root}")
    return file


def _header_s(file: Path, where: str) -> float:
    try:
        header = soundfile.info(str(file))
        return float(header.frames / header.samplerate)
    except (soundfile.SoundFileError, OSError, RuntimeError) as reason:
        detail = getattr(reason, "error_string", reason)
        raise ManifestError(f"{where}: path: {file} cannot be decoded ({detail}); export it again") from reason


def _word(fields: Mapping[str, str], keyword: str, where: str) -> Annotation | None:
    label = normal_word(fields.get(_LABEL, ""))
    if label != keyword and label.casefold() == keyword.casefold():
        raise ManifestError(f"{where}: label: {label!r} is the keyword in other letters; write {keyword!r}")
    if not fields["start_s"] and not fields["end_s"]:
        if label:
            raise ManifestError(
                f"{where}: start_s: empty, and so is end_s, though the label says {label!r}; write when it is said, or "
                "leave the label empty: then the keyword is not said in this recording"
            )
        return None
    start_s, end_s = (_seconds(fields, name, where) for name in ("start_s", "end_s"))
    if end_s <= start_s:
        raise ManifestError(
            f"{where}: end_s: {fields['end_s']!r} is not after start_s {fields['start_s']!r}; mend the times"
        )
    return Annotation(start_s, end_s, label or keyword)


def _seconds(fields: Mapping[str, str], name: str, where: str) -> float:
    try:
        seconds = float(fields[name])
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ManifestError(
            f"{where}: {name}: {fields[name][:200]!r} is no number of seconds from the recording's start; write it "
            "like 12.35, or leave both times empty where the keyword is not said"
        )
    return seconds


def _check_end(word: Annotation, duration_s: float, where: str) -> None:
    if word.end_s > duration_s + BEYOND_S:
        raise ManifestError(
            f"{where}: end_s: {word.end_s:g} is beyond the end of the recording, which has {duration_s:.2f} s; mend "
            "the time, or the path"
        )
