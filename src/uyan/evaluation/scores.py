"""Score tracks: the shipping detector's scores over streams, and the events counted from them at any threshold.

The same `HopScorer` and `fire_indices` that make up `Detector`, so that a threshold chosen here fires in the living
room exactly as it was counted. It knows nothing of splits or of how streams are made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uyan.bundle import Bundle
from uyan.data.parallel import Progress, silent
from uyan.decision import DetectorConfig, Scores, ballot_scores, fire_indices
from uyan.detector import HopScorer
from uyan.errors import EvaluationError
from uyan.evaluation.calibration import threshold_grid
from uyan.evaluation.metrics import EventCurve
from uyan.evaluation.streams import Stream

STRETCH_S = 2.0
"""Clip-level figures take the highest score of each stretch of negative audio this long."""


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


def track(bundle: Bundle, stream: Stream) -> ScoreTrack:
    """Scores of a stream. Raises EvaluationError for a NaN score."""
    scorer = HopScorer(bundle)
    scores = scorer.push(stream.samples)
    if not np.isfinite(scores).all():
        raise EvaluationError(f"{stream.name}: the network gave a score that is not a number; train again")
    times_s = [scorer.time_s(hop) for hop in range(len(scores))]
    first, last = np.searchsorted(times_s, stream.heard_s)
    speaker_id = stream.members[0].recording.speaker_id
    return ScoreTrack(stream.name, speaker_id, stream.material_s, slice(int(first), int(last)), scores)


def score_streams(
    stage: str, bundle: Bundle, streams: Iterable[Stream], recordings: int, progress: Progress = silent
) -> list[ScoreTrack]:
    """One track a stream; streams are made as they are scored, so that only one is in memory."""
    found: list[ScoreTrack] = []
    done = 0
    for stream in streams:
        found.append(track(bundle, stream))
        done += len(stream.members)
        progress(stage, done, recordings)
    return found


def loudest(positives: Sequence[ScoreTrack], config: DetectorConfig) -> Scores:
    """The highest threshold at which each positive is still detected, shape (positives,).

    Only votes cast while the recording is heard count: an alarm on the noise before it is no hit.
    """
    return np.array([max(0.0, ballot_scores(t.scores, config)[t.heard].max(initial=0.0)) for t in positives])


def false_alarm_hops(negatives: Sequence[ScoreTrack], threshold: float, config: DetectorConfig) -> list[list[int]]:
    """For each negative track, the hops at which the detector fires."""
    return [fire_indices(t.scores, threshold, config).tolist() for t in negatives]


def event_curve(positives: Sequence[ScoreTrack], negatives: Sequence[ScoreTrack], config: DetectorConfig) -> EventCurve:
    """Detected positives and false alarms at every threshold that matters."""
    highest = loudest(positives, config)
    scores, ballots = _one_track(negatives, config)
    thresholds = threshold_grid(np.concatenate([highest, _peaks(ballots)]))
    alarms = [fire_indices(scores, threshold, config, ballots).size for threshold in thresholds.tolist()]
    detected = len(highest) - np.searchsorted(np.sort(highest), thresholds, side="left")
    hours = sum(t.material_s for t in negatives) / 3600
    return EventCurve(thresholds, detected.astype(np.int64), np.array(alarms, np.int64), len(highest), hours)


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
