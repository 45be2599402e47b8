"""Whether an import may write its manifest where it is to go; said before hours of audio are measured."""

import posixpath
import tempfile
from collections.abc import Sequence
from pathlib import Path

from uyan.data.importers.found import Found
from uyan.data.manifest import listed_paths, load_manifests
from uyan.data.recording import normal_word
from uyan.errors import DataError


def require_writable(manifest: Path, root: Path, found: Sequence[Found]) -> None:
    """Raise DataError for a place where no manifest of what was found below the root can be."""
    listed_paths([posixpath.join(root.as_posix(), f.path) for f in found], manifest)
    try:
        with tempfile.TemporaryFile(dir=manifest.parent):
            pass
        if manifest.is_dir():
            raise IsADirectoryError(0, "it is a folder")
    except OSError as reason:
        raise DataError(f"{manifest}: cannot be written ({reason.strerror}); name another --out") from reason


def require_replaceable(manifest: Path, root: Path, found: Sequence[Found], name: str) -> None:
    """Refuse to write over a manifest that is not what an import of this data set wrote.

    Raises DataError with an example, ManifestError where it cannot be read.
    """
    if not manifest.exists():
        return
    listed = load_manifests([manifest])
    others = [r for r in listed if r.source != name]
    if others:
        raise _refused(manifest, f"{len(others)} recordings that are not of {name}, {others[0].path} among them")
    now = {posixpath.join(root.as_posix(), f.path): _facts(f) for f in found}
    changed = []
    for each in listed:
        before = (each.kind, each.label, each.speaker_id if each.speaker_known else "", each.license, each.split)
        file = str(each.file)
        if file in now and (now[file] != before or each.said_s):
            changed.append(each)
    if changed:
        raise _refused(manifest, f"{len(changed)} recordings otherwise than {name}, {changed[0].path} among them")


def _facts(found: Found) -> tuple[str, ...]:
    return found.kind, normal_word(found.label), normal_word(found.speaker_id), found.license, found.split


def _refused(manifest: Path, what: str) -> DataError:
    return DataError(f"{manifest}: lists {what}; move it away, or name another --out")
