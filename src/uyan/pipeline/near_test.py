"""Recordings of what almost is the keyword, as a test set of their own: loaded, decoded, and unheard in training."""

from collections.abc import Sequence
from pathlib import Path

from uyan.data.check import check
from uyan.data.manifest import load_manifests
from uyan.data.parallel import Progress, silent
from uyan.data.split import Member, is_positive
from uyan.errors import EvaluationError
from uyan.pipeline.held_out import unheard
from uyan.training.trunk import Learnt


def near_members(
    manifests: Sequence[Path],
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
    report = check(load_manifests(manifests), workers=workers, progress=progress, cache_file=probes)
    members, reasons = unheard(report, learnt, progress)
    names = ", ".join(str(manifest) for manifest in manifests)
    if same := [m.recording.path for m in members if is_positive(m.recording, keyword)]:
        raise EvaluationError(f"{names}: {same[0]} is the keyword {keyword!r} itself; a test of near words has none")
    kept = [member for member, reason in zip(members, reasons, strict=True) if not reason]
    if not kept:
        why = "; ".join(sorted(set(filter(None, reasons)))) or "there are none that can be used"
        raise EvaluationError(f"{names}: no near word may judge this detector ({why}); let other voices say them")
    return kept
