"""What a report shows of a K-fold, as it lies in `kfold.json`; see `contents`."""

from pydantic import Field, FiniteFloat

from uyan.evaluation.intervals import Interval
from uyan.report.contents import AtFah, Missed, Part, PerSpeaker
from uyan.report.run_contents import SplitFacts


class Shipped(Missed):
    """All folds, each at the threshold of its own validation split."""

    speaker_interval: Interval
    fold_miss_rates: list[FiniteFloat]
    per_speaker: PerSpeaker


class PooledAtFah(AtFah):
    """The pooled curve at a FAH."""

    speaker_interval: Interval


class PooledCondition(Part):
    """One condition over all folds."""

    at_fah: dict[str, PooledAtFah]
    shipped: Shipped


class FoldAlarms(Part):
    """False alarms of one fold, or of all."""

    events: int
    hours: FiniteFloat
    fah: FiniteFloat


class PooledAlarms(FoldAlarms):
    """Their sum."""

    fah_interval: Interval


class Fold(Part):
    """One run of a K-fold; `out` is its folder beside `kfold.json`."""

    out: str
    config_hash: str
    threshold: FiniteFloat
    data: dict[str, SplitFacts]
    false_alarms: FoldAlarms
    miss_rates: dict[str, FiniteFloat]


class KFold(Part):
    """`kfold.json`."""

    keyword: str
    config_hash: str
    folds: list[Fold] = Field(min_length=2)
    conditions: dict[str, PooledCondition] = Field(min_length=1)
    false_alarms: PooledAlarms
    warnings: list[str]
