"""The table of an ablation: each row's figures in each test condition, and how far they lie from the baseline's.

Computed from the runs' metrics alone: it knows neither what was left out nor where the runs lie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uyan.errors import EvaluationError
from uyan.evaluation.comparison import Difference, paired_difference

AT_FAH = "0.5"
"""The false alarms per hour at which misses are compared, as `metrics.json` names them."""
MAX_FAH = 2.0
"""The area is the mean miss rate from 0 to this."""


@dataclass(frozen=True)
class Figures:
    """One row of the table in one test condition, over all seeds."""

    misses: tuple[int, ...]
    """At `AT_FAH`, a seed each."""
    positives: int
    """Judged in each run."""
    areas: tuple[float, ...]
    """Mean miss rate from 0 to `MAX_FAH`, a seed each."""
    miss_difference: Difference | None = None
    """Miss rate less the baseline's; None in the baseline's own row."""
    area_difference: Difference | None = None

    @property
    def miss_rates(self) -> list[float]:
        """A seed each."""
        return [misses / self.positives for misses in self.misses]

    @property
    def pooled(self) -> tuple[int, int]:
        """Misses and positives of all seeds together; the mean miss rate is their ratio."""
        return sum(self.misses), self.positives * len(self.misses)

    @property
    def miss_rate(self) -> float:
        """Mean over the seeds."""
        misses, positives = self.pooled
        return misses / positives

    @property
    def area(self) -> float:
        """Mean over the seeds."""
        return sum(self.areas) / len(self.areas)


@dataclass(frozen=True)
class Comparison:
    """The whole table."""

    keyword: str
    seeds: tuple[int, ...]
    rows: dict[str, dict[str, Figures]]
    """Row (the baseline first) → test condition → figures."""
    hours: float
    """Of the test split's negatives."""
    notes: tuple[str, ...]
    """What the reader of any of these figures must know."""
    judged: dict[str, tuple[int, int]]
    """Misses and recordings of each speaker who judges, in the baseline's first run."""


def compare(metrics: Mapping[str, Sequence[dict[str, Any]]], seeds: Sequence[int]) -> Comparison:
    """The table from each row's metrics, a seed each in the order of `seeds`; the first row is the baseline.

    Raises EvaluationError where the runs were not judged on the same recordings.
    """
    baseline, *_ = metrics.values()
    conditions = list(baseline[0]["conditions"])
    plain = {row: {name: _figures(row, runs, name) for name in conditions} for row, runs in metrics.items()}
    reference = next(iter(plain.values()))
    for row, by_condition in plain.items():
        for name, figures in by_condition.items():
            if figures.positives != reference[name].positives:
                raise EvaluationError(_not_the_same(row, name, figures.positives, reference[name].positives))
    rows = {
        row: by_condition if by_condition is reference else _against(by_condition, reference)
        for row, by_condition in plain.items()
    }
    hours = float(baseline[0]["false_alarms"]["hours"])
    notes = _notes(rows, seeds, _unmet([run for runs in metrics.values() for run in runs]))
    judged = next(iter(baseline[0]["conditions"].values()))["per_speaker"]
    return Comparison(baseline[0]["keyword"], tuple(seeds), rows, hours, notes, judged)


def _figures(row: str, runs: Sequence[dict[str, Any]], condition: str) -> Figures:
    judged = [run["conditions"][condition] for run in runs]
    at_fah = [figures["at_fah"][AT_FAH] for figures in judged]
    positives = {int(point["positives"]) for point in at_fah}
    if len(positives) > 1:
        raise EvaluationError(_not_the_same(row, condition, *sorted(positives)[:2]))
    misses = tuple(int(point["misses"]) for point in at_fah)
    return Figures(misses, positives.pop(), tuple(float(figures["area_over_2_fah"]) for figures in judged))


def _not_the_same(row: str, condition: str, positives: int, others: int) -> str:
    return (
        f"{row}, {condition}: judged on {positives} positives, other runs on {others}; the recordings changed between "
        "the runs: choose another --out"
    )


def _against(row: Mapping[str, Figures], baseline: Mapping[str, Figures]) -> dict[str, Figures]:
    compared = {}
    for name, figures in row.items():
        reference = baseline[name]
        step = 1 / figures.positives  # of the area too: it is a mean of miss rates over the same recordings
        missed = paired_difference(figures.miss_rates, reference.miss_rates, resolution=step)
        area = paired_difference(figures.areas, reference.areas, resolution=step)
        compared[name] = Figures(figures.misses, figures.positives, figures.areas, missed, area)
    return compared


def _unmet(runs: Sequence[dict[str, Any]]) -> int:
    """Runs for which no threshold keeps to `AT_FAH` in some condition."""
    return sum(any(not c["at_fah"][AT_FAH]["met"] for c in run["conditions"].values()) for run in runs)


def _notes(rows: Mapping[str, Mapping[str, Figures]], seeds: Sequence[int], unmet: int) -> tuple[str, ...]:
    baseline, *others = rows.values()
    if len(seeds) == 1:
        notes = ["a single seed has no interval: no difference here can be told from chance; try --seeds 3 or more"]
    else:
        notes = [
            "a difference within its 95 % interval, one whose interval holds zero, is not a difference",
            f"of {len(others) * len(baseline)} intervals, one in twenty leaves zero out by chance alone",
        ]
    notes.append(
        "the intervals are over training seeds, always with the same test recordings; other voices add to them"
    )
    if unmet:
        notes.append(f"{unmet} run(s) cannot keep to {AT_FAH} FAH; theirs are the misses of the strictest threshold")
    for name, row in list(rows.items())[1:]:
        if all((f.misses, f.areas) == (baseline[c].misses, baseline[c].areas) for c, f in row.items()):
            notes.append(
                f"{name} equals the baseline in every figure: the data may hold nothing that it could leave out"
            )
    return tuple(notes)
