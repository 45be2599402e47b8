"""What a report shows of an evaluation, as it lies in its JSON file; `run_contents` and `kfold_contents` go on.

Only the fields that the page shows are named here; files may hold more. A figure that is no number does not validate:
what lies in a folder may come from strangers. It knows nothing of files, pages or pictures.
"""

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from uyan.evaluation.detection_latency import DetectionLatency
from uyan.evaluation.false_alarms import SourceRate
from uyan.evaluation.intervals import Interval, wider
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

    @property
    def bounds(self) -> Interval:
        """The interval to quote."""
        return wider(self.miss_interval, self.speaker_interval)


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
