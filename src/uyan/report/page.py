"""The report: one HTML file, complete without network and scripts, made from an evaluation's folder.

Everything in those files may come from strangers: the template escapes all of it, and the page forbids itself scripts
and addresses. The same files give the same bytes. It measures nothing; how pictures look is told in `report.css`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from uyan.errors import EvaluationError
from uyan.evaluation.claims import voices_claim
from uyan.evaluation.latency import Latency
from uyan.evaluation.scores import loudest, stretch_scores
from uyan.evaluation.shift import ShiftResult
from uyan.evaluation.track_file import TrackSet, load_tracks
from uyan.files import replacing
from uyan.report import words
from uyan.report.bars import ranked, rate_pictures, speaker_pictures
from uyan.report.contents import Condition, Event, Metrics
from uyan.report.curves import det_picture, fah_picture, score_picture, training_pictures
from uyan.report.folds import Mean, mean_of, pooled_pictures
from uyan.report.heat_map import heat_map
from uyan.report.kfold_contents import KFold
from uyan.report.players import embedded
from uyan.report.reading import read_det, read_event_curves, read_json
from uyan.report.run_contents import RunMetrics
from uyan.report.svg import Picture
from uyan.report.training_log import read_log

EVALUATE, RUN, KFOLD, SHIFT = "uyan evaluate", "uyan run", "uyan kfold", "uyan shift"
"""What writes the files, and mends them."""
METRICS, KFOLD_FILE, SHIFT_FILE, LATENCY_FILE = "metrics.json", "kfold.json", "shift.json", "latency.json"
CONFIG = "config.yaml"


@dataclass(frozen=True)
class RunSummary:
    """The run that the bundle came from."""

    metrics: RunMetrics
    config: str
    log: dict[str, dict[int, float]]


@dataclass(frozen=True)
class Folds:
    """A K-fold of the same keyword."""

    report: KFold
    means: dict[str, Mean]
    pictures: list[Picture]
    speakers: list[Picture]


def make_report(folder: Path, out: Path, run_folder: Path | None = None) -> Path:
    """Write the report of an evaluation to the file `out`, which it returns.

    `folder` is what `uyan evaluate` wrote: metrics.json, det.csv, curves.csv, tracks.npz and false_alarms/; shift.json
    (a `ShiftResult`), latency.json (a `Latency`) and kfold.json are shown where they are there. `run_folder` is the run
    that the bundle came from, for its training and configuration; a kfold.json beside it counts too, when the run is
    one of its folds. Raises EvaluationError, naming the file, for one that is missing, damaged, or of another detector.
    """
    metrics = read_json(folder / METRICS, Metrics, EVALUATE)
    tracks = load_tracks(folder / "tracks.npz")
    run, folds = _run(run_folder, metrics), _folds(folder, run_folder, metrics)
    context = {
        "metrics": metrics,
        "voices": voices_claim(next(iter(metrics.conditions.values())).per_speaker),
        "clean": next(iter(metrics.conditions.values())),
        "clean_name": next(iter(metrics.conditions)),
        "refused": _refused(next(iter(metrics.conditions.values()))),
        "pictures": _pictures(folder, metrics, tracks),
        "ranked": ranked,
        "sound": embedded(metrics.loudest_alarms, folder),
        "annotated_sound": embedded(_annotated_sounds(metrics), folder),
        "run": run,
        "training": training_pictures(run.log, run.metrics.training.best_epoch) if run else [],
        "folds": folds,
        "warnings": _warnings(metrics, run, folds),
        "shift": _optional(folder / SHIFT_FILE, ShiftResult, SHIFT),
        "latency": _optional(folder / LATENCY_FILE, Latency, EVALUATE),
    }
    text = _environment().get_template("report.html.jinja").render(context)
    with replacing(out) as partial:
        # A name read from a file system may hold half a character, which no encoding has.
        partial.write_bytes(text.encode("utf-8", "replace"))
    return out


def _annotated_sounds(metrics: Metrics) -> list[Event]:
    """False alarms in annotated recordings, those that an evaluation has kept the sound of."""
    return [event for event in metrics.annotated.alarms.events if event.snippet] if metrics.annotated else []


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["words"] = words
    found.filters["heat_map"] = heat_map
    return found


def _refused(clean: Condition) -> set[str]:
    """Names of claims that say why a figure may not be quoted."""
    return {f"misses at {fah} FAH" for fah, found in clean.at_fah.items() if not found.supported}


def _pictures(folder: Path, metrics: Metrics, tracks: TrackSet) -> dict[str, list[Picture]]:
    clean = next(iter(tracks.conditions))
    if tracks.threshold != metrics.bundle.threshold or list(tracks.conditions) != list(metrics.conditions):
        raise EvaluationError(
            f"{folder}: tracks.npz and {METRICS} are of different evaluations; run `{EVALUATE}` again"
        )
    counts = metrics.clip_level.confusion
    alarm_share = counts.false_positive / max(1, counts.false_positive + counts.true_negative)
    miss_share = counts.false_negative / max(1, counts.false_negative + counts.true_positive)
    shipped = {name: (metrics.false_alarms.fah, c.miss_rate) for name, c in metrics.conditions.items()}
    heard, other = loudest(tracks.conditions[clean], tracks.detector), stretch_scores(tracks.negatives, tracks.detector)
    rates = {
        "by kind of audio": metrics.false_alarms.by_source,
        "by data set": metrics.false_alarms.by_data_set,
        "by other word": metrics.false_alarms.by_word,
    }
    return {
        "misses": [fah_picture(read_event_curves(folder / "curves.csv", metrics, EVALUATE), shipped)],
        "clips": [
            det_picture(read_det(folder / "det.csv", EVALUATE), (alarm_share, miss_share)),
            score_picture(heard, other, tracks.threshold),
        ],
        "speakers": speaker_pictures(metrics.conditions[clean].per_speaker, f"Missed, by speaker ({clean})"),
        "alarms": [p for name, found in rates.items() if found for p in rate_pictures(found, f"False alarms {name}")],
    }


def _run(run_folder: Path | None, metrics: Metrics) -> RunSummary | None:
    """The run, if its report is there. Raises EvaluationError for that of another detector."""
    if run_folder is None or not (run_folder / METRICS).exists():
        return None
    run = read_json(run_folder / METRICS, RunMetrics, RUN)
    if run.config_hash != metrics.bundle.config_hash:
        hashes = f"{run.config_hash[:12]}, the bundle's is {metrics.bundle.config_hash[:12]}"
        raise EvaluationError(f"{run_folder}: a run of configuration {hashes}; give the folder that the bundle is from")
    try:
        config = (run_folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, ValueError) as reason:
        raise EvaluationError(
            f"{run_folder / CONFIG}: cannot be read ({reason}); give a whole run's folder"
        ) from reason
    return RunSummary(run, config, read_log(run_folder))


def _folds(folder: Path, run_folder: Path | None, metrics: Metrics) -> Folds | None:
    file = _kfold_file(folder, run_folder, metrics)
    if file is None:
        return None
    report = read_json(file, KFold, KFOLD)
    if report.keyword != metrics.keyword:
        raise EvaluationError(f"{file}: a K-fold of “{report.keyword}”, not of “{metrics.keyword}”; remove it")
    means = {name: mean_of(c.shipped.fold_miss_rates) for name, c in report.conditions.items()}
    first, condition = next(iter(report.conditions.items()))
    speakers = speaker_pictures(condition.shipped.per_speaker, f"Missed, by speaker, all folds ({first})")
    return Folds(report, means, pooled_pictures(report, file.parent), speakers)


def _kfold_file(folder: Path, run_folder: Path | None, metrics: Metrics) -> Path | None:
    """In the evaluation's folder, or where `--full` writes it there; or the one that the run is a fold of."""
    for here in (folder / KFOLD_FILE, folder / "kfold" / KFOLD_FILE):
        if here.exists():
            return here
    beside = run_folder.resolve().parent / KFOLD_FILE if run_folder else None
    if beside is None or not beside.exists():
        return None
    known = read_json(beside, KFold, KFOLD)
    return beside if metrics.bundle.config_hash in {fold.config_hash for fold in known.folds} else None


def _warnings(metrics: Metrics, run: RunSummary | None, folds: Folds | None) -> list[str]:
    """All of them, each once."""
    of_run = run.metrics.warnings if run else []
    of_folds = [f"K-fold: {text}" for text in folds.report.warnings if text not in of_run] if folds else []
    return list(dict.fromkeys([*metrics.warnings, *(f"training run: {text}" for text in of_run), *of_folds]))


def _optional(file: Path, shape: type[Any], again: str) -> Any:
    return read_json(file, shape, again) if file.exists() else None
