"""Evaluation as a stage: the calibrated detector on the run's test split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from uyan import __version__
from uyan.data.member import Member
from uyan.data.split import leakage_guard
from uyan.evaluation.figures import det_figure, save_det_csv
from uyan.evaluation.scores import ScoreTrack
from uyan.evaluation.track_file import TrackSet, save_tracks
from uyan.files import replacing
from uyan.pipeline.calibrate import Calibrated
from uyan.pipeline.held_out import LEARNT_FROM
from uyan.pipeline.measure import CLEAN as CLEAN
from uyan.pipeline.measure import Task, measure
from uyan.pipeline.near_test import near_members, near_warnings
from uyan.pipeline.prepare import Material, data_summary
from uyan.pipeline.training_report import training_report
from uyan.pipeline.workspace import Workspace
from uyan.training.trunk import Learnt

TRACKS = "tracks.npz"


def evaluate(run: Workspace, material: Material, calibrated: Calibrated) -> dict[str, Any]:
    """Measure on the test split; write `metrics.json`, `tracks.npz`, `det.csv`, `det.png`. Returns the metrics."""
    leakage_guard(material.members)
    keyword, config = run.recipe.keyword, run.recipe.evaluation
    training = training_report(run)
    if not material.noise("test"):
        run.warn("no noise in the test split: misses in noise were not measured")
    task = Task(
        bundle=calibrated.bundle,
        positives=material.positives("test", keyword),
        negatives=material.negatives("test", keyword),
        noise=material.noise("test"),
        snr_db=config.snr_db,
        telephone=config.telephone,
        lead_s=run.lead_s,
        seed=run.recipe.training.seed,
        near=_near(run, material),
    )
    measured = measure(task, run.progress)
    _save_tracks(run, material, calibrated, measured.conditions, measured.negatives)
    save_det_csv(measured.det, run.out / "det.csv")
    det_figure(measured.det, run.out / "det.png")
    metrics = {
        "keyword": keyword,
        "uyan": __version__,
        "config_hash": run.recipe.digest(),
        "manifests_sha256": run.manifests_digest(),
        "data": data_summary(run, material.members),
        "calibration": {
            "temperature": calibrated.bundle.info.temperature,
            "operating_point": asdict(calibrated.point),
            "tta_operating_point": asdict(calibrated.tta_point),
        },
        **measured.figures,
        "training": training,
        "warnings": run.warnings,
    }
    with replacing(run.out / "metrics.json") as partial:
        partial.write_text(json.dumps(metrics, indent=1, ensure_ascii=False), encoding="utf-8")
    return metrics


def _near(run: Workspace, material: Material) -> list[Member]:
    """Recordings that almost are the keyword, by voices that this run has not learnt from."""
    if not run.near_manifests:
        return []
    heard = [m for m in material.members if m.split in LEARNT_FROM and not m.excluded]
    speakers = frozenset(m.recording.speaker_id for m in heard if m.recording.speaker_known)
    learnt = Learnt(speakers, frozenset(m.content_sha1 for m in heard))
    probes = run.cache_folder / "near-probes.parquet"
    manifests, workers = run.near_manifests, run.recipe.cache.workers
    near = near_members(manifests, run.recipe.keyword, learnt, run.progress, workers, probes)
    for warning in near_warnings(near, learnt):
        run.warn(warning)
    return near


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
