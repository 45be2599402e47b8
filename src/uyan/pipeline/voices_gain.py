"""What synthetic voices bring to a recipe: its K-fold with and without them, for growing numbers of real voices.

Split, validation and test stay whole at every point, so that all are judged on the same recordings. It trains nothing
itself (`many` does) and pools nothing (`kfold` does).
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from uyan.data.limit import training_positives
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError
from uyan.evaluation.gain_figure import GainLine, gain_figure
from uyan.files import replacing
from uyan.pipeline.ablate import sharing_cache
from uyan.pipeline.gain_table import COMMON, MIXES, GainPoint, VoicesGain, as_json, as_table, real_voices, voices_text
from uyan.pipeline.kfold import fold_tasks, pool_folds
from uyan.pipeline.many import run_many
from uyan.pipeline.prepare import check_recordings, split_recordings
from uyan.pipeline.run_task import RunTask
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import Recipe, load_recipe

FEWEST = (0, 5, 10, 20)
"""Real voices at the default points, before all there are."""


class Study(NamedTuple):
    """One K-fold of the comparison."""

    limit: int | None
    """Of real voices to train on; None: all."""
    mix: str
    """One of `MIXES`."""
    recipe: Recipe
    out: Path
    tasks: list[RunTask]


def measure_gain(
    path: Path,
    overrides: Sequence[str],
    out: Path,
    speakers: Sequence[int] = FEWEST,
    folds: int = 5,
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> VoicesGain:
    """Run every K-fold that is not finished; write `gain.json`, `gain.csv` and `gain.png`.

    The runs are kept below `out`, `out/real-5/fold-0` and so on. Raises ConfigError where there is nothing to compare:
    no synthetic or no real voice of the keyword to train on, or a share of 0 for synthetic ones.
    """
    recipe = sharing_cache(load_recipe(path, overrides), path, out)
    if recipe.data.synthetic_share == 0:
        raise ConfigError(f"{path}: data.synthetic_share is 0, which leaves nothing to compare; take it out")
    base = path.resolve().parent
    whole = _study(recipe, base, out, None, "both", folds)
    limits = choose_limits(speakers, most_voices(whole, progress, tell), tell)
    # The largest first: what its features are made of holds those of all the others.
    pairs = [(limit, mix) for limit in reversed(limits) for mix in reversed(MIXES) if (limit, mix) != (0, "real")]
    studies = [_study(recipe, base, out, limit, mix, folds) for limit, mix in pairs]
    metrics = run_many([task for study in studies for task in study.tasks], jobs, progress, tell)
    reports = dict[int | None, dict[str, Any]]()
    for number, study in enumerate(studies):
        found = metrics[number * folds : (number + 1) * folds]
        reports.setdefault(study.limit, {})[study.mix] = pool_folds(study.recipe, study.tasks, found, study.out)
    ordered = {limit: {mix: found[mix] for mix in MIXES if mix in found} for limit, found in reports.items()}
    points = [GainPoint(limit, real_voices(ordered[limit]["both"]), ordered[limit]) for limit in limits]
    gain = VoicesGain(recipe.keyword, tuple(points))
    save(gain, out)
    return gain


def most_voices(whole: Study, progress: Progress = silent, tell: Tell = say_nothing) -> int:
    """Real voices of the keyword that the richest fold trains on; ConfigError where there is nothing to compare."""
    runs = [Workspace(task.recipe, task.base, task.out, progress, tell) for task in whole.tasks]
    keyword, report = whole.recipe.keyword, check_recordings(runs[0])
    spoken = [[m.recording for _, m in training_positives(split_recordings(run, report), keyword)] for run in runs]
    most = max(len({r.speaker_id for r in fold if not r.synthetic}) for fold in spoken)
    synthetic = any(r.synthetic for fold in spoken for r in fold)
    if not synthetic:
        raise ConfigError(
            f"no synthetic voice of {keyword!r} in data.manifests: make some with `uyan voices generate`, "
            "name their manifest there, and compare then"
        )
    if not most:
        raise ConfigError(
            f"no real voice of {keyword!r} to train on in data.manifests, so there is nothing to compare "
            "synthetic ones with; `uyan kfold` measures those alone"
        )
    return most


def choose_limits(speakers: Sequence[int], most: int, tell: Tell = say_nothing) -> list[int | None]:
    """The points, ascending, and all there are at the end, as None.

    >>> choose_limits([20, 0, 5, 50], 27)
    [0, 5, 20, None]
    """
    if min(speakers, default=0) < 0:
        raise ConfigError(f"--speakers {list(speakers)}: a number of voices cannot be negative")
    wanted = sorted(set(speakers))
    if wanted and wanted[-1] >= most:
        tell(f"{wanted[-1]} real voices were asked for, {most} at most are there to train on: a point of all instead")
    return [*(count for count in wanted if count < most), None]


def _study(recipe: Recipe, base: Path, out: Path, limit: int | None, mix: str, folds: int) -> Study:
    changes: dict[str, Any] = {} if limit is None else {"max_positive_speakers": limit}
    changes |= {"synthetic_share": 0} if mix == "real" else {}
    changed = recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})
    name = f"{mix}-{'all' if limit is None else limit}"
    tasks = fold_tasks(changed, base, out / name, folds)
    return Study(limit, mix, changed, out / name, [task._replace(name=f"{name}, {task.name}") for task in tasks])


def save(gain: VoicesGain, out: Path) -> None:
    """Write `gain.json`, `gain.csv` (a row a point, mix, condition and way to count) and `gain.png`."""
    with replacing(out / "gain.json") as partial:
        partial.write_text(json.dumps(as_json(gain), indent=1, ensure_ascii=False), encoding="utf-8")
    with replacing(out / "gain.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(as_table(gain))
    names = {"real": "real voices alone", "both": "and synthetic voices"}
    panels = {
        condition: {name: _line(gain, mix, condition) for mix, name in names.items()} for condition in gain.conditions
    }
    sizes = [voices_text(p.voices) + ("" if p.limit is not None else "\n(all)") for p in gain.points]
    judged = gain.points[-1].missed("both", gain.conditions[0], COMMON)
    title = f"“{gain.keyword}”: misses at {COMMON} of {judged.positives} positives, 95 % over speakers"
    gain_figure(sizes, panels, title, out / "gain.png")


def _line(gain: VoicesGain, mix: str, condition: str) -> GainLine:
    places = [number for number, point in enumerate(gain.points) if mix in point.reports]
    found = [gain.points[place].missed(mix, condition, COMMON) for place in places]
    return GainLine(places, [m.miss_rate for m in found], [m.interval for m in found])
