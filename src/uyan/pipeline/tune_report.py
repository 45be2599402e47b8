"""What came out of a search: the ranking, the Pareto front, what chance explains, and the best trial as a recipe.

Computed from the trials alone.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uyan.errors import TrainingError
from uyan.evaluation.intervals import change_bootstrap
from uyan.evaluation.pareto_figure import TrialPoint, pareto_figure
from uyan.files import replacing
from uyan.pipeline.trials import BOOTSTRAP_SEED, Judged, Trial
from uyan.recipe import Recipe
from uyan.search import Limits

TABLE, PICTURE, BEST = "tune.csv", "tune.png", "best.yaml"
Cost = Literal["parameters", "window_us"]
COSTS: dict[Cost, str] = {"parameters": "parameters", "window_us": "time of one window, µs"}
"""What misses are weighed against."""


@dataclass(frozen=True)
class TuneReport:
    """All trials of a search that is over."""

    recipe: Recipe
    """As it is, with paths from the folder of the search."""
    limits: Limits
    ranked: tuple[Trial, ...]
    """Those that were judged, the best first."""
    others: tuple[Trial, ...]
    """Failed and infeasible."""
    own: int | None
    """Number of the trial with the recipe's own values; None where it was not judged."""
    front: frozenset[int]
    """Numbers of the trials that no other beats in both miss rate and cost."""
    cost: Cost
    notes: tuple[str, ...]
    """What the reader of any of these figures must know."""

    @property
    def best(self) -> Trial:
        """The one with the fewest misses; `best.yaml`."""
        return self.ranked[0]

    def as_json(self) -> dict[str, Any]:
        """For `tune.json`, beside the trials."""
        intervals = {trial.number: asdict(judged_of(trial).interval) for trial in self.ranked}
        return {
            "keyword": self.recipe.keyword,
            "target_fah": self.recipe.calibration.target_fah,
            "judged_on": "validation",
            "best": self.best.number,
            "ranking": [trial.number for trial in self.ranked],
            "recipe_as_it_is": self.own,
            "front": sorted(self.front),
            "intervals": intervals,
            "notes": list(self.notes),
        }


def report_of(recipe: Recipe, limits: Limits, trials: Sequence[Trial], own: Mapping[str, Any] | None) -> TuneReport:
    """The report on all trials; `own` are the recipe's own values. Raises TrainingError where none was judged.

    Misses are weighed against parameters, or against time where that alone is limited.
    """
    ranked = sorted((t for t in trials if t.judged), key=lambda t: (judged_of(t).loss, t.number))
    others = [trial for trial in trials if not trial.judged]
    if not ranked:
        listed = "".join(f"\n  {trial.name}: {trial.state}: {trial.reason}" for trial in others)
        raise TrainingError(f"no trial was trained and judged; loosen search.limits, or mend what failed{listed}")
    as_is = next((trial for trial in ranked if trial.values == own), None)
    notes = [_chance(ranked), *_differences(ranked, as_is), *_doubts(ranked, recipe.calibration.target_fah)]
    if own is None:
        notes.append("the recipe as it is lies outside of what is searched: nothing here says that a trial is better")
    number = as_is.number if as_is else None
    by_time = limits.max_window_us is not None and limits.max_parameters is None and limits.max_model_kb is None
    cost: Cost = "window_us" if by_time else "parameters"
    front = pareto_front(ranked, cost)
    return TuneReport(recipe, limits, tuple(ranked), tuple(others), number, front, cost, tuple(notes))


def judged_of(trial: Trial) -> Judged:
    """Figures of a trial that has them."""
    if trial.judged is None:
        raise TrainingError(f"{trial.name} was not judged")
    return trial.judged


def pareto_front(ranked: Sequence[Trial], cost: Cost) -> frozenset[int]:
    """Numbers of those than which no other misses as few at as low a cost; of equal ones, the first."""
    front: set[int] = set()
    lowest = float("inf")
    for trial in sorted(ranked, key=lambda t: (_cost(t, cost), judged_of(t).loss, t.number)):
        if judged_of(trial).miss_rate < lowest:
            lowest = judged_of(trial).miss_rate
            front.add(trial.number)
    return frozenset(front)


def difference(first: Trial, second: Trial) -> tuple[float, float, float]:
    """How many points less the first misses on the same recordings, with its 95 % interval over speakers."""
    there, here = judged_of(first).by_speaker, judged_of(second).by_speaker
    changes = {speaker: (misses - there[speaker][0], count) for speaker, (misses, count) in here.items()}
    interval = change_bootstrap(changes, np.random.default_rng(BOOTSTRAP_SEED))
    mean = sum(change for change, _ in changes.values()) / sum(count for _, count in changes.values())
    return 100 * mean, 100 * interval.low, 100 * interval.high


def _cost(trial: Trial, cost: Cost) -> float:
    return float(getattr(trial.footprint, cost)) if trial.footprint else 0.0


