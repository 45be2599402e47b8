"""Score tracks: the shipping detector's scores over streams, and the events counted from them at any threshold.

The same `HopScorer` and `fire_indices` that make up `Detector`, so that a threshold chosen here fires in the living
room exactly as it was counted. It knows nothing of splits or of how streams are made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.bundle import Bundle
from uyan.decision import DetectorConfig, Scores, ballot_scores, fire_indices
from uyan.engine.parallel import Progress, ahead, silent
from uyan.errors import EvaluationError
from uyan.evaluation.alarms import AlarmCounter
from uyan.evaluation.calibration import threshold_grid
from uyan.evaluation.metrics import EventCurve
from uyan.evaluation.streams import Stream
from uyan.hop_scorer import HopScorer

STRETCH_S = 2.0
"""Clip-level figures take the highest score of each stretch of negative audio this long."""


class Part(NamedTuple):
    """One recording's place in a track."""

    recording: str
    """Its id."""
    take: str
    """Content hash; equal where two recordings are one take."""
    moved: bool
    """Whether its speaker was moved into this split, because the split would have been empty."""
    start: int
    stop: int
    """Hops from the first that is complete after its start to the next recording's."""
    material_s: float


@dataclass(frozen=True)
class ScoreTrack:
    """The detector's scores over one stream."""

    stream: str
    speaker_id: str
    """Of a positive; of the first recording in a joined negative stream."""
    material_s: float
    heard: slice
    """Hops at which a detection belongs to the recordings."""
    scores: Scores
    """One a hop, shape (hops,)."""
    parts: tuple[Part, ...] = ()
    """Recordings in order; empty where nobody asks which they are."""


def track(bundle: Bundle, stream: Stream, tta: bool = False) -> ScoreTrack:
    """Scores of a stream, averaged over neighbouring positions with `tta`. Raises EvaluationError for a NaN score."""
    scorer = HopScorer(bundle, tta)
    scores = np.concatenate([scorer.push(block) for block in stream.blocks])
    if not np.isfinite(scores).all():
        raise EvaluationError(f"{stream.name}: the network gave a score that is not a number; train again")
    times_s = [scorer.time_s(hop) for hop in range(len(scores))]
    first, last = np.searchsorted(times_s, stream.heard_s).tolist()
    parts = []
    for member, span_s in zip(stream.members, stream.spans_s, strict=True):
        start, stop = np.searchsorted(times_s, span_s).tolist()
        identity = member.recording.id, member.content_sha1, bool(member.moved_from)
        parts.append(Part(*identity, start, stop, member.duration_s))
    speaker_id = stream.members[0].recording.speaker_id
    return ScoreTrack(stream.name, speaker_id, stream.material_s, slice(first, last), scores, tuple(parts))


def score_streams(
    stage: str,
    bundle: Bundle,
    streams: Iterable[Stream],
    recordings: int,
    progress: Progress = silent,
    tta: bool = False,
) -> list[ScoreTrack]:
    """One track a stream; streams are made a little ahead of their scores, so that only a few are in memory."""
    found: list[ScoreTrack] = []
    done = 0
    for scored, members in ahead(lambda stream: (track(bundle, stream, tta), len(stream.members)), streams):
        found.append(scored)
        done += members
        progress(stage, done, recordings)
    return found


def loudest(positives: Sequence[ScoreTrack], config: DetectorConfig) -> Scores:
    """The highest vote while each positive is heard, shape (positives,); 0 where there is none.

    Above it the positive is missed. Up to it, it is detected unless the detector fires on what comes before the
    recording, and then waits for lockout and hysteresis while the word is said: `missed` asks the detector.
    """
    return np.array([max(0.0, ballot_scores(t.scores, config)[t.heard].max(initial=0.0)) for t in positives])


def first_fire_hops(positives: Sequence[ScoreTrack], threshold: float, config: DetectorConfig) -> list[int | None]:
    """The first hop of each positive at which the detector fires while the recording is heard; None for a miss."""
    return [_first_fire(positive, ballot_scores(positive.scores, config), threshold, config) for positive in positives]


def missed(positives: Sequence[ScoreTrack], threshold: float, config: DetectorConfig) -> NDArray[np.bool_]:
    """Whether the detector does not fire while each positive is heard, shape (positives,)."""
    return np.array([hop is None for hop in first_fire_hops(positives, threshold, config)], np.bool_)


def _first_fire(positive: ScoreTrack, ballots: Scores, threshold: float, config: DetectorConfig) -> int | None:
    fires = fire_indices(positive.scores, threshold, config, ballots)
    start, stop, _ = positive.heard.indices(positive.scores.size)
    inside = fires[(fires >= start) & (fires < stop)]
    return int(inside[0]) if inside.size else None


def false_alarm_hops(negatives: Sequence[ScoreTrack], threshold: float, config: DetectorConfig) -> list[list[int]]:
    """For each negative track, the hops at which the detector fires."""
    return [fire_indices(t.scores, threshold, config).tolist() for t in negatives]


