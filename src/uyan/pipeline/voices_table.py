"""What synthetic voices bring, as figures: K-folds with and without them beside each other, one table.

Both are judged on the same recordings, so that what changes is counted speaker by speaker. It reads the reports of
`kfold` and runs nothing.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uyan.errors import EvaluationError
from uyan.evaluation.claims import miss_bounds, voices_claim
from uyan.evaluation.comparison import Difference
from uyan.evaluation.intervals import Interval, change_bootstrap
from uyan.evaluation.pooling import BOOTSTRAP_SEED
from uyan.pipeline.ablation_table import AT_FAH

Report = Mapping[str, Any]
"""Of a K-fold, as `kfold.json` has it."""

COMMON, EACH, SHIPPED = f"at {AT_FAH} FAH", f"each fold at {AT_FAH} FAH", "as shipped"
"""Where misses are counted: at one threshold for all folds or at one for each, chosen on the tests; or as shipped."""
WAYS = (COMMON, EACH, SHIPPED)
REAL, BOTH = "real", "both"
"""What is trained on: real voices alone, or synthetic ones as well; without a real voice that is synthetic alone."""
COLUMNS = (
    *("max_positive_speakers", "real_voices", "trained_on", "condition", "at", "misses", "positives", "miss_rate"),
    *("low", "high", "met", "hours_suffice", "false_alarms", "hours"),
    *("change", "change_low", "change_high"),
)


@dataclass(frozen=True)
class Missed:
    """Misses of one K-fold in one test condition, counted in one of the ways."""

    misses: int
    positives: int
    interval: Interval
    """Of the miss rate, 95 %: over speakers, or over recordings where that is wider."""
    per_speaker: Mapping[str, Sequence[int]]
    false_alarms: int
    """Of all folds, at the thresholds at which misses are counted."""
    met: bool
    """False where no threshold keeps the target: the misses are then those of the strictest one."""
    hours_suffice: bool | None
    """False where the negatives of all folds together are too short to show the target; None as shipped."""

    @property
    def miss_rate(self) -> float:
        """Misses / positives."""
        return self.misses / self.positives


@dataclass(frozen=True)
class Point:
    """One number of real voices to train on."""

    limit: int | None
    """None: all there are."""
    reports: Mapping[str, Report]
    """`REAL` and `BOTH`, or one of them → its K-fold."""

    @property
    def real_voices(self) -> tuple[int, ...]:
        """How many real voices of the keyword each fold trained on."""
        trained = [fold["data"]["train"] for fold in next(iter(self.reports.values()))["folds"]]
        return tuple(split["positive_speakers"] - split["synthetic_speakers"] for split in trained)

    def missed(self, trained_on: str, condition: str, at: str) -> Missed:
        """The figures of one K-fold in a condition."""
        report = self.reports[trained_on]
        figures = report["conditions"][condition]
        suffice = figures["at_fah"][AT_FAH]["supported"]
        if at == SHIPPED:
            found, alarms, met, suffice = figures["shipped"], report["false_alarms"]["events"], True, None
        else:
            found = figures["at_fah" if at == COMMON else "each_fold_at_fah"][AT_FAH]
            alarms, met = found["false_alarms"], found["met"]
        counts = found["misses"], found["positives"]
        return Missed(*counts, miss_bounds(found), found["per_speaker"], alarms, met, suffice)

    def change(self, condition: str, at: str) -> Difference | None:
        """Miss rate with synthetic voices less that without; None where one is missing or does not keep the target.

        Raises EvaluationError when the two judge other recordings.
        """
        if len(self.reports) < 2:
            return None
        real, both = (self.missed(trained_on, condition, at) for trained_on in (REAL, BOTH))
        if not (real.met and both.met):
            return None
        counted = [{who: count for who, (_, count) in side.per_speaker.items()} for side in (real, both)]
        if counted[0] != counted[1]:
            raise EvaluationError(
                f"{condition}: with and without synthetic voices judge other recordings; take a new --out"
            )
        changes = {who: (both.per_speaker[who][0] - misses, n) for who, (misses, n) in real.per_speaker.items()}
        interval = change_bootstrap(changes, np.random.default_rng(BOOTSTRAP_SEED))
        return Difference(both.miss_rate - real.miss_rate, interval)


@dataclass(frozen=True)
class VoicesTable:
    """All points, the fewest real voices first."""

    keyword: str
    points: tuple[Point, ...]

    @property
    def reports(self) -> list[Report]:
        """Of all points."""
        return [report for point in self.points for report in point.reports.values()]

    @property
    def conditions(self) -> list[str]:
        """Those that every K-fold has, in order."""
        every = [report["conditions"] for report in self.reports]
        return [name for name in every[0] if all(name in found for found in every)]

    @property
    def judged(self) -> dict[str, tuple[int, int]]:
        """Misses and recordings of each speaker who judges, as shipped, of the last K-fold."""
        found = self.reports[-1]["conditions"][self.conditions[0]]["shipped"]["per_speaker"]
        return {who: (misses, count) for who, (misses, count) in found.items()}

    @property
    def warnings(self) -> list[str]:
        """Those of the last K-fold, that of most voices, and what the table leaves out."""
        found = list(self.reports[-1]["warnings"])
        lacking = {name for report in self.reports for name in report["conditions"]} - set(self.conditions)
        return [*found, *(f"{name} is left out: not every fold was judged so" for name in sorted(lacking))]


def voices_text(voices: Sequence[int]) -> str:
    """How many real voices the folds trained on.

    >>> voices_text((5, 5, 5)), voices_text((27, 29, 27))
    ('5', '27 – 29')
    """
    return " – ".join(str(count) for count in sorted({min(voices), max(voices)}))


def as_json(table: VoicesTable) -> dict[str, Any]:
    """What `compare.json` says."""
    return {
        "keyword": table.keyword,
        "at_fah": float(AT_FAH),
        "voices": voices_claim(table.judged),
        "warnings": table.warnings,
        "points": [
            {
                "max_positive_speakers": point.limit,
                "real_voices": list(point.real_voices),
                "false_alarms": {trained_on: report["false_alarms"] for trained_on, report in point.reports.items()},
                "near_words": {trained_on: report["near_words"] for trained_on, report in point.reports.items()},
                "conditions": {name: {at: _figures(point, name, at) for at in WAYS} for name in table.conditions},
            }
            for point in table.points
        ],
    }


def _figures(point: Point, condition: str, at: str) -> dict[str, Any]:
    missed = {trained_on: point.missed(trained_on, condition, at) for trained_on in point.reports}
    figures: dict[str, Any] = {side: {"miss_rate": m.miss_rate, **asdict(m)} for side, m in missed.items()}
    change = point.change(condition, at)
    return {**figures, "change": asdict(change) if change else None}


def as_rows(table: VoicesTable) -> Iterator[list[object]]:
    """The rows of `compare.csv`, `COLUMNS` first: one a point, K-fold, condition and way to count."""
    yield list(COLUMNS)
    for point, condition, at in itertools.product(table.points, table.conditions, WAYS):
        size = ["" if point.limit is None else point.limit, voices_text(point.real_voices)]
        change = point.change(condition, at)
        for trained_on, report in point.reports.items():
            found = point.missed(trained_on, condition, at)
            counted = [found.misses, found.positives, found.miss_rate, found.interval.low, found.interval.high]
            suffice = "" if found.hours_suffice is None else found.hours_suffice
            alarms = [found.met, suffice, found.false_alarms, report["hours"]]
            bounds = change.interval if change and trained_on == BOTH else None
            changed = [change.mean, bounds.low, bounds.high] if change and bounds else ["", "", ""]
            yield [*size, trained_on, condition, at, *counted, *alarms, *changed]
