"""What people answered about saved clips, as rows of a manifest to train on.

`yes` and words become keyword recordings, `no` a negative, `noise` a noise; clips without an answer wait. Rows are only
ever added to a manifest: those that are there stay as they are, byte for byte, and adding twice adds once.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import soundfile

from uyan.data.clip_table import NO, NOISE, TABLE, YES, Clip, answer, read_clips
from uyan.data.manifest import load_manifests
from uyan.data.manifest_table import COLUMNS, MAX_MANIFEST_BYTES, validated
from uyan.data.recording import Recording, normal_word
from uyan.data.table_file import table_bytes
from uyan.errors import ManifestError
from uyan.files import replacing

SOURCE = "feedback"
"""The column `source` of every row that comes from here."""

Row = dict[str, str]
"""Column → text."""


@dataclass(frozen=True)
class Feedback:
    """What became of the clips."""

    added: list[Row]
    known: int
    """Listed before, as they are labelled now."""
    changed: list[str]
    """Paths listed before with another label or kind, which stay so."""
    unlabelled: int


def add_feedback(folder: Path, manifest: Path, speaker: str = "") -> Feedback:
    """Append the labelled clips of a folder to a manifest (.csv), which is made where there is none.

    `speaker` is who said the words of rows that name nobody. Raises ManifestError, with file, row and field, for an
    answer, a path or an audio file that cannot be used, or a manifest that is not above the folder; nothing is
    written then.
    """
    if manifest.suffix != ".csv":
        raise ManifestError(f"{manifest}: feedback is added to .csv manifests; name another, a run takes several")
    listed = {r.path: r for r in load_manifests([manifest])} if manifest.exists() else {}
    clips = read_clips(folder)
    labelled = [clip for clip in clips if clip.label]
    words = {clip.word for clip in clips} | {each.label for each in listed.values() if each.kind == "keyword"}
    rows = _checked(_rows(labelled, words, folder, manifest, speaker), folder)
    new = [row for row in rows if row["path"] not in listed]
    changed = [row["path"] for row in rows if row["path"] in listed and not _agrees(row, listed[row["path"]])]
    if new:
        _append(new, manifest)
    return Feedback(new, len(rows) - len(new) - len(changed), changed, len(clips) - len(labelled))


def _rows(clips: Sequence[Clip], words: set[str], folder: Path, manifest: Path, speaker: str) -> list[Row]:
    """One row for each file, with `row`, its number in the table of clips."""
    rows: dict[str, Row] = {}
    for clip in clips:
        try:
            said = answer(clip.label, words)
        except ValueError as reason:
            raise _refused(folder, clip, "label", clip.label, str(reason)) from reason
        row = _row(clip, said, normal_word(speaker)) | _audio(clip, folder, manifest)
        first = rows.setdefault(row["path"], row)
        if (first["label"], first["kind"]) != (row["label"], row["kind"]):
            raise _refused(folder, clip, "path", clip.path, f"is labelled otherwise in row {first['row']}; keep one")
    return list(rows.values())


def _row(clip: Clip, said: str, speaker: str) -> Row:
    """All but path and duration."""
    kind = {NO: "negative", NOISE: "noise"}.get(said, "keyword")
    return {
        "row": str(clip.row),
        "label": {YES: clip.word, NO: "speech"}.get(said, said),
        "speaker_id": {"keyword": clip.speaker_id or speaker, "negative": clip.speaker_id}.get(kind, ""),
        "kind": kind,
        "license": "",
        "source": SOURCE,
    }


def _audio(clip: Clip, folder: Path, manifest: Path) -> Row:
    """Path and duration; the file must lie in the folder, and the folder below the manifest's."""
    inside, above = folder.resolve(), manifest.parent.resolve()
    if not inside.is_relative_to(above):
        raise ManifestError(f"{manifest}: the clips in {inside} are not below {above}; choose a manifest above them")
    file = (inside / clip.path).resolve()
    if not clip.path or "\0" in clip.path or not file.is_relative_to(inside):
        raise _refused(folder, clip, "path", clip.path, "is no file in this folder")
    try:
        info = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError) as reason:
        problem = "cannot be decoded" if file.is_file() else "does not exist; delete the row, or bring the file back"
        raise _refused(folder, clip, "path", clip.path, problem) from reason
    return {"path": file.relative_to(above).as_posix(), "duration_s": f"{info.frames / info.samplerate:.3f}"}


def _checked(rows: list[Row], folder: Path) -> list[Row]:
    """The rows, normal, by the rules of every manifest."""
    if not rows:
        return []
    table = pl.DataFrame(rows).with_columns(pl.col("row").cast(pl.UInt32))
    checked = validated(table, folder / TABLE)
    return [{name: str(row[name]) for name in COLUMNS} for row in checked.iter_rows(named=True)]


def _agrees(row: Row, listed: Recording) -> bool:
    return (row["label"], row["kind"]) == (listed.label, listed.kind)


def _append(rows: Sequence[Row], manifest: Path) -> None:
    """Behind what is there, in its own order of columns and with its own line breaks."""
    there = table_bytes(manifest, MAX_MANIFEST_BYTES) if manifest.exists() else (",".join(COLUMNS) + "\n").encode()
    line_break = "\r\n" if b"\r\n" in there else "\n"
    try:
        header = next(csv.reader(io.StringIO(there.decode("utf-8-sig"), newline="")))
    except csv.Error as reason:
        raise ManifestError(f"{manifest}: row 1: not CSV ({reason}); write the header again") from reason
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_break)
    writer.writerows([[row.get(name.strip(), "") for name in header] for row in rows])
    between = b"" if there.endswith(b"\n") else line_break.encode()
    with replacing(manifest) as partial:
        partial.write_bytes(there + between + text.getvalue().encode())


def _refused(folder: Path, clip: Clip, field: str, value: str, problem: str) -> ManifestError:
    return ManifestError(f"{folder / TABLE}: row {clip.row}: {field}: {value[:200]!r} {problem}")
