"""What a report shows, as it lies in the JSON files of evaluations, runs and K-folds.

Only the fields that the page shows are named here; files may hold more. A figure that is no number does not validate:
what lies in a folder may come from strangers. It knows nothing of files, pages or pictures.
"""

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from uyan.evaluation.detection_latency import DetectionLatency
from uyan.evaluation.false_alarms import SourceRate
from uyan.evaluation.intervals import Interval
from uyan.evaluation.metrics import Confusion

PerSpeaker = dict[str, tuple[int, int]]
"""speaker_id → misses, positives."""


class Part(BaseModel):
    """A frozen piece of a file, whose own numbers are finite (bounds of intervals need not be)."""

    model_config = ConfigDict(frozen=True)


class Missed(Part):
    """Misses, and how far to trust their share."""

    misses: int = Field(ge=0)
    positives: int = Field(ge=1)
    miss_rate: FiniteFloat = Field(ge=0, le=1)
    miss_interval: Interval


class AtFah(Missed):
    """The miss rate at a FAH, with the threshold chosen on the very recordings that are judged."""

    false_alarms: int
    hours: FiniteFloat
    met: bool
    supported: bool


class Condition(Missed):
    """Misses of the bundle at its own threshold, under one condition."""

    speakers: int
    speaker_interval: Interval
    at_fah: dict[str, AtFah]
    per_speaker: PerSpeaker
    latency: DetectionLatency | None = None


class Alarms(Part):
    """False alarms at the bundle's threshold."""

    events: int = Field(ge=0)
    hours: FiniteFloat = Field(gt=0)
    fah: FiniteFloat = Field(ge=0)
    fah_interval: Interval
    speaker_interval: Interval
    by_source: dict[str, SourceRate]
    by_data_set: dict[str, SourceRate]
    by_word: dict[str, SourceRate]


class Loud(Part):
    """A false alarm, or what came nearest to one; `snippet` is its WAV below the evaluation's folder."""

    path: str
    source: str
    label: str
    speaker_id: str
    time_s: FiniteFloat
    score: FiniteFloat
    fired: bool
    snippet: str


class ClipLevel(Part):
    """Figures of clips, which no detector ever sees one by one."""

    what: str
    equal_error_rate: FiniteFloat
    fpr_at_tpr_95: FiniteFloat
    partial_auc_10: FiniteFloat
    confusion: Confusion


class BundleFacts(Part):
    """Which detector was judged."""

    file: str
    config_hash: str
    made_by: str
    temperature: FiniteFloat
    threshold: FiniteFloat


class DataFacts(Part):
    """What it was judged on."""

    positives: int
    positive_speakers: int
    negatives: int
    negative_hours: FiniteFloat
    negative_speakers: int
    noise_hours: FiniteFloat
    left_out: dict[str, int]
    data_sets: list[str]
    licenses: list[str]


class AcceptRate(Part):
    """Recordings that almost are the word, and at how many of them the detector fired."""

    accepted: int
    recordings: int
    speakers: int
    interval: Interval


class NearWords(Part):
    """All of them, and by category."""

    claim: str
    by_category: dict[str, AcceptRate]


class Event(Part):
    """A word of an annotated recording that was missed, or a false alarm there."""

    path: str
    time_s: FiniteFloat
    label: str
    snippet: str = ""
    """Of an alarm, as of `Loud`."""


class Listed(Part):
    """The first of them, and how many more there are."""

    events: list[Event]
    left_out: int = Field(ge=0)


class Annotated(Part):
    """Long recordings with the keyword written down, judged at the bundle's threshold."""

    recordings: int = Field(ge=1)
    words: int = Field(ge=0)
    misses: int = Field(ge=0)
    false_alarms: int = Field(ge=0)
    hours: FiniteFloat = Field(gt=0)
    claims: dict[str, str]
    latency: DetectionLatency | None
    missed: Listed
    alarms: Listed


class Averaged(Part):
    """With scores averaged over neighbouring positions, at the threshold that is for those."""

    threshold: FiniteFloat
    claims: dict[str, str]


class Metrics(Part):
    """`metrics.json` of an evaluation."""

    keyword: str
    uyan: str
    bundle: BundleFacts
    data: DataFacts
    false_alarms: Alarms
    loudest_alarms: list[Loud]
    conditions: dict[str, Condition] = Field(min_length=1)
    conditions_note: str
    clip_level: ClipLevel
    claims: dict[str, str]
    tta: Averaged
    near_words: NearWords | None
    not_measured: list[str]
    warnings: list[str]
    annotated: Annotated | None = None


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
