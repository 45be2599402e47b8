"""Everything that is measured of a calibrated detector on recordings it has never heard, as one report.

The same for the test split of a run and for anybody's manifests (`uyan evaluate`): all of it goes through the shipping
detector on continuous audio; clip-level figures stand beside it and are called so. It writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.audio_file import read
from uyan.bundle import Bundle
from uyan.data.member import Member
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.evaluation.acceptance import accept_rates, accept_text
from uyan.evaluation.claims import at_fah_claim, at_fah_refusal, fah_claim, miss_bounds, share_claim
from uyan.evaluation.detection_latency import detection_latency, word_end_s
from uyan.evaluation.false_alarms import loudest_alarms, rates_by, source_of, speaker_interval
from uyan.evaluation.intervals import clopper_pearson, poisson_rate, speaker_bootstrap, wider
from uyan.evaluation.metrics import (
    DetCurve,
    EventCurve,
    area_over_fah,
    confusion,
    det_curve,
    equal_error_rate,
    fpr_at_tpr,
    miss_rate_at_fah,
    partial_auc,
)
from uyan.evaluation.names import data_set_names
from uyan.evaluation.pooling import misses_by_speaker
from uyan.evaluation.scores import (
    STRETCH_S,
    ScoreTrack,
    event_curves,
    false_alarm_hops,
    first_fire_hops,
    loudest,
    missed,
    score_streams,
    stretch_scores,
)
from uyan.evaluation.streams import joined_noise, negative_streams, positive_streams
from uyan.frontend import sample_end, seconds_to_frames

REPORTED_FAH = (0.1, 0.5, 1.0, 2.0)
CLEAN, TELEPHONE = "clean", "telephone"


@dataclass(frozen=True)
class Task:
    """What judges what, and how it is made harder."""

    bundle: Bundle
    positives: Sequence[Member]
    negatives: Sequence[Member]
    noise: Sequence[Member]
    snr_db: tuple[float, ...]
    """Besides clean: positives with the noise at these signal-to-noise ratios."""
    telephone: bool
    lead_s: float
    """Quiet before a positive."""
    seed: int
    """Of the bootstrap."""
    near: Sequence[Member] = ()
    """What almost is the keyword, by category; no part of the negatives."""


@dataclass(frozen=True)
class Measured:
    """Figures, and what they were read from."""

    figures: dict[str, Any]
    """As JSON: `false_alarms`, `conditions`, `clip_level`, `loudest_alarms`, `claims` …"""
    conditions: Mapping[str, Sequence[ScoreTrack]]
    """Positives, one track each, by condition."""
    negatives: Sequence[ScoreTrack]
    curves: Mapping[str, EventCurve]
    det: DetCurve


class _Condition(TypedDict, total=False):
    """What `positive_streams` is told."""

    snr_db: float
    by_telephone: bool


def measure(task: Task, progress: Progress = silent) -> Measured:
    """All figures. Raises EvaluationError without positives or negatives, or for a score that is not a number."""
    if not task.positives or not task.negatives:
        raise EvaluationError(f"the test has {len(task.positives)} positives and {len(task.negatives)} negatives")
    info = task.bundle.info
    negatives = _negatives(task, progress)
    noise = joined_noise(task.noise)
    tracks: dict[str, list[ScoreTrack]] = {}
    for name, condition in _conditions(task, noise).items():
        made = positive_streams(task.positives, noise, **condition, lead_s=task.lead_s)
        tracks[name] = score_streams(f"test positives, {name}", task.bundle, made, len(task.positives), progress)
    curves = dict(zip(tracks, event_curves(tracks.values(), negatives, info.detector), strict=True))
    det = det_curve(loudest(tracks[CLEAN], info.detector), stretch_scores(negatives, info.detector))
    conditions = {name: _miss_rates(task, tracks[name], curves[name]) for name in tracks}
    conditions[CLEAN]["latency"] = _latency(task, tracks[CLEAN])
    alarms = _false_alarms(task, negatives)
    figures = {
        "false_alarms": alarms,
        "loudest_alarms": _loudest(task, negatives),
        "conditions": conditions,
        "tta": _averaged(task, progress),
        "near_words": _near_words(task, progress),
        "conditions_note": "conditions are those of the positives; false alarms are on the negatives as they are",
        "clip_level": _clip_level(task, tracks[CLEAN], negatives, det),
        "claims": _claims(alarms, conditions[CLEAN], curves[CLEAN]),
        "not_measured": _not_measured(task, noise),
    }
    return Measured(figures, tracks, negatives, curves, det)


def _negatives(task: Task, progress: Progress, tta: bool = False) -> list[ScoreTrack]:
    streams = negative_streams(task.negatives, lead_s=task.lead_s)
    name = f"test negatives{', averaged' * tta}"
    return score_streams(name, task.bundle, streams, len(task.negatives), progress, tta)


def _averaged(task: Task, progress: Progress) -> dict[str, Any]:
    """Misses and false alarms with scores averaged over neighbouring positions, at the threshold that is for those."""
    info, name = task.bundle.info, "test positives, averaged"
    streams = positive_streams(task.positives, lead_s=task.lead_s)
    positives = score_streams(name, task.bundle, streams, len(task.positives), progress, tta=True)
    negatives = _negatives(task, progress, tta=True)
    missing = missed(positives, info.tta_threshold, info.detector)
    misses, hours = int(missing.sum()), sum(t.material_s for t in negatives) / 3600
    alarms = sum(len(hops) for hops in false_alarm_hops(negatives, info.tta_threshold, info.detector))
    by_speaker = speaker_bootstrap(misses_by_speaker(positives, missing.tolist()), np.random.default_rng(task.seed))
    exact = clopper_pearson(misses, len(positives))
    return {
        "threshold": info.tta_threshold,
        "misses": misses,
        "positives": len(positives),
        "miss_interval": asdict(exact),
        "speaker_interval": asdict(by_speaker),
        "events": alarms,
        "hours": hours,
        "fah_interval": asdict(poisson_rate(alarms, hours)),
        "claims": {
            "misses, clean": share_claim(misses, len(positives), wider(exact, by_speaker)),
            "false alarms": fah_claim(alarms, hours),
        },
    }


def _near_words(task: Task, progress: Progress) -> dict[str, Any] | None:
    """Accept rates of what almost is the keyword, at the bundle's threshold; None where there is nothing of it."""
    if not task.near:
        return None
    info, streams = task.bundle.info, positive_streams(task.near, lead_s=task.lead_s)
    tracks = score_streams("near words", task.bundle, streams, len(task.near), progress)
    rates = accept_rates(tracks, task.near, info.threshold, info.detector)
    accepted, recordings = (
        sum(getattr(rate, count) for rate in rates.values()) for count in ("accepted", "recordings")
    )
    return {
        "accepted": accepted,
        "recordings": recordings,
        "claim": accept_text(accepted, recordings),
        "by_category": {name: asdict(rate) for name, rate in rates.items()},
    }


