"""Evaluation as a stage: the calibrated detector on the test split, every rate with its denominator and interval."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypedDict

import numpy as np

from uyan import __version__
from uyan.audio import Samples, read
from uyan.data.split import Member, leakage_guard
from uyan.errors import EvaluationError
from uyan.evaluation.figures import det_figure, save_det_csv
from uyan.evaluation.intervals import clopper_pearson, poisson_rate, speaker_bootstrap
from uyan.evaluation.metrics import (
    EventCurve,
    area_over_fah,
    confusion,
    det_curve,
    equal_error_rate,
    fpr_at_tpr,
    miss_rate_at_fah,
    partial_auc,
)
from uyan.evaluation.pooling import misses_by_speaker
from uyan.evaluation.scores import (
    STRETCH_S,
    ScoreTrack,
    event_curves,
    false_alarm_hops,
    loudest,
    score_streams,
    stretch_scores,
)
from uyan.evaluation.streams import negative_streams, positive_streams
from uyan.evaluation.track_file import TrackSet, save_tracks
from uyan.files import replacing
from uyan.pipeline.calibrate import Calibrated
from uyan.pipeline.prepare import Material, data_summary
from uyan.pipeline.training_report import training_report
from uyan.pipeline.workspace import Workspace

REPORTED_FAH = (0.1, 0.5, 1.0, 2.0)
CLEAN, TELEPHONE = "clean", "telephone"
TRACKS = "tracks.npz"


class _Condition(TypedDict, total=False):
    """What `positive_streams` is told."""

    snr_db: float
    by_telephone: bool


def evaluate(run: Workspace, material: Material, calibrated: Calibrated) -> dict[str, Any]:
    """Measure on the test split; write `metrics.json`, `tracks.npz`, `det.csv`, `det.png`. Returns the metrics."""
    leakage_guard(material.members)
    bundle, keyword = calibrated.bundle, run.recipe.keyword
    positives, negatives = material.positives("test", keyword), material.negatives("test", keyword)
    if not positives or not negatives:
        raise EvaluationError(f"the test split has {len(positives)} positives and {len(negatives)} negatives")
    training = training_report(run)
    negative_tracks = score_streams(
        "test negatives", bundle, negative_streams(negatives, lead_s=run.lead_s), len(negatives), run.progress
    )
    noise = _joined_noise(material.noise("test"))
    if noise is None:
        run.warn("no noise in the test split: misses in noise were not measured")
    tracks: dict[str, list[ScoreTrack]] = {}
    for name, condition in _conditions(run, noise).items():
        streams = positive_streams(positives, noise, **condition, lead_s=run.lead_s)
        tracks[name] = score_streams(f"test positives, {name}", bundle, streams, len(positives), run.progress)
    curves = event_curves(tracks.values(), negative_tracks, bundle.info.detector)
    conditions = {
        name: _miss_rates(run, scored, curve, calibrated)
        for (name, scored), curve in zip(tracks.items(), curves, strict=True)
    }
    _save_tracks(run, material, calibrated, tracks, negative_tracks)
    metrics = {
        "keyword": keyword,
        "uyan": __version__,
        "config_hash": run.recipe.digest(),
        "manifests_sha256": run.manifests_digest(),
        "data": data_summary(run, material.members),
        "calibration": {"temperature": bundle.info.temperature, "operating_point": asdict(calibrated.point)},
        "false_alarms": _false_alarms(negative_tracks, calibrated),
        "conditions": conditions,
        "conditions_note": "conditions are those of the positives; false alarms are on the negatives as they are",
        "clip_level": _clip_level(run, tracks[CLEAN], negative_tracks, calibrated),
        "training": training,
        "warnings": run.warnings,
    }
    with replacing(run.out / "metrics.json") as partial:
        partial.write_text(json.dumps(metrics, indent=1, ensure_ascii=False), encoding="utf-8")
    return metrics


def _conditions(run: Workspace, noise: Samples | None) -> dict[str, _Condition]:
    config = run.recipe.evaluation
    found: dict[str, _Condition] = {CLEAN: {"snr_db": float("inf")}}
    if noise is not None:
        found |= {f"{snr_db:g} dB SNR": {"snr_db": snr_db} for snr_db in config.snr_db}
    if config.telephone:
        found[TELEPHONE] = {"by_telephone": True}
    return found


def _save_tracks(
    run: Workspace,
    material: Material,
    calibrated: Calibrated,
    conditions: Mapping[str, Sequence[ScoreTrack]],
    negatives: Sequence[ScoreTrack],
) -> None:
    """Write `tracks.npz`, near-duplicate takes of a word under one name: in another fold, another of them is judged."""
    first: dict[int, str] = {}
    takes = {m.content_sha1: first.setdefault(m.group, m.content_sha1) for m in material.members}
    words = {m.content_sha1 for m in material.members if m.recording.kind == "keyword"}

    def named(track: ScoreTrack) -> ScoreTrack:
        parts = (part._replace(take=takes[part.take]) if part.take in words else part for part in track.parts)
        return replace(track, parts=tuple(parts))

    tracks = TrackSet(
        run.recipe.keyword,
        calibrated.bundle.info.detector,
        calibrated.point.threshold,
        {name: [named(track) for track in positives] for name, positives in conditions.items()},
        [named(track) for track in negatives],
    )
    save_tracks(tracks, run.out / TRACKS)


def _joined_noise(members: Sequence[Member]) -> Samples | None:
    return np.concatenate([read(m.recording.file) for m in members]) if members else None


def _miss_rates(
    run: Workspace, positives: Sequence[ScoreTrack], curve: EventCurve, calibrated: Calibrated
) -> dict[str, Any]:
    missed = loudest(positives, run.recipe.detector) < calibrated.point.threshold
    speakers = misses_by_speaker(positives, missed.tolist())
    misses = int(missed.sum())
    return {
        "misses": misses,
        "positives": len(positives),
        "speakers": len(speakers),
        "miss_rate": misses / len(positives),
        "miss_interval": asdict(clopper_pearson(misses, len(positives))),
        "speaker_interval": asdict(speaker_bootstrap(speakers, np.random.default_rng(run.recipe.training.seed))),
        "at_fah": {f"{fah:g}": _at_fah(curve, fah) for fah in REPORTED_FAH},
        "area_over_2_fah": area_over_fah(curve, 2.0),
        "per_speaker": speakers,
    }


def _at_fah(curve: EventCurve, fah: float) -> dict[str, Any]:
    """MR@FAH with the threshold chosen on these very streams, and whether their hours could show such a rate."""
    return {**asdict(miss_rate_at_fah(curve, fah)), "supported": poisson_rate(0, curve.hours).high <= fah}


def _false_alarms(negatives: Sequence[ScoreTrack], calibrated: Calibrated) -> dict[str, Any]:
    config = calibrated.bundle.info.detector
    fires = false_alarm_hops(negatives, calibrated.point.threshold, config)
    hours = sum(t.material_s for t in negatives) / 3600
    count = sum(len(hops) for hops in fires)
    where = {t.stream: len(hops) for t, hops in zip(negatives, fires, strict=True) if hops}
    interval = asdict(poisson_rate(count, hours))
    return {"events": count, "hours": hours, "fah": count / hours, "fah_interval": interval, "by_stream": where}


def _clip_level(
    run: Workspace, positives: Sequence[ScoreTrack], negatives: Sequence[ScoreTrack], calibrated: Calibrated
) -> dict[str, Any]:
    config = run.recipe.detector
    curve = det_curve(loudest(positives, config), stretch_scores(negatives, config))
    save_det_csv(curve, run.out / "det.csv")
    det_figure(curve, run.out / "det.png")
    counts = confusion(loudest(positives, config), stretch_scores(negatives, config), calibrated.point.threshold)
    return {
        "what": f"highest vote of each positive and of each {STRETCH_S:g} s stretch of negatives; not events",
        "equal_error_rate": equal_error_rate(curve),
        "fpr_at_tpr_95": fpr_at_tpr(curve, 0.95),
        "partial_auc_10": partial_auc(curve, 0.1),
        "confusion": asdict(counts),
    }
