"""A finished bundle judged on anybody's manifests: figures, curves, and the false alarms to listen to.

Recordings that its run trained or validated on do not judge it (`held_out`). It changes nothing in the bundle.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from uyan import __version__
from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read_part, write
from uyan.bundle import Bundle, load
from uyan.data.licences import licence_names
from uyan.data.member import Member
from uyan.data.probe import file_sha1
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError, TrainingError
from uyan.evaluation.annotated import judge_recordings, quiet_hours
from uyan.evaluation.annotations import AnnotatedRecording, load_annotations
from uyan.evaluation.figures import det_figure, event_curves_figure, save_det_csv, save_event_curves_csv
from uyan.evaluation.latency import measure_latency
from uyan.evaluation.names import data_set_names, recording_name
from uyan.evaluation.streams import lead_for
from uyan.evaluation.track_file import TrackSet, save_tracks
from uyan.files import replacing
from uyan.frontend import HOP_S
from uyan.model.network import Network
from uyan.pipeline.held_out import HeldOut, held_out
from uyan.pipeline.kfold import kfold
from uyan.pipeline.measure import Measured, Task, measure
from uyan.pipeline.near_test import near_members, near_recordings, near_warnings
from uyan.pipeline.run_folder import NotThere, RunFolder, Wrong, nearest_base
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import EvaluationConfig
from uyan.report.page import make_report
from uyan.storage.location import Location
from uyan.training.trunk import Learnt

METRICS, TRACKS, LATENCY = "metrics.json", "tracks.npz", "latency.json"
ALARMS, ANNOTATED_ALARMS = "false_alarms", "annotated_alarms"
"""Folders of snippets."""
PAGE = "report.html"
BEFORE_S, AFTER_S, SHORTEST_S = 2.5, 0.5, 0.1
"""Of a false alarm, to listen to."""
SEED = 42
NO_SPEAKERS = (
    "annotations name no speakers: whether the detector has heard these voices in training was not checked, nor other "
    "encodings, trims or parts of these recordings"
)


def evaluate_bundle(
    path: Path,
    manifests: Sequence[Location],
    out: Path,
    workers: int | None = None,
    progress: Progress = silent,
    annotations: Sequence[Path] = (),
    near: Sequence[Location] = (),
) -> dict[str, Any]:
    """Judge the bundle; write figures, curves, tracks and snippets below `out`. Returns what `metrics.json` holds.

    `annotations` are tables of long recordings with the keyword written down, judged besides: "annotated"; `near` are
    manifests of recordings that almost are the keyword: "near_words". Raises
    AudioError, BundleError, DataError or EvaluationError, each saying what to mend.
    """
    bundle, harder = load(path), EvaluationConfig()
    annotated = _annotated(annotations, bundle)
    near_recordings(near, bundle.info.label)  # before the others are decoded
    out.mkdir(parents=True, exist_ok=True)
    judges = held_out(bundle, manifests, progress, workers, out / "probes.parquet")
    _require_unheard(annotated, judges.learnt)
    task = Task(
        bundle=bundle,
        positives=judges.positives,
        negatives=judges.negatives,
        noise=judges.noise,
        snr_db=harder.snr_db,
        telephone=harder.telephone,
        lead_s=lead_for(bundle.info.window_frames * HOP_S),
        seed=SEED,
        near=near_members(near, bundle.info.label, judges.learnt, progress, workers, out / "near-probes.parquet"),
    )
    measured = measure(task, progress)
    metrics = _metrics(bundle, judges, measured)
    metrics["warnings"] += near_warnings(task.near, judges.learnt)
    if annotated:
        metrics["annotated"] = _judged_annotated(bundle, annotated, out, progress)
        metrics["warnings"].append(NO_SPEAKERS)
    names = data_set_names(judges.negatives)
    files = {recording_name(m, names): m.recording.file for m in judges.negatives}
    metrics["loudest_alarms"] = _snippets(metrics["loudest_alarms"], files, out / ALARMS)
    _save(bundle, measured, metrics, out)
    _save_latency(bundle, out)
    make_report(out, out / PAGE, path.resolve().parent)
    return metrics


def kfold_of_bundle(
    path: Path,
    out: Path,
    base: Path | None = None,
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> dict[str, Any]:
    """The K-fold of the recipe that made the bundle, in `out/kfold`, resumable (MISSION 5.1). Returns its report.

    Other trainings than the bundle's, of the same recipe: how often it misses voices it has not heard. Raises
    EvaluationError where the run's recipe or its manifests are gone.
    """
    run = RunFolder(load(path), path.resolve().parent)
    try:
        recipe, folder = run.recipe, base or nearest_base(run)
    except (NotThere, Wrong) as reason:
        raise EvaluationError(f"--full: no K-fold without the recipe of {path}: {reason}") from reason
    # The features that the run made serve its folds too.
    features = Workspace(recipe, folder, run.path).cache_folder.absolute()
    recipe = recipe.model_copy(update={"cache": recipe.cache.model_copy(update={"folder": str(features)})})
    report = kfold(recipe, folder, out / "kfold", recipe.split.folds, jobs, progress, tell)
    make_report(out, out / PAGE, path.resolve().parent)
    return report


def _annotated(tables: Sequence[Path], bundle: Bundle) -> list[AnnotatedRecording]:
    """What the tables list, checked before anything long begins."""
    recordings = load_annotations(tables, bundle.info.label)
    if recordings:
        quiet_hours(recordings)
    return recordings


def _require_unheard(recordings: Sequence[AnnotatedRecording], learnt: Learnt) -> None:
    """Raises EvaluationError for a recording that taught the detector or chose its threshold."""
    for recording in recordings:
        if learnt.sha1s and file_sha1(recording.file) in learnt.sha1s:
            raise EvaluationError(
                f"{recording.path}: the detector has heard this recording in training or validation, so that it cannot "
                "judge; take its rows out of the table"
            )


def _judged_annotated(
    bundle: Bundle, recordings: Sequence[AnnotatedRecording], out: Path, progress: Progress
) -> dict[str, Any]:
    """The figures, with each alarm that is listed as sound."""
    found = asdict(judge_recordings(bundle, recordings, progress))
    files = {recording.path: recording.file for recording in recordings}
    found["alarms"]["events"] = _snippets(found["alarms"]["events"], files, out / ANNOTATED_ALARMS)
    return found


def _save_latency(bundle: Bundle, out: Path) -> None:
    """Write `latency.json`, apart from the metrics: those are the same every time, these are not."""
    network: Network | None = None
    with suppress(NotThere, Wrong, TrainingError):  # away from its run a bundle is timed in ONNX alone
        network = RunFolder(bundle, bundle.path.parent).network
    latency = measure_latency(bundle, np.random.default_rng(SEED), network)
    with replacing(out / LATENCY) as partial:
        partial.write_text(json.dumps(asdict(latency), indent=1), encoding="utf-8")


def _metrics(bundle: Bundle, judges: HeldOut, measured: Measured) -> dict[str, Any]:
    info = bundle.info
    return {
        "keyword": info.label,
        "uyan": __version__,
        "bundle": {
            "file": bundle.path.name,
            "config_hash": info.config_hash,
            "made_by": info.version,
            "temperature": info.temperature,
            "threshold": info.threshold,
        },
        "data": _data(judges),
        **measured.figures,
        "warnings": list(judges.warnings),
    }


def _data(judges: HeldOut) -> dict[str, Any]:
    def hours(members: Sequence[Member]) -> float:
        return sum(m.duration_s for m in members) / 3600

    return {
        "positives": len(judges.positives),
        "positive_speakers": len({m.recording.speaker_id for m in judges.positives}),
        "negatives": len(judges.negatives),
        "negative_hours": hours(judges.negatives),
        "negative_speakers": len({m.recording.speaker_id for m in judges.negatives}),
        "noise_hours": hours(judges.noise),
        "left_out": judges.left_out,
        "data_sets": sorted({m.recording.root.name for m in judges.members}),
        "licenses": licence_names(Counter(m.recording.license for m in judges.members)),
    }


def _snippets(alarms: Sequence[Mapping[str, Any]], files: Mapping[str, Location], folder: Path) -> list[dict[str, Any]]:
    """The alarms, each with the `snippet` (WAV in `folder`) that holds what the detector heard."""
    for earlier in folder.glob("[0-9][0-9].wav"):
        earlier.unlink()
    found = []
    for number, alarm in enumerate(alarms, 1):
        snippet = folder / f"{number:02d}.wav"
        begin_s = max(0.0, alarm["time_s"] - BEFORE_S)
        end_s = max(alarm["time_s"] + AFTER_S, begin_s + SHORTEST_S)
        samples = read_part(files[alarm["path"]], math.floor(begin_s), math.ceil(end_s))
        first, last = (round((at_s - math.floor(begin_s)) * SAMPLE_RATE) for at_s in (begin_s, end_s))
        write(snippet, np.ascontiguousarray(samples[first:last]))
        found.append({**alarm, "snippet": f"{folder.name}/{snippet.name}"})
    return found


def _save(bundle: Bundle, measured: Measured, metrics: Mapping[str, Any], out: Path) -> None:
    info = bundle.info
    tracks = TrackSet(info.label, info.detector, info.threshold, measured.conditions, measured.negatives)
    save_tracks(tracks, out / TRACKS)
    save_det_csv(measured.det, out / "det.csv")
    det_figure(measured.det, out / "det.png")
    save_event_curves_csv(measured.curves, out / "curves.csv")
    event_curves_figure(measured.curves, "Detector on streams", out / "curves.png")
    with replacing(out / METRICS) as partial:
        partial.write_text(json.dumps(metrics, indent=1, ensure_ascii=False), encoding="utf-8")
