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
from uyan.evaluation.comparison import Difference
from uyan.evaluation.intervals import Interval, change_bootstrap, wider
from uyan.evaluation.pooling import BOOTSTRAP_SEED
from uyan.pipeline.ablation_table import AT_FAH

Report = Mapping[str, Any]
"""Of a K-fold, as `kfold.json` has it."""

COMMON, SHIPPED = f"{AT_FAH} FAH", "as shipped"
"""Where misses are counted: at one threshold for all folds, or each fold at its own."""
MIXES = ("real", "both")
"""What is trained on: real voices alone, or synthetic ones as well; without a real voice `both` is synthetic alone."""
COLUMNS = (
    *("max_positive_speakers", "real_voices", "trained_on", "condition", "at"),
    *("misses", "positives", "miss_rate", "low", "high", "false_alarms", "hours"),
)


@dataclass(frozen=True)
class Missed:
    """Misses of one K-fold in one test condition, at one of `COMMON` and `SHIPPED`."""

    misses: int
    positives: int
    interval: Interval
    """Of the miss rate, 95 %: over speakers, or over recordings where that is wider."""
    per_speaker: Mapping[str, Sequence[int]]
    false_alarms: int
    """At the common threshold, or of all folds as shipped."""
    met: bool
    """False where no threshold keeps the target."""

    @property
    def miss_rate(self) -> float:
        """Misses / positives."""
        return self.misses / self.positives


@dataclass(frozen=True)
class GainPoint:
    """One number of real voices to train on."""

    limit: int | None
    """None: all there are."""
    voices: tuple[int, ...]
    """Real voices that each fold trained on."""
    reports: Mapping[str, Report]
    """One of `MIXES` → its K-fold."""

    def missed(self, mix: str, condition: str, at: str) -> Missed:
        """The figures of a mix in a condition, at `COMMON` or `SHIPPED`."""
        report = self.reports[mix]
        found = report["conditions"][condition]
        if at == COMMON:
            found = found["at_fah"][AT_FAH]
            alarms, met = found["false_alarms"], found["met"]
        else:
            found = found["shipped"]
            alarms, met = report["false_alarms"]["events"], True
        interval = wider(Interval(**found["miss_interval"]), Interval(**found["speaker_interval"]))
        return Missed(found["misses"], found["positives"], interval, found["per_speaker"], alarms, met)

    def change(self, condition: str, at: str) -> Difference | None:
        """Miss rate with synthetic voices less that without; None where nothing was trained without."""
        if "real" not in self.reports:
            return None
        real, both = (self.missed(mix, condition, at).per_speaker for mix in MIXES)
        if {who: count for who, (_, count) in real.items()} != {who: count for who, (_, count) in both.items()}:
            raise EvaluationError(f"{condition}: the K-folds with and without synthetic voices judge other recordings")
        changes = {who: (both[who][0] - misses, count) for who, (misses, count) in real.items()}
        interval = change_bootstrap(changes, np.random.default_rng(BOOTSTRAP_SEED))
        return Difference(sum(c for c, _ in changes.values()) / sum(n for _, n in changes.values()), interval)


@dataclass(frozen=True)
class VoicesGain:
    """All points, the fewest real voices first."""

    keyword: str
    points: tuple[GainPoint, ...]

    @property
    def conditions(self) -> list[str]:
        """Those that every K-fold has, in order."""
        every = [report["conditions"] for point in self.points for report in point.reports.values()]
        return [name for name in every[0] if all(name in found for found in every)]

    @property
    def judged(self) -> Mapping[str, tuple[int, int]]:
        """Misses and recordings of each speaker who judges, as shipped, of the last K-fold."""
        per_speaker = self.points[-1].missed("both", self.conditions[0], SHIPPED).per_speaker
        return {who: (misses, count) for who, (misses, count) in per_speaker.items()}


def real_voices(report: Report) -> tuple[int, ...]:
    """How many real voices of the keyword each fold of a K-fold trained on."""
    trained = [fold["data"]["train"] for fold in report["folds"]]
    return tuple(split["positive_speakers"] - split["synthetic_speakers"] for split in trained)


def relative(change: Difference | None, real: Missed) -> float | None:
    """The change as a share of what is missed without synthetic voices; None where that is nothing."""
    return change.mean / real.miss_rate if change and real.misses else None


def as_json(gain: VoicesGain) -> dict[str, Any]:
    """What `gain.json` says."""
    return {
        "keyword": gain.keyword,
        "at_fah": float(AT_FAH),
        "points": [
            {
                "max_positive_speakers": point.limit,
                "real_voices": list(point.voices),
                "false_alarms": {mix: report["false_alarms"] for mix, report in point.reports.items()},
                "conditions": {
                    name: {at: _figures(point, name, at) for at in (COMMON, SHIPPED)} for name in gain.conditions
                },
            }
            for point in gain.points
        ],
    }


def _figures(point: GainPoint, condition: str, at: str) -> dict[str, Any]:
    change = point.change(condition, at)
    missed = {mix: point.missed(mix, condition, at) for mix in point.reports}
    figures: dict[str, Any] = {mix: {"miss_rate": m.miss_rate, **asdict(m)} for mix, m in missed.items()}
    if change is not None:
        figures["change"] = {**asdict(change), "relative": relative(change, missed["real"])}
    return figures


def as_table(gain: VoicesGain) -> Iterator[list[object]]:
    """The rows of `gain.csv`, `COLUMNS` first: one a point, mix, condition and way to count."""
    yield list(COLUMNS)
    for point, condition, at in itertools.product(gain.points, gain.conditions, (COMMON, SHIPPED)):
        size = ["" if point.limit is None else point.limit, voices_text(point.voices)]
        for mix, report in point.reports.items():
            found = point.missed(mix, condition, at)
            counted = [found.misses, found.positives, found.miss_rate, found.interval.low, found.interval.high]
            yield [*size, mix, condition, at, *counted, found.false_alarms, report["hours"]]


def voices_text(voices: Sequence[int]) -> str:
    """How many real voices the folds trained on.

    >>> voices_text((5, 5, 5)), voices_text((27, 29, 27))
    ('5', '27 – 29')
    """
    return " – ".join(str(count) for count in sorted({min(voices), max(voices)}))
