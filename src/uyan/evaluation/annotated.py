"""A detector on long recordings with the keyword written down: which words it hears, how late, and what else fires it.

The whole recording goes block by block through the shipping scorer, and its scores through the shipping rule. A
detection from a word's start until `TAIL_S` after its end belongs to the word, every other one is a false alarm; the
hours are what lies outside of these spans. It knows nothing of tables, nor of how figures are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import stream
from uyan.bundle import Bundle
from uyan.data.probe import HEADER_TOLERANCE_S, HEADER_TOLERANCE_SHARE, truncation
from uyan.decision import fire_indices
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.evaluation.annotations import AnnotatedRecording, Annotation
from uyan.evaluation.claims import fah_claim, share_claim
from uyan.evaluation.detection_latency import DetectionLatency, detection_latency
from uyan.evaluation.intervals import Interval, clopper_pearson, poisson_rate
from uyan.evaluation.streams import TAIL_S, hiss
from uyan.hop_scorer import HopScorer

LISTED = 50
"""Missed words and false alarms that are named; of the others there is the count."""
NO_WORDS = "no word is written down: the miss rate was not measured"
STAGE = "annotated recordings"
HISS_SEED = 42


@dataclass(frozen=True)
class Outcome:
    """One recording, judged."""

    hits_s: tuple[float | None, ...]
    """When the detector fired at each word; None for a miss."""
    false_alarms_s: tuple[float, ...]
    """Ascending."""


@dataclass(frozen=True)
class Event:
    """A missed word, or a false alarm."""

    path: str
    """Of the recording: folder of its table and path within it."""
    time_s: float
    """Into the recording: the word's start, or when the detector fired."""
    label: str
    """The keyword, for a miss; the other word that was being said, for an alarm; empty where none is written down."""


@dataclass(frozen=True)
class Listed:
    """The first `LISTED` events, by recording and time."""

    events: tuple[Event, ...]
    left_out: int


@dataclass(frozen=True)
class Annotated:
    """All recordings together, at the bundle's threshold."""

    recordings: int
    words: int
    misses: int
    miss_rate: float | None
    """None where no word is written down."""
    miss_interval: Interval | None
    """95 %, Clopper–Pearson, over words."""
    false_alarms: int
    hours: float
    """Outside of the words."""
    fah: float
    fah_interval: Interval
    """95 %, Poisson."""
    claims: dict[str, str]
    latency: DetectionLatency | None
    """From the end that is written down."""
    missed: Listed
    alarms: Listed


def judge(words: Sequence[Annotation], fires_s: Sequence[float]) -> Outcome:
    """Words and detections of one recording, both ascending: what was hit, and what was a false alarm.

    A detection goes to the first word around it that has none yet; where all have one, it is the same word again.

    >>> judge([Annotation(5.0, 5.6, "uyan")], [2.0, 5.8, 6.5, 6.7])
    Outcome(hits_s=(5.8,), false_alarms_s=(2.0, 6.7))
    """
    hits_s: list[float | None] = [None] * len(words)
    alarms_s = []
    for fired_s in fires_s:
        around = [n for n, word in enumerate(words) if _belongs(fired_s, word)]
        waiting = [n for n in around if hits_s[n] is None]
        if waiting:
            hits_s[waiting[0]] = fired_s
        elif not around:
            alarms_s.append(fired_s)
    return Outcome(tuple(hits_s), tuple(alarms_s))


def _belongs(fired_s: float, word: Annotation) -> bool:
    return word.start_s <= fired_s <= word.end_s + TAIL_S


def outside_s(words: Sequence[Annotation], duration_s: float) -> float:
    """Seconds of a recording in which any detection is false; words ascending.

    >>> outside_s([Annotation(1.0, 2.0, ""), Annotation(2.5, 3.0, ""), Annotation(9.5, 10.0, "")], 10.0)
    6.5
    """
    inside_s, reached_s = 0.0, 0.0
    for word in words:
        start_s, end_s = max(word.start_s, reached_s), min(word.end_s + TAIL_S, duration_s)
        inside_s += max(0.0, end_s - start_s)
        reached_s = max(reached_s, end_s)
    return duration_s - inside_s


