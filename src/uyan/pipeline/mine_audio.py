"""Recordings that are only scanned (`mining.manifests`): negatives in such amounts that they are not cached.

Each round streams them from their files, in constant memory; features are kept only of those that gave a window to the
pool. They are no part of any split, so whoever judges the run must not be heard in them.
"""

from uyan.data.cache import extract
from uyan.data.manifest import load_manifests
from uyan.data.pool import Pool, Scan
from uyan.data.recording import Recording
from uyan.data.split import is_positive
from uyan.errors import DataError, LeakageError
from uyan.model.network import Network
from uyan.pipeline.prepare import Material
from uyan.pipeline.workspace import Workspace
from uyan.training.mining import scan_audio


def scan_manifests(run: Workspace, material: Material, network: Network, number: int) -> Scan | None:
    """What the network takes for the keyword in them; None where the recipe names none.

    Raises DataError for a recording of the keyword, LeakageError for a speaker or a sound that judges this run.
    """
    recordings = _recordings(run, material)
    if not recordings:
        return None
    files = [(recording.file, _name(recording)) for recording in recordings]
    found = scan_audio(network, run.recipe.frontend, files, run.recipe.mining, number, run.progress)
    judged = {m.content_sha1: m.recording.file for m in material.members if m.split != "train" and not m.excluded}
    for window in found.windows:
        if window.key in judged:
            raise LeakageError(
                f"mining.manifests: {window.path} is the same audio as {judged[window.key]}, which judges"
            )
    return found


def cache_pooled(run: Workspace, material: Material, pool: Pool) -> None:
    """Features of those recordings that windows of the pool are from."""
    files = {_name(recording): recording.file for recording in _recordings(run, material)}
    wanted = {(files[window.path], window.key) for window in pool if window.path in files}
    extract(sorted(wanted), material.cache, run.recipe.cache.workers, run.progress)


def _recordings(run: Workspace, material: Material) -> list[Recording]:
    manifests = run.recipe.mining.manifests
    if not manifests:
        return []
    recordings = load_manifests([run.base / name for name in manifests])
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


def _name(recording: Recording) -> str:
    """As pools name a recording."""
    return f"{recording.root.name}/{recording.path}"
