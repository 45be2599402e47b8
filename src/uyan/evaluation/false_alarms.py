"""Where a detector is wrong on negative audio: each alarm with its recording and moment, by source and by word.

An alarm on joined short recordings belongs to the one in which it fires. Rates carry their hours and an exact interval;
the bootstrap draws whole speakers, as one voice's alarms are not independent. It knows nothing of thresholds' choice.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from uyan.data.member import Member
from uyan.decision import DetectorConfig, Scores, ballot_scores, fire_indices
from uyan.evaluation.intervals import Interval, poisson_rate, rate_bootstrap
from uyan.evaluation.names import data_set_names, recording_name
from uyan.evaluation.scores import Part, ScoreTrack

LOUDEST = 20
OTHER_WORDS = "other words"


@dataclass(frozen=True)
class FalseAlarm:
    """One alarm, or what came nearest to one."""

    path: str
    """Of the recording: name of the data set and path within it."""
    source: str
    label: str
    speaker_id: str
    time_s: float
    """Into the recording, when the detector fired (or came nearest to it), to one hop; negative in the quiet before."""
    score: float
    """The highest vote, of an alarm within its lockout: the threshold up to which it would still be there."""
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


class _Moment(NamedTuple):
    """When the detector fired, or came nearest to it."""

    hop: int
    score: float
    fired: bool


def source_of(member: Member) -> str:
    """What kind of audio a negative is: its label (speech, music, television …), or that it is another word."""
    return OTHER_WORDS if member.recording.kind == "keyword" else member.recording.label


def loudest_alarms(
    tracks: Sequence[ScoreTrack],
    members: Sequence[Member],
    threshold: float,
    config: DetectorConfig,
    most: int = LOUDEST,
) -> list[FalseAlarm]:
    """What the detector fires at on negative audio, loudest first, and then what came nearest to it, up to `most`.

    `members` are the recordings in the tracks.
    """
    by_take, data_sets = _by_take(members), data_set_names(members)
    found = []
    for track in tracks:
        ballots = ballot_scores(track.scores, config)
        alarms = _alarms(track.scores, ballots, threshold, config)
        for moment in (*alarms, *_near_misses(ballots, threshold, config.lockout_hops, most)):
            part = track.parts[_owner(track, moment.hop)]
            member = by_take[part.take]
            found.append(_false_alarm(moment, part, member, recording_name(member, data_sets), config))
    return sorted(found, key=lambda alarm: (-alarm.score, alarm.path, alarm.time_s))[:most]


def _alarms(scores: Scores, ballots: Scores, threshold: float, config: DetectorConfig) -> list[_Moment]:
    """Where the detector fires, with the highest vote within the lockout from there."""
    fires = fire_indices(scores, threshold, config, ballots).tolist()
    return [_Moment(hop, float(ballots[hop : hop + config.lockout_hops].max()), True) for hop in fires]


def _near_misses(ballots: Scores, threshold: float, apart: int, most: int) -> list[_Moment]:
    """The highest votes below the threshold, at least so many hops from each other and from every vote that passes."""
    around = maximum_filter1d(ballots, 2 * apart - 1, mode="constant", cval=-np.inf)
    kept: list[int] = []
    for hop in np.flatnonzero((ballots == around) & (ballots > 0) & (ballots < threshold)).tolist():
        if not kept or hop - kept[-1] >= apart:  # of equals the first
            kept.append(hop)
    highest = sorted(kept, key=lambda hop: -ballots[hop])[:most]
    return [_Moment(hop, float(ballots[hop]), False) for hop in highest]


def _false_alarm(moment: _Moment, part: Part, member: Member, path: str, config: DetectorConfig) -> FalseAlarm:
    return FalseAlarm(
        path=path,
        source=source_of(member),
        label=member.recording.label,
        speaker_id=member.recording.speaker_id,
        time_s=round((moment.hop - part.start) * config.hop_s, 3),
        score=moment.score,
        fired=moment.fired,
    )


def rates_by(
    tracks: Sequence[ScoreTrack],
    members: Sequence[Member],
    threshold: float,
    config: DetectorConfig,
    name_of: Callable[[Member], str],
) -> dict[str, SourceRate]:
    """Alarms, recordings and hours of each name that `name_of` gives a negative, most alarms per hour first."""
    by_take = _by_take(members)
    counts: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for part, events in _events_by_part(tracks, threshold, config):
        row = counts[name_of(by_take[part.take])]
        row[0], row[1], row[2] = row[0] + events, row[1] + 1, row[2] + part.material_s / 3600
    rates = {
        name: SourceRate(int(events), int(recordings), hours, events / hours, poisson_rate(int(events), hours))
        for name, (events, recordings, hours) in counts.items()
        if hours > 0
    }
    return dict(sorted(rates.items(), key=lambda item: (-item[1].fah, item[0])))


def speaker_interval(
    tracks: Sequence[ScoreTrack],
    members: Sequence[Member],
    threshold: float,
    config: DetectorConfig,
    rng: np.random.Generator,
) -> Interval:
    """95 % interval of the FAH by drawing whole speakers (of noise: whole recordings) with replacement."""
    by_take = _by_take(members)
    counts: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for part, events in _events_by_part(tracks, threshold, config):
        speaker_id = by_take[part.take].recording.speaker_id
        before = counts[speaker_id]
        counts[speaker_id] = before[0] + events, before[1] + part.material_s / 3600
    return rate_bootstrap(counts, rng)


def _by_take(members: Iterable[Member]) -> dict[str, Member]:
    """By content hash: recordings of two data sets that are laid out alike may share an id."""
    return {member.content_sha1: member for member in members}


def _events_by_part(tracks: Sequence[ScoreTrack], threshold: float, config: DetectorConfig) -> list[tuple[Part, int]]:
    """How often the detector fires in each recording."""
    found = []
    for track in tracks:
        fires = fire_indices(track.scores, threshold, config).tolist()
        events = Counter(_owner(track, hop) for hop in fires)
        found += [(part, events[number]) for number, part in enumerate(track.parts)]
    return found


def _owner(track: ScoreTrack, hop: int) -> int:
    """Number of the recording that a hop belongs to. The quiet before the first one is the first one's."""
    return bisect_right(track.parts, hop, lo=1, key=lambda part: part.start) - 1
