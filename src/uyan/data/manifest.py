"""Manifests: which recordings there are, who speaks and what is said, as CSV or Parquet tables.

Columns `path,label,speaker_id,duration_s,kind` and, if wanted, `license,source`, `split`, where a publisher has decided
it, and `start_s,end_s`, when the word is said in a longer recording; paths are relative to the manifest's folder and
may not lead out of it, by `..` or by a symbolic link. The folder may be one behind a URL. Several manifests make one
data set. It opens no audio: whether the files exist and decode is `check`'s business.
"""

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import polars as pl

from uyan.data.manifest_table import COLUMNS, PLACE, check_rows, check_suffix, first_row, read_table, validated
from uyan.data.recording import Kind, OfficialSplit, Recording, unknown_speaker_id
from uyan.errors import ManifestError
from uyan.files import replacing
from uyan.storage.location import Location


def load_manifests(paths: Sequence[Location]) -> list[Recording]:
    """All recordings of several manifests, in order.

    Raises ManifestError, naming file, row (the header is row 1) and field, at the first thing that is wrong;
    StorageError where one behind a URL cannot be had.
    """
    if not paths:
        raise ManifestError("no manifest given; name at least one CSV or Parquet file")
    recordings: list[Recording] = []
    seen: dict[str, Location] = {}
    for path in paths:
        loaded = _load(path)
        for recording in loaded:
            file = posixpath.join(recording.root.as_posix(), recording.path)
            if (first := seen.setdefault(file, path)) is not path:
                raise ManifestError(f"{path}: path: {file} is listed in {first} as well; keep one of the two")
        recordings += loaded
    return recordings


def save_manifest(recordings: Sequence[Recording], path: Path) -> None:
    """Write recordings so that `load_manifests` gives them back; CSV or Parquet by the suffix, atomically.

    Paths become relative to the manifest's folder, and so do the ids made of them. Raises ManifestError when
    a recording is not below that folder, or could not be read back.
    """
    check_rows(len(recordings), path)
    roots = {root: _resolved(root).as_posix() for root in {r.root for r in recordings}}
    table = pl.DataFrame(
        {
            "path": listed_paths([posixpath.join(roots[r.root], r.path) for r in recordings], path),
            "label": [r.label for r in recordings],
            "speaker_id": [r.speaker_id if r.speaker_known else None for r in recordings],
            "duration_s": [r.duration_s for r in recordings],
            "kind": [r.kind for r in recordings],
            "license": [r.license for r in recordings],
            "source": [r.source for r in recordings],
            **({"split": [r.split for r in recordings]} if any(r.split for r in recordings) else {}),
            **_places(recordings),
        },
        schema_overrides={"speaker_id": pl.String, "duration_s": pl.Float64},
    )
    validated(table.with_row_index("row", offset=first_row(path)), path)
    with replacing(path) as partial:
        if path.suffix == ".csv":
            table.write_csv(partial)
        else:
            table.write_parquet(partial)


def listed_paths(files: Sequence[str], manifest: Path) -> list[str]:
    """How a manifest there names these files, absolute and without links.

    Raises ManifestError where it is of another format, or in a folder that is not above them.
    """
    check_suffix(manifest)
    folder = manifest.parent.resolve()
    prefix = posixpath.join(folder.as_posix(), "")
    for file in files:
        if not file.startswith(prefix):
            raise ManifestError(f"{manifest}: {file} is not below {folder}; save the manifest in a folder above it")
    return [file.removeprefix(prefix) for file in files]


def _resolved(folder: Location) -> Location:
    return folder.resolve() if isinstance(folder, Path) else folder


def _load(path: Location) -> list[Recording]:
    table = validated(read_table(path), path)
    root = _resolved(path.parent)
    if isinstance(root, Path):
        _check_links(table, root, path)
    columns = (table[name].to_list() for name in (*COLUMNS, *PLACE))
    return [
        Recording(
            path=file,
            root=root,
            label=label,
            speaker_id=speaker or unknown_speaker_id(file),
            speaker_known=bool(speaker),
            duration_s=duration_s,
            kind=cast(Kind, kind),
            license=license_,
            source=source,
            split=cast(OfficialSplit, split),
            said_s=None if start_s is None else (start_s, end_s),
        )
        for file, label, speaker, duration_s, kind, license_, source, split, start_s, end_s in zip(
            *columns, strict=True
        )
    ]


def _places(recordings: Sequence[Recording]) -> dict[str, list[float | None]]:
    """The columns that say when the word is said; none where no recording knows."""
    if all(r.said_s is None for r in recordings):
        return {}
    return {name: [r.said_s[side] if r.said_s else None for r in recordings] for side, name in enumerate(PLACE)}


def _check_links(table: pl.DataFrame, root: Path, manifest: Location) -> None:
    """ManifestError for a path that a symbolic link leads out of the root.

    Asking the system to resolve every path is slow; one listing per folder finds the links, mostly none, and
    only what lies at or below a link is resolved. Files that do not exist are left to `check`.
    """
    folders = {posixpath.dirname(path) for path in table["path"]}
    links = _links(root, {above for folder in folders for above in _with_parents(folder)})
    if not links:
        return
    top = os.path.realpath(root)
    linked = {folder for folder in folders if not links.isdisjoint(_with_parents(folder))}
    for path, row in zip(table["path"], table["row"], strict=True):
        if path in links or posixpath.dirname(path) in linked:
            target = os.path.realpath(root / path)
            if os.path.commonpath([top, target]) != top:
                raise ManifestError(
                    f"{manifest}: row {row}: path: {path!r} is a link to {target}, outside of the manifest's"
                    " folder; copy the audio into it, or move the manifest above both"
                )


def _with_parents(folder: str) -> list[str]:
    """
    >>> _with_parents("a/b"), _with_parents("")
    (['a/b', 'a', ''], [''])
    """
    above = [folder]
    while above[-1]:
        above.append(posixpath.dirname(above[-1]))
    return above


def _links(root: Path, folders: set[str]) -> set[str]:
    """The symbolic links directly in these folders, relative to the root."""
    links: set[str] = set()
    for folder in folders:
        try:
            with os.scandir(root / folder) as entries:
                links.update(posixpath.join(folder, entry.name) for entry in entries if entry.is_symlink())
        except PermissionError as reason:
            raise ManifestError(f"{root / folder}: may not be listed; give yourself the right to read it") from reason
        except OSError:
            continue  # no such folder: `check` reports its files as missing
    return links
