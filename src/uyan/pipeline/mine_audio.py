"""Recordings that are only scanned (`mining.manifests`): negatives in such amounts that they are not cached.

Each round streams them from their files, in constant memory; features are kept only of those that gave a window to the
pool. They are no part of any split, so whoever judges the run must not be heard in them, and `heard.json` says which
they were.
"""

from collections.abc import Mapping

from uyan.data.cache import extract
from uyan.data.manifest import load_manifests
from uyan.data.member import is_positive
from uyan.data.pool import Pool, Scan
from uyan.data.recording import Recording
from uyan.engine.given_up import NAME as GIVEN_UP
from uyan.engine.task_map import Lost
from uyan.errors import DataError, LeakageError
from uyan.model.network import Network
from uyan.pipeline.heard import add_mined
from uyan.pipeline.prepare import Material
from uyan.pipeline.workspace import Workspace
from uyan.storage.location import Location
from uyan.training.mining import scan_audio
from uyan.training.scan_tasks import AudioSource
from uyan.training.trunk import Learnt

MARK = ".at-work-mining-files"


def scan_manifests(run: Workspace, material: Material, network: Network, number: int) -> Scan | None:
    """What the network takes for the keyword in them; None where the recipe names none.

    A recording that kills whoever scans it is left out, now and in later rounds. Raises DataError for a recording of
    the keyword, LeakageError for a speaker or a sound that judges this run.
    """
    named, given_up = _named(run, material), run.given_up()
    if not named:
        return None
    refused = given_up.among(recording.file for recording in named.values())
    sources = [
        AudioSource(recording.file, name, recording.duration_s)
        for name, recording in named.items()
        if str(recording.file) not in refused
    ]
    heard: dict[str, Location] = {}

    def hashed(file: Location, sha1: str) -> None:
        heard[sha1] = file

    def lost(source: AudioSource, why: Lost) -> None:
        given_up.add(source.file, why)
        run.tell(f"mining.manifests: {source.file} is left out: {why.reason}")

    recipe = run.recipe
    found = scan_audio(
        network,
        recipe.frontend,
        sources,
        recipe.mining,
        number,
        run.progress,
        hashed,
        recipe.cache.workers,
        lost,
        run.training / MARK,
    )
    _refuse_judges(material, heard)
    speakers = frozenset(r.speaker_id for r in named.values() if r.speaker_known)
    # All of them, not only those the pool is from: the rest were chosen for being easy.
    add_mined(run.out, Learnt(speakers, frozenset(heard)))
    return found


def warn_of_unscanned(run: Workspace) -> None:
    """Say how many were given up, whichever process scanned, and whenever."""
    if not run.mined_manifests:
        return
    files = [recording.file for recording in load_manifests(run.mined_manifests) if recording.kind != "rir"]
    if refused := run.given_up().among(files):
        run.warn(f"mining.manifests: {len(refused)} recording(s) are not scanned, see {GIVEN_UP} in the cache")


def cache_pooled(run: Workspace, material: Material, pool: Pool) -> None:
    """Features of those recordings that windows of the pool are from."""
    named = _named(run, material)
    wanted = {(named[window.path].file, window.key) for window in pool if window.path in named}
    extract(sorted(wanted, key=str), material.cache, run.recipe.cache.workers, run.progress, run.given_up())


def _refuse_judges(material: Material, heard: Mapping[str, Location]) -> None:
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