def _conditions(task: Task, noise: Samples | None) -> dict[str, _Condition]:
    found: dict[str, _Condition] = {CLEAN: {"snr_db": float("inf")}}
    if noise is not None:
        found |= {f"{snr_db:g} dB SNR": {"snr_db": snr_db} for snr_db in task.snr_db}
    if task.telephone:
        found[TELEPHONE] = {"by_telephone": True}
    return found


def _miss_rates(task: Task, positives: Sequence[ScoreTrack], curve: EventCurve) -> dict[str, Any]:
    missing = missed(positives, task.bundle.info.threshold, task.bundle.info.detector)
    speakers = misses_by_speaker(positives, missing.tolist())
    misses = int(missing.sum())
    return {
        "misses": misses,
        "positives": len(positives),
        "speakers": len(speakers),
        "miss_rate": misses / len(positives),
        "miss_interval": asdict(clopper_pearson(misses, len(positives))),
        "speaker_interval": asdict(speaker_bootstrap(speakers, np.random.default_rng(task.seed))),
        "at_fah": {f"{fah:g}": _at_fah(curve, fah) for fah in REPORTED_FAH},
        "area_over_2_fah": area_over_fah(curve, 2.0),
        "per_speaker": speakers,
    }


def _at_fah(curve: EventCurve, fah: float) -> dict[str, Any]:
    """MR@FAH with the threshold chosen on these very streams, and whether they show such a rate, bound and all."""
    found = miss_rate_at_fah(curve, fah)
    return {**asdict(found), "supported": not at_fah_refusal(found)}