def fires_s(bundle: Bundle, recording: AnnotatedRecording) -> list[float]:
    """When the detector fires in a recording of any length, in seconds from its start; one block is in memory.

    Quiet of `TAIL_S` follows, so that the votes for a word at the very end can be cast. Raises AudioError for what
    cannot be decoded, EvaluationError for a file that is cut off and for a score that is not a number.
    """
    scorer = HopScorer(bundle)
    scores, samples = [], 0
    for block in stream(recording.file):
        scores.append(scorer.push(block))
        samples += block.size
    heard_s, announced_s = samples / SAMPLE_RATE, recording.duration_s
    allowed_s = max(HEADER_TOLERANCE_S, HEADER_TOLERANCE_SHARE * announced_s)
    if cut_off := truncation(heard_s, announced_s, allowed_s, "the header"):
        raise EvaluationError(f"{recording.file}: {cut_off}; export the recording again")
    scores.append(scorer.push(hiss(TAIL_S, np.random.default_rng(HISS_SEED))))
    track = np.concatenate(scores)
    if not np.isfinite(track).all():
        raise EvaluationError(f"{recording.path}: the network gave a score that is not a number; train again")
    info = bundle.info
    return [scorer.time_s(hop) for hop in fire_indices(track, info.threshold, info.detector).tolist()]


def judge_recordings(
    bundle: Bundle, recordings: Sequence[AnnotatedRecording], progress: Progress = silent
) -> Annotated:
    """The bundle, at its own threshold, on recordings of its keyword. Raises as `fires_s` and `summary` do."""
    outcomes = []
    for done, recording in enumerate(recordings, 1):
        outcomes.append(judge(recording.words, fires_s(bundle, recording)))
        progress(STAGE, done, len(recordings))
    return summary(recordings, outcomes)


def quiet_hours(recordings: Sequence[AnnotatedRecording]) -> float:
    """Hours outside of all words. Raises EvaluationError where there are none."""
    hours = sum(outside_s(r.words, r.duration_s) for r in recordings) / 3600
    if not hours > 0:
        raise EvaluationError(
            "the annotated recordings hold nothing but the keyword, so that no detection could be false; add "
            "recordings of what is heard otherwise"
        )
    return hours


def summary(recordings: Sequence[AnnotatedRecording], outcomes: Sequence[Outcome]) -> Annotated:
    """Figures of all outcomes, one a recording. Raises EvaluationError where nothing lies outside of the words."""
    hours, words = quiet_hours(recordings), sum(len(r.words) for r in recordings)
    pairs = list(zip(recordings, outcomes, strict=True))
    said = [(r.path, word, hit_s) for r, o in pairs for word, hit_s in zip(r.words, o.hits_s, strict=True)]
    missed = [Event(path, word.start_s, word.label) for path, word, hit_s in said if hit_s is None]
    alarms = [Event(r.path, round(at_s, 3), _said_at(r.others, at_s)) for r, o in pairs for at_s in o.false_alarms_s]
    interval = clopper_pearson(len(missed), words) if words else None
    misses = share_claim(len(missed), words, interval) if interval else NO_WORDS
    return Annotated(
        recordings=len(recordings),
        words=words,
        misses=len(missed),
        miss_rate=len(missed) / words if words else None,
        miss_interval=interval,
        false_alarms=len(alarms),
        hours=hours,
        fah=len(alarms) / hours,
        fah_interval=poisson_rate(len(alarms), hours),
        claims={"misses": misses, "false alarms": fah_claim(len(alarms), hours)},
        latency=detection_latency(hit_s - word.end_s for _, word, hit_s in said if hit_s is not None),
        missed=_listed(missed),
        alarms=_listed(alarms),
    )


def _said_at(others: Sequence[Annotation], fired_s: float) -> str:
    """The other word that a detection belongs to; empty where there is none."""
    return next((word.label for word in others if _belongs(fired_s, word)), "")


def _listed(events: Sequence[Event]) -> Listed:
    return Listed(tuple(events[:LISTED]), max(0, len(events) - LISTED))
