"""Is every recording fit for use? Each file is decoded once, and what later stages need of it is kept.

A recording that cannot be used is quarantined with a reason; one that merely looks odd is kept and listed as
a finding. Probes of unchanged files come from a cache, so that an interrupted check goes on where it stopped.
It knows nothing of splits; near-duplicate audio is found in `duplicates`, from the fingerprints kept here.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uyan.data.probe import Probe, ProbeCache, probe_file, truncation
from uyan.data.recording import Recording, unknown_speakers
from uyan.engine.given_up import NAME as GIVEN_UP
from uyan.engine.given_up import GivenUp
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.engine.task_map import Lost
from uyan.errors import DataError
from uyan.files import replacing
from uyan.storage.access import is_file, stamps
from uyan.storage.location import Location

MAX_BAD_SHARE = 0.05
"""More quarantined recordings than this share, and something is wrong with the data set as a whole."""
TRUNCATED_SHARE = 0.5
"""Less than this share of the manifest's duration, and the recording is no more what its label says."""
MISSING = "no such file"
SEEN_ALIKE = "every node of a cluster has to see the recordings under the same path"
DURATION_TOLERANCE_S = 0.1
DURATION_TOLERANCE_SHARE = 0.05
MAX_CLIPPED_SHARE = 0.001
MAX_SILENT_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A recording that cannot be used."""

    recording: Recording
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A recording that is used, and what is odd about it."""

    recording: Recording
    kind: Literal["duration", "clipped", "silent", "duplicate"]
    detail: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What can be used and what cannot, each in the order of the data set."""

    good: list[tuple[Recording, Probe]]
    quarantined: list[Quarantine]

    def enforce(self, max_bad_share: float = MAX_BAD_SHARE, quarantine_csv: Path | None = None) -> None:
        """Raise DataError when more than `max_bad_share` of the recordings cannot be used, or none can."""
        bad, total = len(self.quarantined), len(self.quarantined) + len(self.good)
        if self.good and bad <= max_bad_share * total:
            return
        first = "".join(f"\n  {q.recording.path}: {q.reason}" for q in self.quarantined[:5])
        listed = f"; all of them: {quarantine_csv}" if quarantine_csv else ""
        raise DataError(
            f"{bad} of {total} recordings cannot be used; {max_bad_share:.0%} are allowed{listed}{first}\n"
            "mend or remove them, or raise data.max_bad_share"
        )

    def findings(self) -> Iterator[Finding]:
        """Everything odd among the recordings that are used."""
        first: dict[str, Recording] = {}
        for recording, probe in self.good:
            original = first.setdefault(probe.content_sha1, recording)
            if original is not recording:
                yield Finding(recording, "duplicate", f"the same audio as {original.file}")
            if not _durations_agree(probe.duration_s, recording.duration_s):
                detail = f"{probe.duration_s:.3f} s, the manifest says {recording.duration_s:.3f} s"
                yield Finding(recording, "duration", detail)
            if probe.clipped_share > MAX_CLIPPED_SHARE:
                yield Finding(recording, "clipped", f"{probe.clipped_share:.1%} of the samples")
            if probe.silent_share > MAX_SILENT_SHARE:
                yield Finding(recording, "silent", f"{probe.silent_share:.0%} of the time below -60 dBFS")


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """Counts for the recordings of one kind and label."""

    kind: str
    label: str
    clips: int
    """Recordings that are used."""
    hours: float
    speakers: int
    """Known ones."""
    unknown_speakers: int
    """Spoken recordings without a speaker."""
    exact_duplicates: int
    """Recordings whose audio an earlier one has already, of whatever label."""
    clipped: int
    silent: int
    wrong_durations: int
    quarantined: int


def check(
    recordings: Sequence[Recording],
    *,
    workers: int | None = None,
    progress: Progress = silent,
    cache_file: Path | None = None,
) -> CheckReport:
    """Decode every recording that `cache_file` (Parquet) does not know yet, several at a time.

    Beside it lies what was given up (`GivenUp`) and is not tried again. Raises StorageError where a server fails; what
    was decoded before is remembered; DataError where a worker does not see what is seen here.
    """
    cache, given_up = ProbeCache(cache_file), GivenUp(cache_file.with_name(GIVEN_UP) if cache_file else None)
    files = [str(recording.file) for recording in recordings]
    stamped = stamps([recording.file for recording in recordings])
    refused = given_up.among(recording.file for recording in recordings)
    outcomes: list[Probe | str | None] = [
        _undecodable(refused[file]) if file in refused else cache.get(file, stamp)
        for file, stamp in zip(files, stamped, strict=True)
    ]
    todo = [number for number, outcome in enumerate(outcomes) if outcome is None]

    def lost(file: Location, why: Lost) -> Probe | str:
        given_up.add(file, why)
        return _undecodable(why.reason)

    sources, mark = [recordings[n].file for n in todo], given_up.mark("check")
    results = run_tasks("check", probe_file, sources, workers, progress, lost, mark=mark)
    try:
        for number, result in zip(todo, results, strict=True):
            if result == MISSING and is_file(recordings[number].file):
                raise DataError(f"{files[number]}: there, but not for the process that decodes it; {SEEN_ALIKE}")
            outcomes[number] = result
            if isinstance(result, Probe):
                cache.add(files[number], stamped[number], result)
    finally:
        results.close()
        cache.save()
    return _judge(recordings, [outcome for outcome in outcomes if outcome is not None])


def _undecodable(reason: str) -> str:
    return f"cannot be decoded: {reason}"


def _judge(recordings: Sequence[Recording], outcomes: Sequence[Probe | str]) -> CheckReport:
    report = CheckReport([], [])
    for recording, outcome in zip(recordings, outcomes, strict=True):
        if isinstance(outcome, str):
            report.quarantined.append(Quarantine(recording, outcome))
        elif reason := truncation(
            outcome.duration_s, recording.duration_s, (1 - TRUNCATED_SHARE) * recording.duration_s, "the manifest"
        ):
            report.quarantined.append(Quarantine(recording, reason))
        else:
            report.good.append((recording, outcome))
    return report


def _durations_agree(found_s: float, announced_s: float) -> bool:
    """
    >>> _durations_agree(10.09, 10.0), _durations_agree(10.2, 10.0), _durations_agree(1.06, 1.0)
    (True, False, False)
    """
    tolerance_s = min(DURATION_TOLERANCE_S, DURATION_TOLERANCE_SHARE * announced_s)
    return abs(found_s - announced_s) <= tolerance_s


def summary_rows(report: CheckReport) -> list[SummaryRow]:
    """One row per kind and label, sorted."""
    used: defaultdict[tuple[str, str], list[Recording]] = defaultdict(list)
    hours: defaultdict[tuple[str, str], float] = defaultdict(float)
    for recording, probe in report.good:
        used[recording.kind, recording.label].append(recording)
        hours[recording.kind, recording.label] += probe.duration_s / 3600
    refused = Counter[tuple[str, str]]((q.recording.kind, q.recording.label) for q in report.quarantined)
    found = Counter[tuple[str, str, str]](
        (finding.recording.kind, finding.recording.label, finding.kind) for finding in report.findings()
    )
    return [
        SummaryRow(
            kind=kind,
            label=label,
            clips=len(used[kind, label]),
            hours=hours[kind, label],
            speakers=len({r.speaker_id for r in used[kind, label] if r.speaker_known}),
            unknown_speakers=unknown_speakers(used[kind, label]),
            exact_duplicates=found[kind, label, "duplicate"],
            clipped=found[kind, label, "clipped"],
            silent=found[kind, label, "silent"],
            wrong_durations=found[kind, label, "duration"],
            quarantined=refused[kind, label],
        )
        for kind, label in sorted({*used, *refused})
    ]


def write_quarantine(report: CheckReport, path: Path) -> None:
    """`path,label,speaker_id,reason` of every recording that cannot be used, as CSV; replaces the file."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker_id", "reason"])
        for entry in report.quarantined:
            speaker_id = entry.recording.speaker_id if entry.recording.speaker_known else ""
            rows.writerow([entry.recording.file, entry.recording.label, speaker_id, entry.reason])
