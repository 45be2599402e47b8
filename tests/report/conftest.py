"""An evaluation's folder as `uyan evaluate` leaves it, made from planted scores; a run's folder; a K-fold."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import write
from uyan.decision import DetectorConfig
from uyan.evaluation.figures import save_det_csv, save_event_curves_csv
from uyan.evaluation.intervals import clopper_pearson, poisson_rate, speaker_bootstrap
from uyan.evaluation.metrics import confusion, det_curve, equal_error_rate
from uyan.evaluation.pooling import misses_by_speaker
from uyan.evaluation.scores import Part, ScoreTrack, event_curves, false_alarm_hops, loudest, stretch_scores
from uyan.evaluation.track_file import TrackSet, save_tracks

MakeEvaluation = Callable[..., Path]

DETECTOR, THRESHOLD = DetectorConfig(), 0.9
HOPS = 40
NEGATIVE_S = 1800.0
CONFIG_HASH = "c0ffee" * 10 + "beef"


def planted_tracks(keyword: str, speakers: Sequence[str], seed: int = 42) -> TrackSet:
    """Three recordings of each speaker, the first speaker's below the threshold; two alarms in an hour of negatives."""
    rng = np.random.default_rng(seed)

    def positive(speaker: int, take: int, height: float) -> ScoreTrack:
        scores = rng.integers(0, 6, HOPS) / 20
        scores[20:26] = height
        name = f"{seed}-{speaker}-{take}"
        return ScoreTrack(
            name, speakers[speaker], 2.0, slice(10, HOPS), scores, (Part(name, name, False, 0, HOPS, 2.0),)
        )

    heights = [[0.5, 0.6, 0.7]] + [[0.99, 0.95, 0.999]] * (len(speakers) - 1)
    clean = [positive(s, take, heights[s][take]) for s in range(len(speakers)) for take in range(3)]
    noisy = [positive(s, take, 0.9 * heights[s][take]) for s in range(len(speakers)) for take in range(3)]
    negatives = []
    for number in range(2):
        scores = rng.integers(0, 8, round(NEGATIVE_S / DETECTOR.hop_s)) / 20
        scores[200:206] = 0.97
        name = f"{seed}-negative-{number}"
        whole = slice(0, scores.size)
        parts = (Part(name, name, False, 0, scores.size, NEGATIVE_S),)
        negatives.append(ScoreTrack(name, "somebody", NEGATIVE_S, whole, scores, parts))
    return TrackSet(keyword, DETECTOR, THRESHOLD, {"clean": clean, "5 dB SNR": noisy}, negatives)


def condition_metrics(tracks: TrackSet, name: str) -> dict[str, Any]:
    positives = tracks.conditions[name]
    missed = loudest(positives, DETECTOR) < THRESHOLD
    speakers, misses = misses_by_speaker(positives, missed.tolist()), int(missed.sum())
    found = {
        "misses": misses,
        "positives": len(positives),
        "miss_rate": misses / len(positives),
        "miss_interval": asdict(clopper_pearson(misses, len(positives))),
        "speaker_interval": asdict(speaker_bootstrap(speakers, np.random.default_rng(42))),
    }
    at = {**found, "false_alarms": 0, "hours": 1.0, "met": True}
    at_fah = {"0.5": {**at, "supported": False}, "5": {**at, "supported": True}}
    return {**found, "speakers": len(speakers), "at_fah": at_fah, "per_speaker": speakers}


def alarm_metrics(tracks: TrackSet, label: str) -> dict[str, Any]:
    events = sum(map(len, false_alarm_hops(tracks.negatives, THRESHOLD, DETECTOR)))
    interval = asdict(poisson_rate(events, 1.0))
    one = {"events": events, "recordings": 2, "hours": 1.0, "fah": float(events), "fah_interval": interval}
    quiet = {"events": 0, "recordings": 1, "hours": 0.01, "fah": 0.0, "fah_interval": asdict(poisson_rate(0, 0.01))}
    return {
        "events": events,
        "hours": 1.0,
        "fah": float(events),
        "fah_interval": interval,
        "speaker_interval": {"low": 0.0, "high": float("inf")},
        "by_source": {label: one, "rain": quiet},
        "by_data_set": {"voices": one},
        "by_word": {},
    }


