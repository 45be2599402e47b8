"""The recipe: one YAML file that says everything a run depends on, validated before anything starts.

A section a stage, each a small frozen model defined beside the code that uses it; an unknown key is an error that names
the field. Paths are relative to the recipe's folder. It knows what the fields mean and runs nothing.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from uyan.data.augment import AugmentConfig
from uyan.data.examples import BatchConfig
from uyan.data.recording import normal_word
from uyan.data.split import SplitConfig
from uyan.data.variants import VariantConfig
from uyan.decision import DetectorConfig
from uyan.errors import ConfigError
from uyan.frontend import FrontendConfig
from uyan.model.network import USUAL_WINDOW_S, NetworkConfig
from uyan.search import SearchConfig, examples
from uyan.storage.local_copies import DEFAULT_GB
from uyan.training.config import MiningConfig, PretrainConfig, TrainingConfig

# Besides YAMLError: a date that does not exist is a ValueError, endless nesting a RecursionError.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)


HARD_SHARE = 0.25, 0.35
"""Of a batch, from the pool (MISSION 1.5)."""
_KINDS = ("int", "float", "literal['auto']")

NO_EFFECT = (
    ("data", "max_bad_share"),
    ("batches", "workers"),
    ("batches", "validation_workers"),
    ("batches", "prefetch"),
)
"""Fields that change how or whether a run goes on, and no figure of it."""
APART = frozenset({"cache", "search"})
"""Sections of which the same is true."""
LEFT_OPEN = (("data", "loader", "auto"),)
"""Fields and the value at which they say nothing: it counts in no digest, as in recipes from before the field. What is
decided then is kept in the run's folder."""