def event_curve(positives: Sequence[ScoreTrack], negatives: Sequence[ScoreTrack], config: DetectorConfig) -> EventCurve:
    """Detected positives and false alarms at every threshold that matters."""
    return event_curves([positives], negatives, config)[0]


def event_curves(
    conditions: Iterable[Sequence[ScoreTrack]], negatives: Sequence[ScoreTrack], config: DetectorConfig
) -> list[EventCurve]:
    """One curve for each set of positives against the same negatives, whose alarms are counted once."""
    counter, peaks, hours = _prepared(negatives, config)
    curves = []
    for positives in conditions:
        highest = loudest(positives, config)
        thresholds = threshold_grid(np.concatenate([highest, peaks]))
        detected = _detected(positives, highest, thresholds, config)
        curves.append(EventCurve(thresholds, detected, counter.counts(thresholds.tolist()), len(highest), hours))
    return curves


def strict_curve(
    positives: Sequence[ScoreTrack], negatives: Sequence[ScoreTrack], config: DetectorConfig, max_fah: float = 2.0
) -> EventCurve:
    """The part of `event_curve` that figures up to `max_fah` depend on, in a fraction of its time.

    From the strictest threshold down to the first with more than `max_fah` false alarms per hour:
    `miss_rate_at_fah` for targets up to `max_fah` and `area_over_fah` up to there are the same. Raises
    EvaluationError without negative audio.
    """
    counter, peaks, hours = _prepared(negatives, config)
    if not hours > 0:
        raise EvaluationError(f"FAH of {hours} hours; add continuous negative recordings")
    highest = loudest(positives, config)
    thresholds = threshold_grid(np.concatenate([highest, peaks]))
    alarms: list[int] = []
    for threshold in thresholds[::-1].tolist():
        alarms.append(counter.count(threshold))
        if alarms[-1] / hours > max_fah:
            break
    strict = thresholds[-len(alarms) :]
    detected = _detected(positives, highest, strict, config)
    return EventCurve(strict, detected, np.array(alarms[::-1], np.int64), len(highest), hours)


def _prepared(negatives: Sequence[ScoreTrack], config: DetectorConfig) -> tuple[AlarmCounter, Scores, float]:
    """What curves need of the negatives: who counts their alarms, the votes where that changes, their hours."""
    scores, ballots = _one_track(negatives, config)
    return AlarmCounter(scores, ballots, config), _peaks(ballots), sum(t.material_s for t in negatives) / 3600


def _detected(
    positives: Sequence[ScoreTrack], highest: Scores, thresholds: Scores, config: DetectorConfig
) -> NDArray[np.int64]:
    """How many positives the detector hears at each threshold, shape (thresholds,); `highest` are their `loudest`.

    Above the highest vote before a recording nothing has fired yet, and `loudest` decides: almost everywhere. Only
    the thresholds below that vote are tried.
    """
    detected = (len(highest) - np.searchsorted(np.sort(highest), thresholds, side="left")).astype(np.int64)
    for positive, height in zip(positives, highest.tolist(), strict=True):
        ballots = ballot_scores(positive.scores, config)
        start, _, _ = positive.heard.indices(positive.scores.size)
        before = ballots[:start].max(initial=-np.inf)
        tried = thresholds[: np.searchsorted(thresholds, min(before, height), side="right")].tolist()
        lost = [_first_fire(positive, ballots, threshold, config) is None for threshold in tried]
        detected[: len(tried)] -= np.array(lost, np.int64)
    return detected


def stretch_scores(negatives: Sequence[ScoreTrack], config: DetectorConfig) -> Scores:
    """The highest vote of each stretch of `STRETCH_S` seconds of negative audio, shape (stretches,)."""
    hops = max(1, round(STRETCH_S / config.hop_s))
    found: list[float] = []
    for negative in negatives:
        ballots = np.maximum(ballot_scores(negative.scores, config), 0.0)
        found += np.maximum.reduceat(ballots, np.arange(0, ballots.size, hops)).tolist() if ballots.size else []
    return np.array(found)


def _one_track(negatives: Sequence[ScoreTrack], config: DetectorConfig) -> tuple[Scores, Scores]:
    """All tracks as one, with so much nothing between them that each starts afresh: scores and votes (hops,)."""
    rest = np.full(config.lockout_hops + config.ballots, -np.inf)
    tracks = [t.scores for t in negatives]
    # The votes are taken track by track: those of a track's last scores must not fire after its end.
    ballots = [ballot_scores(scores, config) for scores in tracks]
    return _with_rests(tracks, rest), _with_rests(ballots, rest)


def _with_rests(tracks: Sequence[Scores], rest: Scores) -> Scores:
    return np.concatenate([rest, *(part for values in tracks for part in (values, rest))])


def _peaks(ballots: Scores) -> NDArray[np.float64]:
    """Votes that no neighbour exceeds: only there does a threshold gain or lose a trigger, shape (peaks,)."""
    padded = np.concatenate([[-np.inf], ballots, [-np.inf]])
    middle = padded[1:-1]
    peaks: NDArray[np.float64] = middle[(middle >= padded[:-2]) & (middle >= padded[2:]) & np.isfinite(middle)]
    return peaks
