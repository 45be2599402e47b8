"""Which recordings may judge a finished bundle: voices and takes that neither taught it nor chose its threshold.

What the bundle's run trained or validated on, mined, or started from (`heard`) is left out, and said; so is a
near-duplicate of such a recording, where both are in the manifests. Of one that is not there only the content hash is
known: another gain, trim or encoding of it, its speaker unknown, is taken for new. It knows nothing of scores.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uyan.audio_file import read_part
from uyan.bundle import Bundle
from uyan.data.check import CheckReport, check
from uyan.data.duplicates.duplicate_groups import find_links, groups
from uyan.data.manifest import load_manifests
from uyan.data.member import Member, is_positive
from uyan.data.recording import Recording, unknown_speakers
from uyan.data.split import judges
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.pipeline.heard import heard_in
from uyan.pipeline.run_folder import RunFolder
from uyan.storage.location import Location
from uyan.training.trunk import Learnt

LEARNT_FROM = ("train", "validation")


@dataclass(frozen=True)
class HeldOut:
    """What judges."""

    positives: list[Member]
    negatives: list[Member]
    """Other words, other speech and noise."""
    noise: list[Member]
    """To mix in; among the negatives as well."""
    left_out: dict[str, int]
    """Why → how many recordings."""
    warnings: tuple[str, ...]
    """What a reader of any figure must know."""
    learnt: Learnt
    """What the detector has heard."""

    @property
    def members(self) -> list[Member]:
        """All of them, each once."""
        return self.positives + self.negatives


def held_out(
    bundle: Bundle,
    manifests: Sequence[Location],
    progress: Progress = silent,
    workers: int | None = None,
    probes: Path | None = None,
) -> HeldOut:
    """Decode the manifests' recordings and keep those that may judge the bundle; `probes` remembers what was decoded.

    Raises EvaluationError when no positive or no negative is left, DataError for manifests that cannot be read.
    """
    report = check(load_manifests(manifests), workers=workers, progress=progress, cache_file=probes)
    warnings = [f"{len(report.quarantined)} recording(s) cannot be used"] if report.quarantined else []
    heard = heard_in(RunFolder(bundle, bundle.path.parent), LEARNT_FROM)
    warnings += [
        f"{gap}: whether the detector has heard these speakers before cannot be checked, and the figures may flatter"
        for gap in heard.gaps
    ]
    members, reasons = unheard(report, heard.learnt, progress, workers)
    kept = [member for member, reason in zip(members, reasons, strict=True) if not reason]
    if unknown := unknown_speakers([m.recording for m in kept]):
        warnings.append(f"{unknown} recording(s) have no speaker_id: whether the detector knows the voice is unknown")
    positives = [m for m in kept if is_positive(m.recording, bundle.info.label)]
    negatives = [m for m in kept if not is_positive(m.recording, bundle.info.label)]
    left_out = dict(Counter(reason for reason in reasons if reason))
    _require(bundle.info.label, members, positives, negatives, left_out)
    noise = [m for m in negatives if m.recording.kind == "noise"]
    return HeldOut(positives, negatives, noise, left_out, tuple(warnings), heard.learnt)


def unheard(
    report: CheckReport, learnt: Learnt, progress: Progress = silent, workers: int | None = None
) -> tuple[list[Member], list[str]]:
    """The usable recordings, room responses aside, and why each of them may not judge; empty where it may."""
    members = [m for m in _members(report, learnt, progress, workers) if m.recording.kind != "rir"]
    return members, _reasons(members, learnt)


def _members(report: CheckReport, learnt: Learnt, progress: Progress, workers: int | None) -> list[Member]:
    """The usable recordings and which of them are one take; not asked of two that are left out anyway."""
    recordings = [recording for recording, _ in report.good]
    found = [probe for _, probe in report.good]

    settled = {
        number
        for number, (recording, probe) in enumerate(report.good)
        if _knows(learnt, recording) or probe.content_sha1 in learnt.sha1s
    }
    prints, files = [probe.fingerprint for probe in found], [recording.file for recording in recordings]
    links = find_links(prints, files, read_part, settled=settled, workers=workers, progress=progress)
    return judges(recordings, found, groups(links, len(prints)))


def _knows(learnt: Learnt, recording: Recording) -> bool:
    """Whether the detector has heard its speaker."""
    return recording.speaker_known and recording.speaker_id in learnt.speakers


def _reasons(members: Sequence[Member], learnt: Learnt) -> list[str]:
    """Why each recording may not judge; empty where it may."""
    learnt_groups = {m.group for m in members if _knows(learnt, m.recording) or m.content_sha1 in learnt.sha1s}

    def reason(member: Member) -> str:
        if _knows(learnt, member.recording):
            return "its speaker was heard in training or validation"
        if member.group in learnt_groups:
            return "it, or a near-duplicate, was heard in training or validation"
        return "" if member.active else "it is another take of a recording that counts already"

    return [reason(member) for member in members]


def _require(
    label: str,
    members: Sequence[Member],
    positives: Sequence[Member],
    negatives: Sequence[Member],
    left_out: dict[str, int],
) -> None:
    if positives and negatives:
        return
    missing = f"recordings of {label!r}" if not positives else "negatives"
    words = sorted({m.recording.label for m in members if m.recording.kind == "keyword"})
    why = "; ".join(f"{count} left out because {reason}" for reason, count in left_out.items())
    raise EvaluationError(
        f"--data holds no {missing} that may judge this bundle ({why or 'nothing was left out'}); its keyword is "
        f"{label!r}, the words in the data are {', '.join(words) or 'none'}"
    )
