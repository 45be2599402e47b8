"""Where a detector is wrong on negative audio: each alarm with its recording and moment, by source and by word.

An alarm on joined short recordings belongs to the one in which it fires. Rates carry their hours and an exact interval;
the bootstrap draws whole speakers, as one voice's alarms are not independent. It knows nothing of thresholds' choice.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uyan.data.split import Member
from uyan.decision import DetectorConfig, ballot_scores, fire_indices
from uyan.evaluation.intervals import Interval, poisson_rate, rate_bootstrap
from uyan.evaluation.scores import Part, ScoreTrack

LOUDEST = 20
OTHER_WORDS = "other words"


@dataclass(frozen=True)
class FalseAlarm:
    """One alarm, or what came nearest to one."""

    path: str
    """Of the recording: folder of the data set and path within it."""
    source: str
    label: str
    speaker_id: str
    time_s: float
    """Into the recording, when the detector fired (or came nearest to it), to one hop."""
    score: float
    """The threshold up to which this vote passes."""
    fired: bool
    """False: below the threshold, and only among the loudest."""


@dataclass(frozen=True)
class SourceRate:
    """Alarms on one kind of negative audio."""

    events: int
    recordings: int
    hours: float
    fah: float
    fah_interval: Interval
    """95 %, Poisson."""


Place = tuple[ScoreTrack, Part, Member]


def source_of(member: Member) -> str:
    """What kind of audio a negative is: its label (speech, music, television …), or that it is another word."""
    return OTHER_WORDS if member.recording.kind == "keyword" else member.recording.label


def loudest_alarms(
    tracks: Sequence[ScoreTrack],
    members: Mapping[str, Member],
    threshold: float,
    config: DetectorConfig,
    most: int = LOUDEST,
) -> list[FalseAlarm]:
    """The highest votes on negative audio, loudest first, one a lockout; all alarms are among them if they are so few.

    `members` by recording id.
    """
    found = []
    for track in tracks:
        fires = fire_indices(track.scores, threshold, config)
        ballots = ballot_scores(track.scores, config)
        for hop in _peaks(ballots, config.lockout_hops, most):
            near = bool((np.abs(fires - hop) <= config.lockout_hops).any())
            fired = near and bool(ballots[hop] >= threshold)
            part = next((p for p in track.parts if p.start <= hop < p.stop), None)
            if part is not None:
                found.append(_alarm(part, members[part.recording], int(hop), float(ballots[hop]), fired, config))
    return sorted(found, key=lambda alarm: (-alarm.score, alarm.path, alarm.time_s))[:most]


def _peaks(ballots: np.ndarray, apart: int, most: int) -> list[int]:
    """Hops of the highest votes, at least so many hops apart, highest first."""
    kept: list[int] = []
    order = np.argsort(-ballots, kind="stable")
    for hop in order[: most * (2 * apart + 1)].tolist():
        if ballots[hop] > 0 and all(abs(hop - other) >= apart for other in kept):
            kept.append(hop)
        if len(kept) == most:
            break
    return kept


def _alarm(part: Part, member: Member, hop: int, score: float, fired: bool, config: DetectorConfig) -> FalseAlarm:
    recording = member.recording
    return FalseAlarm(
        path=f"{recording.root.name}/{recording.path}",
        source=source_of(member),
        label=recording.label,
        speaker_id=recording.speaker_id,
        time_s=round((hop - part.start) * config.hop_s, 3),
        score=score,
        fired=fired,
    )


def rates_by(
    tracks: Sequence[ScoreTrack],
    members: Mapping[str, Member],
    threshold: float,
    config: DetectorConfig,
    name_of: Callable[[Member], str],
) -> dict[str, SourceRate]:
    """Alarms, recordings and hours of each name that `name_of` gives a negative, most alarms per hour first."""
    counts: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for part, events in _events_by_part(tracks, threshold, config):
        row = counts[name_of(members[part.recording])]
        row[0], row[1], row[2] = row[0] + events, row[1] + 1, row[2] + part.material_s / 3600
    rates = {
        name: SourceRate(int(events), int(recordings), hours, events / hours, poisson_rate(int(events), hours))
        for name, (events, recordings, hours) in counts.items()
        if hours > 0
    }
    return dict(sorted(rates.items(), key=lambda item: (-item[1].fah, item[0])))


def speaker_interval(
    tracks: Sequence[ScoreTrack],
    members: Mapping[str, Member],
    threshold: float,
    config: DetectorConfig,
    rng: np.random.Generator,
) -> Interval:
    """95 % interval of the FAH by drawing whole speakers (of noise: whole recordings) with replacement."""
    counts: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for part, events in _events_by_part(tracks, threshold, config):
        speaker_id = members[part.recording].recording.speaker_id
        before = counts[speaker_id]
        counts[speaker_id] = before[0] + events, before[1] + part.material_s / 3600
    return rate_bootstrap(counts, rng)


def _events_by_part(tracks: Sequence[ScoreTrack], threshold: float, config: DetectorConfig) -> list[tuple[Part, int]]:
    """How often the detector fires in each recording. An alarm in the quiet before one belongs to the first."""
    found = []
    for track in tracks:
        fires = fire_indices(track.scores, threshold, config)
        edges = [part.start for part in track.parts[1:]]
        owners = np.searchsorted(edges, fires, side="right")
        events = np.bincount(owners, minlength=len(track.parts)).tolist()
        found += list(zip(track.parts, events, strict=True))
    return found
