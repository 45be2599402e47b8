"""What synthetic voices bring to a recipe: its K-fold with and without them, for growing numbers of real voices.

Split, validation and test stay whole at every point, so that all are judged on the same recordings. It trains nothing
itself (`many` does) and pools nothing (`kfold` does).
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from uyan.data.limit import training_positives
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError, RunsFailedError
from uyan.evaluation.voices_figure import VoicesLine, voices_figure
from uyan.files import replacing
from uyan.pipeline.ablate import sharing_cache
from uyan.pipeline.kfold import fold_tasks, pool_folds
from uyan.pipeline.many import run_many
from uyan.pipeline.prepare import check_recordings, split_recordings
from uyan.pipeline.run_task import RunTask, finished
from uyan.pipeline.voices_table import BOTH, COMMON, REAL, Point, VoicesTable, as_json, as_rows, voices_text
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import Recipe, load_recipe


class FoldSet(NamedTuple):
    """The folds of one K-fold of the comparison."""

    limit: int | None
    """Of real voices to train on; None: all."""
    trained_on: str
    """`REAL` or `BOTH`."""
    recipe: Recipe
    out: Path
    tasks: list[RunTask]


def compare_voices(
    path: Path,
    overrides: Sequence[str],
    out: Path,
    speakers: Sequence[int],
    folds: int = 5,
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> VoicesTable:
    """Run every K-fold that is not finished; write `compare.json`, `compare.csv` and `compare.png`.

    The runs are kept below `out`, `out/real-5/fold-0` and so on. Raises ConfigError where there is nothing to compare:
    no synthetic voice, or a fold without a real one, or a recipe that sets either itself; RunsFailedError when runs
    fail, after the points that are whole are written.
    """
    recipe = sharing_cache(load_recipe(path, overrides), path, out)
    _require_free(recipe, path)
    base = path.resolve().parent
    limits = choose_limits(speakers, count_real_voices(recipe, base, folds, progress), tell)
    # The largest first: what its features are made of holds those of all the others.
    pairs = [(limit, side) for limit in reversed(limits) for side in (BOTH, REAL) if (limit, side) != (0, REAL)]
    sets = [_fold_set(recipe, base, out, limit, side, folds) for limit, side in pairs]
    try:
        run_many([task for found in sets for task in found.tasks], jobs, progress, tell)
    except RunsFailedError:
        if (whole := _pooled(sets, recipe.keyword)).points:
            save(whole, out)
        raise
    table = _pooled(sets, recipe.keyword)
    save(table, out)
    return table


def _require_free(recipe: Recipe, path: Path) -> None:
    """What is varied here is not to be set in the recipe."""
    if recipe.data.synthetic_share == 0:
        raise ConfigError(f"{path}: data.synthetic_share is 0, which leaves nothing to compare; take it out")
    if recipe.data.max_positive_speakers is not None:
        raise ConfigError(f"{path}: data.max_positive_speakers is what --speakers sets at each point; take it out")


def count_real_voices(recipe: Recipe, base: Path, folds: int, progress: Progress = silent) -> list[int]:
    """Real voices of the keyword that each fold trains on. Raises ConfigError where there is nothing to compare."""
    with TemporaryDirectory() as folder:
        tasks = fold_tasks(recipe, base, Path(folder), folds)
        runs = [Workspace(task.recipe, task.base, task.out, progress) for task in tasks]
        report = check_recordings(runs[0])
        trained = [training_positives(split_recordings(run, report), recipe.keyword) for run in runs]
        spoken = [[member.recording for _, member in fold] for fold in trained]
    if not any(recording.synthetic for fold in spoken for recording in fold):
        raise ConfigError(
            f"no synthetic voice of {recipe.keyword!r} in data.manifests: make some with `uyan voices generate`, "
            "name their manifest there, and compare then"
        )
    voices = [len({r.speaker_id for r in fold if not r.synthetic}) for fold in spoken]
    if not min(voices):
        raise ConfigError(
            f"fold-{voices.index(0)} of {folds} has no real voice of {recipe.keyword!r} to train on, so there is "
            "nothing to compare synthetic ones with; add people, or take another --folds or split.seed"
        )
    return voices


def choose_limits(speakers: Sequence[int], voices: Sequence[int], tell: Tell = say_nothing) -> list[int | None]:
    """The points, ascending, and all there are at the end, as None; `voices` are those of each fold.

    A fold of fewer voices has all of its own at that point.

    >>> choose_limits([20, 0, 5, 50], [27, 25])
    [0, 5, 20, None]
    """
    if min(speakers, default=0) < 0:
        raise ConfigError(f"--speakers {list(speakers)}: a number of voices cannot be negative")
    wanted, most = sorted(set(speakers)), max(voices)
    tell(f"real voices to train on, fold by fold: {', '.join(map(str, voices))}")
    if wanted and wanted[-1] >= most:
        tell(f"{wanted[-1]} real voices were asked for, {most} at most are there to train on: a point of all instead")
    return [*(count for count in wanted if count < most), None]


def _fold_set(recipe: Recipe, base: Path, out: Path, limit: int | None, trained_on: str, folds: int) -> FoldSet:
    changes: dict[str, Any] = {} if limit is None else {"max_positive_speakers": limit}
    changes |= {"synthetic_share": 0} if trained_on == REAL else {}
    changed = recipe.model_copy(update={"data": recipe.data.model_copy(update=changes)})
    name = f"{trained_on}-{'all' if limit is None else limit}"
    tasks = [task._replace(name=f"{name}, {task.name}") for task in fold_tasks(changed, base, out / name, folds)]
    return FoldSet(limit, trained_on, changed, out / name, tasks)


def _pooled(sets: Sequence[FoldSet], keyword: str) -> VoicesTable:
    """The table of the K-folds whose folds are all finished, each pooled in its folder; the fewest voices first."""
    reports = dict[int | None, dict[str, Any]]()
    for found in reversed(sets):
        metrics = [figures for figures in map(finished, found.tasks) if figures is not None]
        if len(metrics) == len(found.tasks):
            reports.setdefault(found.limit, {})[found.trained_on] = pool_folds(
                found.recipe, found.tasks, metrics, found.out
            )
    return VoicesTable(keyword, tuple(Point(limit, of_point) for limit, of_point in reports.items()))


def save(table: VoicesTable, out: Path) -> None:
    """Write `compare.json`, `compare.csv` (a row a point, K-fold, condition and way to count) and `compare.png`."""
    with replacing(out / "compare.json") as partial:
        partial.write_text(json.dumps(as_json(table), indent=1, ensure_ascii=False), encoding="utf-8")
    with replacing(out / "compare.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(as_rows(table))
    names = {REAL: "real voices alone", BOTH: "real and synthetic voices"}
    panels = {
        condition: {name: _line(table, side, condition) for side, name in names.items()}
        for condition in table.conditions
    }
    sizes = [voices_text(p.real_voices) + ("" if p.limit is not None else "\n(all)") for p in table.points]
    hours, judged = table.reports[0]["hours"], sum(count for _, count in table.judged.values())
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours:.2f} h"
    title = f"“{table.keyword}”: misses {COMMON}, {judged} positives, {length} of negatives, 95 % intervals"
    voices_figure(sizes, panels, title, out / "compare.png")


def _line(table: VoicesTable, trained_on: str, condition: str) -> VoicesLine:
    places = [number for number, point in enumerate(table.points) if trained_on in point.reports]
    found = [table.points[place].missed(trained_on, condition, COMMON) for place in places]
    return VoicesLine(places, [m.miss_rate for m in found], [m.interval for m in found], [m.met for m in found])
