"""What a report shows of the run that made a detector, as it lies in the run's `metrics.json`; see `contents`."""

from pydantic import FiniteFloat

from uyan.report.contents import Part


class SplitFacts(Part):
    """How large one split of a run is."""

    positives: int
    positive_speakers: int
    synthetic_positives: int
    synthetic_speakers: int
    negative_hours: FiniteFloat
    synthetic_hours: FiniteFloat
    negative_speakers: int


class MiningRound(Part):
    """One search for negatives that the network of the time took for the word."""

    round: int
    recordings: int
    hours_scanned: FiniteFloat
    windows_found: int
    windows_in_pool: int


class HardNegatives(Part):
    """What all rounds came to."""

    windows: int
    file_count: int
    rounds: list[MiningRound]


class Training(Part):
    """What happened in the training."""

    best_epoch: int
    epochs: int
    loss_changed: str | None
    hard_negatives: HardNegatives | None


class RunData(Part):
    """What a run learnt from."""

    splits: dict[str, SplitFacts]
    licenses: list[str]
    restricted: str


class RunMetrics(Part):
    """`metrics.json` of a run."""

    keyword: str
    config_hash: str
    data: RunData
    training: Training
    warnings: list[str]
