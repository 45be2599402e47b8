"""K-fold by speaker: as many runs as folds, in each of which other speakers are the test, and one report of all.

What comes out is no detector but the answer to how well the recipe does on voices it has not heard (MISSION 5.1). The
pooling itself is `evaluation.pooling`; nothing is measured here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from uyan import __version__
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError
from uyan.evaluation.acceptance import pooled_acceptance
from uyan.evaluation.figures import event_curves_figure
from uyan.evaluation.fold_by_fold import FoldByFold, fold_by_fold
from uyan.evaluation.pooling import (
    POOLED_FAH,
    AtFah,
    Pool,
    PooledAlarms,
    PooledCondition,
    pool,
    pooled_alarms,
    pooled_conditions,
)
from uyan.evaluation.track_file import load_tracks
from uyan.files import replacing
from uyan.pipeline.evaluate import TRACKS
from uyan.pipeline.many import run_many
from uyan.pipeline.run_task import RunTask
from uyan.pipeline.workspace import Tell, say_nothing
from uyan.recipe import Recipe

REPORT, PICTURE = "kfold.json", "kfold.png"


def kfold(
    recipe: Recipe,
    base: Path,
    out: Path,
    folds: int = 5,
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> dict[str, Any]:
    """Run every fold in `out/fold-0` and so on, pool them, write `kfold.json` and `kfold.png`. Returns the report.

    Interrupted, the same call goes on. Raises TrainingError when a fold fails, EvaluationError when folds overlap.
    """
    tasks = fold_tasks(recipe, base, out, folds)
    return pool_folds(recipe, tasks, run_many(tasks, jobs, progress, tell), out)


def pool_folds(
    recipe: Recipe, tasks: Sequence[RunTask], metrics: Sequence[Mapping[str, Any]], out: Path
) -> dict[str, Any]:
    """Pool finished folds of one recipe, write `kfold.json` and `kfold.png` into `out`. Returns the report."""
    pooled = pool([load_tracks(task.out / TRACKS) for task in tasks])
    conditions, alarms, each = pooled_conditions(pooled), pooled_alarms(pooled), fold_by_fold(pooled, POOLED_FAH)
    report = {
        "keyword": recipe.keyword,
        "uyan": __version__,
        "config_hash": recipe.digest(),
        "folds": [_fold(task, found) for task, found in zip(tasks, metrics, strict=True)],
        **_pooled(pooled, conditions, alarms, each),
        "near_words": _near_words(metrics),
        "warnings": _warnings(pooled, metrics),
    }
    curves = {name: condition.curve for name, condition in conditions.items()}
    event_curves_figure(curves, "All folds, speakers never heard in training", out / PICTURE)
    with replacing(out / REPORT) as partial:
        partial.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    return report


def fold_tasks(recipe: Recipe, base: Path, out: Path, folds: int) -> list[RunTask]:
    """One run a fold; all share one cache. Raises ConfigError when so many folds leave nobody to train on."""
    if folds < 2:
        raise ConfigError(f"a K-fold has at least 2 folds, not {folds}")
    if recipe.split.official:
        raise ConfigError("split.official: official splits stand still, the folds of a K-fold turn; set it to false")
    if not recipe.cache.folder:
        # Beside `out`, where a plain run in `out` would have it.
        shared = str((out.parent / "cache").resolve())
        recipe = recipe.model_copy(update={"cache": recipe.cache.model_copy(update={"folder": shared})})
    splits = [replace(recipe.split, folds=folds, fold=fold, test=1 / folds) for fold in range(folds)]
    return [
        RunTask(recipe.model_copy(update={"split": split}), base, out / f"fold-{split.fold}", f"fold-{split.fold}")
        for split in splits
    ]


def _fold(task: RunTask, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader needs to look into one fold."""
    point = metrics["calibration"]["operating_point"]
    return {
        "out": task.out.name,
        "config_hash": metrics["config_hash"],
        "temperature": metrics["calibration"]["temperature"],
        "threshold": point["threshold"],
        "target_fah": point["target_fah"],
        "data": metrics["data"]["splits"],
        "false_alarms": {key: metrics["false_alarms"][key] for key in ("events", "hours", "fah")},
        "miss_rates": {name: condition["miss_rate"] for name, condition in metrics["conditions"].items()},
    }


def _pooled(
    pooled: Pool,
    conditions: Mapping[str, PooledCondition],
    alarms: PooledAlarms,
    each: Mapping[str, Mapping[float, FoldByFold]],
) -> dict[str, Any]:
    return {
        "conditions": {
            name: {
                "at_fah": {f"{target:g}": _at_fah(found) for target, found in condition.at_fah.items()},
                "each_fold_at_fah": {f"{target:g}": asdict(found) for target, found in each[name].items()},
                "shipped": asdict(condition.shipped),
            }
            for name, condition in conditions.items()
        },
        "false_alarms": asdict(alarms),
        "hours": pooled.hours,
        "skipped": pooled.skipped._asdict(),
    }


def _near_words(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How often what almost is the keyword is accepted, each fold at its own threshold; None where none is a test."""
    judged = [found["near_words"] for found in metrics if found["near_words"]]
    return asdict(pooled_acceptance(judged)) if judged else None


def _at_fah(found: AtFah) -> dict[str, Any]:
    return {
        **asdict(found.point),
        "speaker_interval": asdict(found.speaker_interval),
        "events_allowed": found.events_allowed,
        "supported": found.supported,
        "per_speaker": found.per_speaker,
    }


def _warnings(pooled: Pool, metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of the folds, each once, and what is odd about the whole."""
    found = list(dict.fromkeys(warning for run in metrics for warning in run["warnings"]))
    if any(pooled.skipped):
        positives, negatives = pooled.skipped
        found.append(
            f"{positives} positive(s) and {negatives} negative(s) stand in the test split of more than one fold and "
            "count in the first only"
        )
    judged = sum(len(next(iter(fold.conditions.values()))) for fold in pooled.folds)
    counts = [run["data"]["splits"].values() for run in metrics]
    there = max(sum(split["positives"] for split in splits) for splits in counts)
    real = max(sum(split["positives"] - split["synthetic_positives"] for split in splits) for splits in counts)
    there = real or there  # beside real voices, synthetic ones train and never judge
    if judged < there:
        found.append(f"{there - judged} of {there} recordings of the keyword were in no fold's test split")
    return found