@pytest.fixture
def make_evaluation(tmp_path: Path, rng: np.random.Generator) -> MakeEvaluation:
    """make_evaluation("evaluation", speakers=..., label=..., alarms=2): a folder below `tmp_path`."""

    def make(
        name: str = "evaluation",
        keyword: str = "jarvis",
        speakers: Sequence[str] = ("ada", "cem", "eda", "ela"),
        label: str = "speech",
        alarms: int = 2,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        tracks = planted_tracks(keyword, speakers)
        det = det_curve(loudest(tracks.conditions["clean"], DETECTOR), stretch_scores(tracks.negatives, DETECTOR))
        found = event_curves(tracks.conditions.values(), tracks.negatives, DETECTOR)
        save_tracks(tracks, folder / "tracks.npz")
        save_det_csv(det, folder / "det.csv")
        save_event_curves_csv(dict(zip(tracks.conditions, found, strict=True)), folder / "curves.csv")
        conditions = {condition: condition_metrics(tracks, condition) for condition in tracks.conditions}
        latency = {"detected": 9, "mean_s": 0.2, "median_s": 0.19, "p95_s": 0.31, "earliest_s": -0.02}
        conditions["clean"]["latency"] = latency
        counts = confusion(
            loudest(tracks.conditions["clean"], DETECTOR), stretch_scores(tracks.negatives, DETECTOR), THRESHOLD
        )
        loud = []
        for number in range(alarms):
            snippet = f"false_alarms/{number + 1:02d}.wav"
            write(folder / snippet, rng.uniform(-0.1, 0.1, SAMPLE_RATE).astype(np.float32))
            loud.append(
                {
                    "path": f"voices/{label}.opus",
                    "source": label,
                    "label": label,
                    "speaker_id": speakers[0],
                    "time_s": 20.0 + number,
                    "score": 0.97,
                    "fired": number == 0,
                    "snippet": snippet,
                }
            )
        metrics = {
            "keyword": keyword,
            "uyan": "0.1.0",
            "bundle": {
                "file": "bundle.onnx",
                "config_hash": CONFIG_HASH,
                "made_by": "0.1.0",
                "temperature": 0.5,
                "threshold": THRESHOLD,
            },
            "data": {
                "positives": 12,
                "positive_speakers": len(speakers),
                "negatives": 2,
                "negative_hours": 1.0,
                "negative_speakers": 1,
                "noise_hours": 0.1,
                "left_out": {"its speaker was heard in training or validation": 5},
                "data_sets": ["voices"],
                "licenses": ["CC-BY-4.0"],
            },
            "false_alarms": alarm_metrics(tracks, label),
            "loudest_alarms": loud,
            "conditions": conditions,
            "conditions_note": "conditions are those of the positives",
            "clip_level": {
                "what": "highest vote of each positive; not events",
                "equal_error_rate": equal_error_rate(det),
                "fpr_at_tpr_95": 0.1,
                "partial_auc_10": 0.9,
                "confusion": asdict(counts),
            },
            "claims": {
                "false alarms": "2 alarms in 1.00 h: 2.00 per hour (95 % 0.24 – 7.22)",
                "misses at 0.5 FAH": "1.0 h of negatives cannot show 0.5 alarms per hour",
            },
            "near_words": None,
            "tta": {"threshold": 0.6, "claims": {"misses, clean": "1 of 20 missed", "false alarms": "3 in 1.00 h"}},
            "not_measured": ["misses through a telephone: switched off"],
            "warnings": ["few hours"],
        }
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The run that the bundle came from, the second fold of the K-fold beside it."""
    folder = tmp_path / "runs" / "fold-1"
    splits = {name: split_facts() for name in ("train", "validation", "test")}
    metrics = {
        "keyword": "jarvis",
        "config_hash": CONFIG_HASH,
        "data": {"splits": splits, "licenses": ["CC0"], "restricted": ""},
        "training": {
            "best_epoch": 2,
            "epochs": 3,
            "loss_changed": None,
            "hard_negatives": {
                "windows": 4000,
                "file_count": 12,
                "rounds": [
                    {"round": 1, "recordings": 9, "hours_scanned": 2.5, "windows_found": 777, "windows_in_pool": 50}
                ],
            },
        },
        "warnings": ["the split may leak"],
    }
    logs = {"version_0": "epoch,loss,val_loss\n0,,0.5\n0,0.4,\n", "version_1": "epoch,loss,val_loss\n1,0.3,0.2\n"}
    for version, text in logs.items():
        (folder / "training/logs" / version).mkdir(parents=True)
        (folder / "training/logs" / version / "metrics.csv").write_text(text, encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (folder / "config.yaml").write_text("keyword: jarvis\nnote: <b>bold</b>\n", encoding="utf-8")
    return folder


@pytest.fixture
def kfold_file(run_folder: Path) -> Path:
    """kfold.json above the run's folder, with the tracks of both folds."""
    folds, sums = [], {"clean": (0, 0), "5 dB SNR": (0, 0)}
    for fold in range(2):
        tracks = planted_tracks("jarvis", (f"ada-{fold}", f"cem-{fold}"), seed=fold)
        (run_folder.parent / f"fold-{fold}").mkdir(exist_ok=True)
        save_tracks(tracks, run_folder.parent / f"fold-{fold}" / "tracks.npz")
        rates = {name: condition_metrics(tracks, name) for name in tracks.conditions}
        folds.append(
            {
                "out": f"fold-{fold}",
                "config_hash": CONFIG_HASH if fold else "0" * 64,
                "threshold": THRESHOLD,
                "data": {"test": split_facts()},
                "false_alarms": {"events": 2, "hours": 1.0, "fah": 2.0},
                "miss_rates": {name: found["miss_rate"] for name, found in rates.items()},
            }
        )
        sums = {name: (m + rates[name]["misses"], n + rates[name]["positives"]) for name, (m, n) in sums.items()}
    conditions = {}
    for name, (misses, positives) in sums.items():
        interval = asdict(clopper_pearson(misses, positives))
        shared = {"misses": misses, "positives": positives, "miss_rate": misses / positives}
        shared |= {"miss_interval": interval, "speaker_interval": interval}
        at = {**shared, "false_alarms": 1, "hours": 2.0, "met": True, "supported": False}
        rates = [fold["miss_rates"][name] for fold in folds]
        shipped = {**shared, "fold_miss_rates": rates, "per_speaker": {"ada-0": [3, 3], "cem-0": [0, 3]}}
        conditions[name] = {"at_fah": {"0.5": at}, "shipped": shipped}
    report = {
        "keyword": "jarvis",
        "config_hash": "0" * 64,
        "folds": folds,
        "conditions": conditions,
        "false_alarms": {"events": 4, "hours": 2.0, "fah": 2.0, "fah_interval": {"low": 0.5, "high": 5.1}},
        "warnings": ["the split may leak", "a fold is small"],
    }
    file = run_folder.parent / "kfold.json"
    file.write_text(json.dumps(report), encoding="utf-8")
    return file


def split_facts() -> dict[str, Any]:
    synthetic = {"synthetic_positives": 6, "synthetic_speakers": 2, "synthetic_hours": 0.25}
    return {"positives": 9, "positive_speakers": 3, "negative_hours": 1.5, "negative_speakers": 4, **synthetic}