class Section(BaseModel):
    """A frozen model without unknown keys or numbers that YAML and JSON spell differently (NaN, infinity)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """What to learn from."""

    manifests: tuple[str, ...] = Field(min_length=1)
    """CSV or Parquet files, relative to the recipe, or URLs."""
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """Stop before training when more than this share of the recordings cannot be used."""
    max_positives: int | None = Field(default=None, ge=0)
    """Train on this many real recordings of the keyword at most; validation and test stay whole (learning curves)."""
    max_positive_speakers: int | None = Field(default=None, ge=0)
    """Train on the keyword of this many real speakers at most."""
    synthetic_share: float | None = Field(default=0.5, ge=0, lt=1)
    """Of the positives drawn, and of the negatives, that synthetic voices speak, where there are real ones as well; 0
    leaves them out of training, null draws every recording as often as any other."""
    source_weights: dict[str, float] = Field(default_factory=dict)
    """How often recordings of a source (the manifests' column) are drawn relative to others, which have 1."""
    loader: Literal["auto", "resident", "files"] = "auto"
    """Where batches come from: resident, features that all stay in memory, on the GPU where there is one; files, loader
    processes that read the feature cache; auto, resident where the features fit. The same distribution of batches, not
    the same batches."""

    @field_validator("source_weights")
    @classmethod
    def _weights_not_negative(cls, weights: dict[str, float]) -> dict[str, float]:
        if wrong := [source for source, weight in weights.items() if weight < 0]:
            raise ConfigError(f"data.source_weights: the weight of {wrong[0]!r} is negative; 0 draws none of it")
        return weights


class CacheConfig(Section):
    """Where features are kept; changes no result."""

    folder: str | None = None
    """Relative to the recipe; by default `cache` beside the run's folder, shared by its neighbours."""
    max_ram_gb: float | None = Field(default=None, gt=0)
    """Budget of the whole process tree; by default 12 on a 64 GB machine and in proportion below."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that decode; by default one a core."""
    read_from: str | None = None
    """A folder like `features` in `folder`, relative to the recipe, or a URL: what features it has are taken from there
    instead of being made; nothing is written to it."""
    remote_gb: float = Field(default=DEFAULT_GB, gt=0)
    """Copies of short files behind URLs take this much of the folder's disk at most."""


class CalibrationConfig(Section):
    """What the threshold is chosen for."""

    target_fah: float = Field(default=0.5, gt=0)
    """False alarms per hour that are acceptable."""


class EvaluationConfig(Section):
    """How the test split is made harder."""

    snr_db: tuple[float, ...] = (10.0, 5.0)
    """Besides clean: positives with the test split's noise at these signal-to-noise ratios."""
    telephone: bool = True
    """Also judge positives through a telephone: 300–3400 Hz, 8 kHz, µ-law."""
    near_words: tuple[str, ...] = ()
    """Manifests of recordings that almost are the keyword, by voices that train nothing, their label a category."""


class Recipe(Section):
    """Everything a run depends on."""

    keyword: str = Field(min_length=1)
    data: DataConfig
    split: SplitConfig = SplitConfig()
    frontend: FrontendConfig = FrontendConfig()
    network: NetworkConfig = NetworkConfig()
    batches: BatchConfig = BatchConfig()
    variants: VariantConfig = VariantConfig()
    augment: AugmentConfig = AugmentConfig()
    pretrain: PretrainConfig = PretrainConfig()
    training: TrainingConfig = TrainingConfig()
    mining: MiningConfig = MiningConfig()
    detector: DetectorConfig = DetectorConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    cache: CacheConfig = CacheConfig()
    search: SearchConfig | None = None
    """What `uyan tune` may change."""

    @field_validator("keyword")
    @classmethod
    def _keyword_as_labels_are_read(cls, keyword: str) -> str:
        normal = normal_word(keyword)
        if not normal or not normal.isprintable():
            raise ConfigError(f"keyword: {keyword!r} is empty or holds control characters")
        return normal

    @model_validator(mode="after")
    def _hop_within_window(self) -> "Recipe":
        window_s = USUAL_WINDOW_S if self.network.window_s == "auto" else self.network.window_s
        if self.detector.hop_s > window_s:
            raise ConfigError(
                f"detector.hop_s {self.detector.hop_s:g} is longer than network.window_s {window_s:g}: "
                "audio between two windows would never be heard"
            )
        return self

    @model_validator(mode="after")
    def _share_of_hard_negatives(self) -> "Recipe":
        share = self.batches.ratio[2] / sum(self.batches.ratio)
        low, high = HARD_SHARE
        if self.mining.rounds and not low <= share <= high:
            raise ConfigError(
                f"batches.ratio {self.batches.ratio} gives hard negatives {share:.0%} of a batch; with mining it must "
                f"be {low:.0%} to {high:.0%} (1:1:1 or 1:2:1), or set mining.rounds to 0"
            )
        return self

    @model_validator(mode="after")
    def _search_tries_what_fits(self) -> "Recipe":
        for name, tried in (self.search.fields if self.search else {}).items():
            if tuple(name.split(".")) in NO_EFFECT:
                raise ConfigError(f"search.fields.{name}: cannot be searched, for it changes no figure")
            for value in examples(tried):
                self.with_fields({name: value}, f"search.fields.{name}, value {value!r}")
        return self

    def with_fields(self, values: Mapping[str, Any], source: str = "recipe") -> "Recipe":
        """The recipe with other values of some fields, by dotted name, and nothing to search.

        Raises ConfigError, which `source` begins, for values that do not fit.
        """
        raw = json.loads(self.model_dump_json(exclude={"search"}))
        for name, value in values.items():
            section, _, field = name.partition(".")
            raw.setdefault(section, {})[field] = value
        return parse_recipe(raw, source)

    def field(self, name: str) -> Any:
        """The value of a field by its dotted name, as JSON has it."""
        section, _, field = name.partition(".")
        return json.loads(self.model_dump_json(include={section}))[section][field]

    def to_yaml(self) -> str:
        """Every field, defaults included; of the search, what was asked for."""
        fields = json.loads(self.model_dump_json(exclude=None if self.search else {"search"}))
        return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)

    def digest(self) -> str:
        """sha256 over every field that can change a result, 64 hex digits (MISSION 5.3)."""
        return self._sha256({*type(self).model_fields} - APART)

    def training_digest(self) -> str:
        """The same over all but the test: events at the target FAH choose the epoch whose weights are kept."""
        return self._sha256({*type(self).model_fields} - APART - {"evaluation"})

    def _sha256(self, sections: set[str]) -> str:
        return settings_digest(json.loads(self.model_dump_json(include=sections)))


