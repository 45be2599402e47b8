"""Recordings of what almost is the keyword, as a test set of their own: loaded, decoded, and unheard in training."""

from collections.abc import Sequence
from pathlib import Path

from uyan.data.check import check
from uyan.data.manifest import load_manifests
from uyan.data.member import Member, is_positive
from uyan.data.recording import Recording, voices_of
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.pipeline.held_out import unheard
from uyan.storage.location import Location
from uyan.training.trunk import Learnt


def near_recordings(manifests: Sequence[Location], keyword: str) -> list[Recording]:
    """What the manifests list, none of it decoded: for who wants to know early whether it can judge.

    Raises EvaluationError where one is the keyword itself, DataError or StorageError for what cannot be read.
    """
    recordings = load_manifests(manifests) if manifests else []
    if same := [recording for recording in recordings if is_positive(recording, keyword)]:
        raise EvaluationError(
            f"{same[0].root}: {same[0].path} is the keyword {keyword!r} itself; a test of near words has none"
        )
    return recordings


def near_members(
    manifests: Sequence[Location],
    keyword: str,
    learnt: Learnt,
    progress: Progress = silent,
    workers: int | None = None,
    probes: Path | None = None,
) -> list[Member]:
    """Those recordings that neither taught the detector nor are by a voice that did; their label is their category.

    Raises EvaluationError where one of them is the keyword, or none is left; DataError for what cannot be read.
    """
    if not manifests:
        return []
    recordings = near_recordings(manifests, keyword)
    report = check(recordings, workers=workers, progress=progress, cache_file=probes)
    members, reasons = unheard(report, learnt, progress, workers)
    kept = [member for member, reason in zip(members, reasons, strict=True) if not reason]
    if not kept:
        names = ", ".join(str(manifest) for manifest in manifests)
        why = "; ".join(sorted(set(filter(None, reasons)))) or "there are none that can be used"
        raise EvaluationError(f"{names}: no near word may judge this detector ({why}); let other voices say them")
    return kept


def near_warnings(members: Sequence[Member], learnt: Learnt) -> list[str]:
    """What a reader of the accept rate must know: a voice that was heard is another speaker in another variation."""
    heard = frozenset[str]().union(*(voices_of(speaker) for speaker in learnt.speakers))
    known = sum(bool(voices_of(member.recording.speaker_id) & heard) for member in members)
    if not known:
        return []
    return [
        f"{known} of {len(members)} near words are said by voices that were heard in training, in another variation: "
        "how often they are accepted may flatter"
    ]
