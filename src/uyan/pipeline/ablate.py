"""What a part of the training brings: the recipe with and without it, over several seeds, in one table (MISSION 2.4).

All runs share the split, so that only the training differs; runs of one seed are paired. It trains nothing itself
(`many` does) and measures nothing (`evaluate` did): it compares the runs' metrics.
"""

import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError
from uyan.evaluation.claims import voices_claim
from uyan.evaluation.comparison import Difference
from uyan.evaluation.comparison_figures import differences_figure
from uyan.files import replacing
from uyan.pipeline.ablation_table import AT_FAH, MAX_FAH, Comparison, compare
from uyan.pipeline.many import run_many
from uyan.pipeline.run_task import RunTask
from uyan.pipeline.workspace import Tell, Workspace, say_nothing
from uyan.recipe import Recipe, load_recipe

ABLATIONS: dict[str, tuple[str, ...]] = {
    "no-rir": ("variants.rir_share=0",),
    "no-specaug": ("augment.time_masks=0", "augment.mel_masks=0"),
    "no-mixbg": ("augment.background_share=0",),
}
"""What is left out → the recipe's fields that leave it out, as `--set` takes them."""
BASELINE = "baseline"


def ablate(
    path: Path,
    overrides: Sequence[str],
    out: Path,
    seeds: int = 3,
    jobs: int | None = None,
    progress: Progress = silent,
    tell: Tell = say_nothing,
) -> Comparison:
    """Run the recipe and each ablation of it with so many seeds; write `ablate.json`, `ablate.csv` and `ablate.png`.

    The runs are kept below `out`, and those that are finished are not run again. Raises ConfigError for a recipe that
    leaves all of it out already.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds {seeds}: at least 1 is needed, 3 or more for intervals")
    first = load_recipe(path, overrides).training.seed
    numbers = range(first, first + seeds)
    rows = [BASELINE, *effective_ablations(path, overrides, tell)]
    tasks: list[RunTask] = []
    for row, seed in itertools.product(rows, numbers):
        recipe = load_recipe(path, [*overrides, *ABLATIONS.get(row, ()), f"training.seed={seed}"])
        name = f"{row}-seed{seed}"
        tasks.append(RunTask(sharing_cache(recipe, path, out), path.resolve().parent, out / name, name))
    metrics = run_many(tasks, jobs, progress, tell)
    found = {row: metrics[number * seeds : (number + 1) * seeds] for number, row in enumerate(rows)}
    comparison = compare(found, numbers)
    save(comparison, out)
    return comparison


def effective_ablations(path: Path, overrides: Sequence[str], tell: Tell = say_nothing) -> list[str]:
    """Names of the ablations that change the recipe; a part that it has off already is told."""
    baseline = load_recipe(path, overrides).digest()
    effective = []
    for name, changes in ABLATIONS.items():
        if load_recipe(path, [*overrides, *changes]).digest() == baseline:
            tell(f"{name}: left out of the table, for the recipe has it off already")
        else:
            effective.append(name)
    if not effective:
        raise ConfigError(f"{path}: nothing to leave out, the recipe has {', '.join(ABLATIONS)} already")
    return effective


def sharing_cache(recipe: Recipe, path: Path, out: Path) -> Recipe:
    """The recipe with the feature cache that a single run at `out` would use, for runs that lie deeper."""
    folder = Workspace(recipe, path.resolve().parent, out).cache_folder.absolute()
    return recipe.model_copy(update={"cache": recipe.cache.model_copy(update={"folder": str(folder)})})


def save(comparison: Comparison, out: Path) -> None:
    """Write `ablate.json`, `ablate.csv` (one line a row and condition) and `ablate.png`."""
    with replacing(out / "ablate.json") as partial:
        partial.write_text(json.dumps(_as_json(comparison), indent=1, ensure_ascii=False), encoding="utf-8")
    with replacing(out / "ablate.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_as_table(comparison))
    differences = {
        condition: {row: figures[condition].miss_difference for row, figures in list(comparison.rows.items())[1:]}
        for condition in next(iter(comparison.rows.values()))
    }
    differences_figure(
        {name: {row: d for row, d in rows.items() if d} for name, rows in differences.items()},
        f"“{comparison.keyword}”: misses at {AT_FAH} FAH, {len(comparison.seeds)} seed(s), {comparison.hours:.2f} h",
        out / "ablate.png",
    )


def _as_json(comparison: Comparison) -> dict[str, Any]:
    rows = {
        row: {
            "overrides": list(ABLATIONS.get(row, ())),
            "conditions": {
                name: {"miss_rate": figures.miss_rate, "area": figures.area, **asdict(figures)}
                for name, figures in by_condition.items()
            },
        }
        for row, by_condition in comparison.rows.items()
    }
    return {
        "keyword": comparison.keyword,
        "seeds": list(comparison.seeds),
        "at_fah": float(AT_FAH),
        "area_max_fah": MAX_FAH,
        "hours": comparison.hours,
        "voices": voices_claim(comparison.judged),
        "notes": list(comparison.notes),
        "rows": rows,
    }


def _as_table(comparison: Comparison) -> list[list[object]]:
    columns = ["row", "condition", "seeds", "misses", "positives", "miss_rate"]
    columns += ["miss_difference", "miss_low", "miss_high", "area", "area_difference", "area_low", "area_high"]
    table: list[list[object]] = [list(columns)]
    for row, by_condition in comparison.rows.items():
        for name, figures in by_condition.items():
            misses = [row, name, len(comparison.seeds), *figures.pooled, figures.miss_rate]
            table.append([*misses, *_cells(figures.miss_difference), figures.area, *_cells(figures.area_difference)])
    return table


def _cells(difference: Difference | None) -> list[object]:
    """Mean, low and high; empty where there is none."""
    if difference is None:
        return ["", "", ""]
    interval = difference.interval
    return [difference.mean, interval.low if interval else "", interval.high if interval else ""]