def _latency(task: Task, positives: Sequence[ScoreTrack]) -> dict[str, Any] | None:
    info = task.bundle.info
    hop_frames = seconds_to_frames(info.detector.hop_s)
    latencies_s = []
    fires = first_fire_hops(positives, info.threshold, info.detector)
    for member, hop in zip(task.positives, fires, strict=True):
        if hop is not None:
            said_s = member.recording.said_s
            end_s = said_s[1] if said_s else word_end_s(read(member.recording.file), info.frontend)
            fired_s = sample_end(hop * hop_frames + info.window_frames - 1) / SAMPLE_RATE
            latencies_s.append(fired_s - task.lead_s - end_s)
    found = detection_latency(latencies_s)
    return asdict(found) if found else None


def _false_alarms(task: Task, negatives: Sequence[ScoreTrack]) -> dict[str, Any]:
    info, data_sets = task.bundle.info, data_set_names(task.negatives)
    fires = false_alarm_hops(negatives, info.threshold, info.detector)
    hours = sum(t.material_s for t in negatives) / 3600
    count = sum(len(hops) for hops in fires)
    by = (negatives, task.negatives, info.threshold, info.detector)
    words = rates_by(*by, lambda m: m.recording.label if m.recording.kind == "keyword" else "")
    origins = rates_by(*by, lambda m: data_sets[m.recording.root])
    return {
        "events": count,
        "hours": hours,
        "fah": count / hours,
        "fah_interval": asdict(poisson_rate(count, hours)),
        "speaker_interval": asdict(speaker_interval(*by, np.random.default_rng(task.seed))),
        "by_stream": {t.stream: len(hops) for t, hops in zip(negatives, fires, strict=True) if hops},
        "by_source": {name: asdict(rate) for name, rate in rates_by(*by, source_of).items()},
        "by_data_set": {name: asdict(rate) for name, rate in origins.items()},
        "by_word": {name: asdict(rate) for name, rate in words.items() if name},
    }


def _loudest(task: Task, negatives: Sequence[ScoreTrack]) -> list[dict[str, Any]]:
    info = task.bundle.info
    return [asdict(alarm) for alarm in loudest_alarms(negatives, task.negatives, info.threshold, info.detector)]


def _clip_level(
    task: Task, positives: Sequence[ScoreTrack], negatives: Sequence[ScoreTrack], curve: DetCurve
) -> dict[str, Any]:
    config = task.bundle.info.detector
    counts = confusion(loudest(positives, config), stretch_scores(negatives, config), task.bundle.info.threshold)
    return {
        "what": f"highest vote of each positive and of each {STRETCH_S:g} s stretch of negatives; not events",
        "equal_error_rate": equal_error_rate(curve),
        "fpr_at_tpr_95": fpr_at_tpr(curve, 0.95),
        "partial_auc_10": partial_auc(curve, 0.1),
        "confusion": asdict(counts),
    }


def _claims(alarms: Mapping[str, Any], clean: Mapping[str, Any], curve: EventCurve) -> dict[str, str]:
    """What may be quoted, and what is refused, in words."""
    misses, positives = clean["misses"], clean["positives"]
    interval = miss_bounds(clean)
    claims = {
        "false alarms": fah_claim(alarms["events"], alarms["hours"]),
        "misses, clean": share_claim(misses, positives, interval),
    }
    return claims | {f"misses at {fah:g} FAH": at_fah_claim(miss_rate_at_fah(curve, fah)) for fah in REPORTED_FAH}


def _not_measured(task: Task, noise: Samples | None) -> list[str]:
    found = []
    if noise is None:
        found.append("misses in noise: there are no noise recordings in the test")
    if not task.telephone:
        found.append("misses through a telephone: switched off")
    if not task.near:
        found.append("near words (half of the word, rhymes …): no recordings of them were given here")
    if len({m.recording.speaker_id for m in task.positives}) == 1:
        found.append("other voices: all positives are of one speaker")
    return found
