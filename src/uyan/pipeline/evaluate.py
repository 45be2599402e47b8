"""Evaluation as a stage: the calibrated detector on the test split, every rate with its denominator and interval."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

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
from uyan.evaluation.scores import (
    STRETCH_S,
    ScoreTrack,
    event_curve,
    false_alarm_hops,
    loudest,
    score_streams,
    stretch_scores,
)
from uyan.evaluation.streams import negative_streams, positive_streams
from uyan.files import replacing
from uyan.pipeline.calibrate import Calibrated
from uyan.pipeline.prepare import Material, data_summary
from uyan.pipeline.workspace import Workspace

REPORTED_FAH = (0.1, 0.5, 1.0, 2.0)


def evaluate(run: Workspace, material: Material, calibrated: Calibrated) -> dict[str, Any]:
    """Measure on the test split; write `metrics.json`, `det.csv` and the pictures. Returns the metrics."""
    leakage_guard(material.members)
    bundle, keyword = calibrated.bundle, run.recipe.keyword
    positives, negatives = material.positives("test", keyword), material.negatives("test", keyword)
    if not positives or not negatives:
        raise EvaluationError(f"the test split has {len(positives)} positives and {len(negatives)} negatives")
    negative_tracks = score_streams(
        "test negatives", bundle, negative_streams(negatives, lead_s=run.lead_s), len(negatives), run.progress
    )
    noise = _joined_noise(material.noise("test"))
    if noise is None:
        run.warn("no noise in the test split: misses in noise were not measured")
    conditions: dict[str, Any] = {}
    clean: list[ScoreTrack] = []
    for name, snr_db in _conditions(run, noise):
        streams = positive_streams(positives, noise, snr_db, lead_s=run.lead_s)
        scored = score_streams(f"test positives, {name}", bundle, streams, len(positives), run.progress)
        clean = clean or scored
        conditions[name] = _miss_rates(run, scored, negative_tracks, calibrated)
    metrics = {
        "keyword": keyword,
        "uyan": __version__,
        "config_hash": run.recipe.digest(),
        "data": data_summary(run, material.members),
        "calibration": {"temperature": bundle.info.temperature, "operating_point": asdict(calibrated.point)},
        "false_alarms": _false_alarms(negative_tracks, calibrated),
        "conditions": conditions,
        "conditions_note": "noise is mixed into the positives; false alarms are those on the negatives as they are",
        "clip_level": _clip_level(run, clean, negative_tracks, calibrated),
        "warnings": run.warnings,
    }
    with replacing(run.out / "metrics.json") as partial:
        partial.write_text(json.dumps(metrics, indent=1, ensure_ascii=False), encoding="utf-8")
    return metrics


def _conditions(run: Workspace, noise: Samples | None) -> list[tuple[str, float]]:
    noisy = [(f"{snr_db:g} dB SNR", snr_db) for snr_db in run.recipe.evaluation.snr_db]
    return [("clean", float("inf")), *(noisy if noise is not None else [])]


def _joined_noise(members: Sequence[Member]) -> Samples | None:
    return np.concatenate([read(m.recording.file) for m in members]) if members else None


def _miss_rates(
    run: Workspace, positives: Sequence[ScoreTrack], negatives: Sequence[ScoreTrack], calibrated: Calibrated
) -> dict[str, Any]:
    config, threshold = run.recipe.detector, calibrated.point.threshold
    curve: EventCurve = event_curve(positives, negatives, config)
    missed = loudest(positives, config) < threshold
    speakers: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for scored, miss in zip(positives, missed, strict=True):
        misses, count = speakers[scored.speaker_id]
        speakers[scored.speaker_id] = misses + int(miss), count + 1
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
        "per_speaker": dict(sorted(speakers.items())),
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