def settings_digest(sections: Mapping[str, Any]) -> str:
    """sha256 of a recipe's sections as JSON has them, less the fields that change no figure or say nothing, in hex."""
    kept = dict(sections)
    for section, field in NO_EFFECT:
        kept[section] = {name: value for name, value in kept[section].items() if name != field}
    for section, field, open_value in LEFT_OPEN:
        if kept[section].get(field) == open_value:
            kept[section] = {name: value for name, value in kept[section].items() if name != field}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `key=value` overrides (dotted keys, YAML values).

    Raises ConfigError naming the file and the field.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; name a recipe, {path / 'my_word.yaml'} for example")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as reason:
        raise ConfigError(f"{path}: cannot be read ({reason.strerror})") from reason
    except _NOT_YAML as reason:
        raise ConfigError(f"{path}: cannot be read as YAML ({_yaml_problem(reason)})") from reason
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of sections; see recipes/ for worked examples")
    for override in overrides:
        _apply(raw, override)
    return parse_recipe(raw, str(path))


def parse_recipe(raw: Mapping[str, Any], source: str) -> Recipe:
    """Validate a mapping. Raises ConfigError naming the field."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as reason:
        problems: dict[str, list[str]] = {}
        for error in reason.errors():
            problems.setdefault(_field(error["loc"]), []).append(_problem(error["type"], error["loc"], error["msg"]))
        listed = "\n".join(f"  {field}: {'; or: '.join(messages)}" for field, messages in problems.items())
        raise ConfigError(f"{source}: not a valid recipe\n{listed}") from None
    except ConfigError as reason:
        raise ConfigError(f"{source}: {reason}") from None


def _yaml_problem(reason: Exception) -> str:
    """Where and what, in one line."""
    if isinstance(reason, yaml.MarkedYAMLError) and reason.problem_mark:
        mark = reason.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {reason.problem}"
    return " ".join(str(reason).split())


def _problem(kind: str, location: tuple[int | str, ...], message: str) -> str:
    """What is wrong with a field; of an unknown one, which was meant."""
    if kind != "extra_forbidden" and kind != "unexpected_keyword_argument":
        return message
    known = _known_fields(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    return f"no such setting; did you mean {near[0]}?" if near else f"no such setting; there are {', '.join(known)}"


def _known_fields(section: tuple[int | str, ...]) -> list[str]:
    """Names in a section of the recipe; at its top where the section is not one."""
    kind: Any = Recipe
    for name in section:
        kind = get_type_hints(kind).get(str(name), kind)
        kind = next((one for one in get_args(kind) if hasattr(one, "__annotations__")), kind)  # of a section or none
    names = get_type_hints(kind) if isinstance(kind, type) else {}
    return sorted(name for name in names if not name.startswith("_") and name != "model_config")


def _field(location: tuple[int | str, ...]) -> str:
    """The field's dotted name; where it takes one of several kinds, pydantic adds which of them did not fit."""
    parts = location[:-1] if location and location[-1] in _KINDS else location
    return ".".join(str(part) for part in parts) or "recipe"


def _apply(raw: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override!r}: write it as key=value, training.epochs=10 for example")
    *sections, name = key.split(".")
    for section in sections:
        raw = raw.setdefault(section, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"--set {override!r}: {section} is not a section")
    try:
        raw[name] = yaml.safe_load(text)
    except _NOT_YAML as reason:
        raise ConfigError(f"--set {override!r}: the value is not YAML ({_yaml_problem(reason)})") from reason
