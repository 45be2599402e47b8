"""Recordings that are only scanned (`mining.manifests`): negatives in such amounts that they are not cached.

Each round streams them from their files, in constant memory; features are kept only of those that gave a window to the
pool. They are no part of any split, so whoever judges the run must not be heard in them, and `heard.json` says which
they were.
"""

from collections.abc import Mapping
from pathlib import Path

from uyan.data.cache import extract
from uyan.data.manifest import load_manifests
from uyan.data.pool import Pool, Scan
from uyan.data.recording import Recording
from uyan.data.split import is_positive
from uyan.errors import DataError, LeakageError
from uyan.model.network import Network
from uyan.pipeline.heard import add_mined
from uyan.pipeline.prepare import Material
from uyan.pipeline.workspace import Workspace
from uyan.training.mining import scan_audio
from uyan.training.trunk import Learnt


def scan_manifests(run: Workspace, material: Material, network: Network, number: int) -> Scan | None:
    """What the network takes for the keyword in them; None where the recipe names none.

    Raises DataError for a recording of the keyword, LeakageError for a speaker or a sound that judges this run.
    """
    named = _named(run, material)
    if not named:
        return None
    files = [(recording.file, name) for name, recording in named.items()]
    heard: dict[str, Path] = {}

    def hashed(file: Path, sha1: str) -> None:
        heard[sha1] = file

    found = scan_audio(network, run.recipe.frontend, files, run.recipe.mining, number, run.progress, hashed)
    _refuse_judges(material, heard)
    speakers = frozenset(r.speaker_id for r in named.values() if r.speaker_known)
    # All of them, not only those the pool is from: the rest were chosen for being easy.
    add_mined(run.out, Learnt(speakers, frozenset(heard)))
    return found


def cache_pooled(run: Workspace, material: Material, pool: Pool) -> None:
    """Features of those recordings that windows of the pool are from."""
    named = _named(run, material)
    wanted = {(named[window.path].file, window.key) for window in pool if window.path in named}
    extract(sorted(wanted), material.cache, run.recipe.cache.workers, run.progress)


def _refuse_judges(material: Material, heard: Mapping[str, Path]) -> None:
    for member in material.members:
        if member.split != "train" and not member.excluded and member.content_sha1 in heard:
            raise LeakageError(
                f"mining.manifests: {heard[member.content_sha1]} is the same audio as {member.recording.file}, which "
                "judges"
            )


def _named(run: Workspace, material: Material) -> dict[str, Recording]:
    """The recordings by the names that pools know them by.

    A name is the manifest's folder and the path, and a number where that is taken: two folders may share theirs.
    """
    taken = {f"{m.recording.root.name}/{m.recording.path}" for m in material.negatives("train", run.recipe.keyword)}
    named: dict[str, Recording] = {}
    for recording in _recordings(run, material):
        name = plain = f"{recording.root.name}/{recording.path}"
        number = 1
        while name in taken or name in named:
            number += 1
            name = f"{plain} ({number})"
        named[name] = recording
    return named


def _recordings(run: Workspace, material: Material) -> list[Recording]:
    if not run.mined_manifests:
        return []
    recordings = load_manifests(run.mined_manifests)
    judges = {m.recording.speaker_id: m for m in material.members if m.split != "train" and m.recording.speaker_known}
    for recording in recordings:
        if is_positive(recording, run.recipe.keyword):
            raise DataError(
                f"mining.manifests: {recording.file} is a recording of the keyword; only negatives are scanned"
            )
        if recording.speaker_known and recording.speaker_id in judges:
            other = judges[recording.speaker_id]
            raise LeakageError(
                f"mining.manifests: {recording.speaker_id} speaks in {recording.file} and, in {other.split}, in "
                f"{other.recording.file}"
            )
    return [recording for recording in recordings if recording.kind != "rir"]