def _chance(ranked: Sequence[Trial]) -> str:
    return (
        f"the validation split chose among {len(ranked)} trial(s), so that what it misses with the best is too low a "
        "figure to quote; no trial has seen the test split, which has to judge"
    )


def _differences(ranked: Sequence[Trial], as_is: Trial | None) -> list[str]:
    best, found = ranked[0], []
    pairs = [(ranked[1], f"{ranked[1].name}, the next")] if len(ranked) > 1 else []
    if as_is and as_is not in ranked[:2]:
        pairs.append((as_is, f"the recipe as it is ({as_is.name})"))
    for other, who in pairs:
        mean, low, high = difference(best, other)
        interval = f"95 % interval over speakers {low:.1f} to {high:.1f}"
        points = f"{best.name} misses {mean:.1f} points less than {who} ({interval})"
        found.append(
            f"{points}: {'more than a draw of voices explains' if low > 0 else 'these voices cannot tell them apart'}"
        )
    if as_is is best:
        found.append("the recipe as it is was best: nothing that was tried is better")
    return found


def _doubts(ranked: Sequence[Trial], target_fah: float) -> list[str]:
    best, found = judged_of(ranked[0]), []
    if not best.supported:
        found.append(
            f"{best.hours:.2f} h of validation negatives cannot show {target_fah:g} false alarms per hour: trials are "
            f"compared where at most {int(target_fah * best.hours)} of them fire there"
        )
    if unmet := sum(not judged_of(trial).met for trial in ranked):
        found.append(
            f"{unmet} trial(s) have no threshold that keeps to {target_fah:g} FAH; all of theirs counts as missed"
        )
    return found


def write_report(report: TuneReport, out: Path, source: str) -> None:
    """Write `tune.csv`, `tune.png` and `best.yaml`; `source` names the recipe that was searched."""
    with replacing(out / TABLE) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_rows(report))
    judged = judged_of(report.best)
    title = (
        f"“{report.recipe.keyword}”: misses at {report.recipe.calibration.target_fah:g} FAH on validation\n"
        f"{judged.positives} positives of {len(judged.by_speaker)} speakers, {judged.hours:.2f} h of negatives"
    )
    points = [_point(trial, report) for trial in (*report.ranked, *report.others) if trial.footprint]
    limit = report.limits.max_window_us if report.cost == "window_us" else report.limits.max_parameters
    pareto_figure(points, COSTS[report.cost], limit, title, out / PICTURE)
    with replacing(out / BEST) as partial:
        partial.write_text(best_recipe(report, out, source), encoding="utf-8")


def best_recipe(report: TuneReport, out: Path, source: str) -> str:
    """The best trial's recipe, and above it where it comes from."""
    best = report.best
    judged, recipe = judged_of(best), report.recipe.with_fields(best.values)
    lines = [
        f"Chosen by `uyan tune {source}`: {best.name} of {len(report.ranked)} that were judged.",
        f"Misses {judged.miss_rate:.1%} ({judged.counts}) at {recipe.calibration.target_fah:g} FAH",
        "on the validation split, which chose it: too low a figure to quote. Judge it on the test split, with the",
        "weights it has, by",
        f"  {judging(best, out)}",
        *(f"{name}: {value!r}" for name, value in best.values.items()),
    ]
    return "".join(f"# {line}\n" for line in lines) + recipe.to_yaml()


def judging(best: Trial, out: Path) -> str:
    """The command whose figures may be quoted: no test voice chose. Those of a K-fold's tests did, in other folds."""
    return f"uyan run {out / BEST} --out {out / best.name}"


def _point(trial: Trial, report: TuneReport) -> TrialPoint:
    judged = trial.judged
    return TrialPoint(
        name=str(trial.number),
        cost=_cost(trial, report.cost),
        miss_rate=judged.miss_rate if judged else None,
        interval=judged.interval if judged else None,
        on_front=trial.number in report.front,
        own=trial.number == report.own,
    )


def _rows(report: TuneReport) -> list[list[object]]:
    fields = list(report.best.values)
    columns = ["trial", "state", "miss_rate", "miss_low", "miss_high", "misses", "positives", "conditions"]
    columns += ["area", "hours", "met"]
    table: list[list[object]] = [[*columns, "parameters", "model_bytes", "window_us", "on_front", *fields, "reason"]]
    for trial in (*report.ranked, *report.others):
        judged, cost = trial.judged, trial.footprint
        figures: list[object] = [""] * (len(columns) - 2)
        if judged:
            interval = judged.interval
            figures = [
                judged.miss_rate,
                interval.low,
                interval.high,
                judged.misses,
                judged.positives,
                len(judged.conditions),
                judged.area,
                judged.hours,
                judged.met,
            ]
        costs = [cost.parameters, cost.model_bytes, round(cost.window_us, 1)] if cost else ["", "", ""]
        values = [trial.values.get(name, "") for name in fields]
        table.append([trial.number, trial.state, *figures, *costs, trial.number in report.front, *values, trial.reason])
    return table
