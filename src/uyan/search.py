"""What a recipe lets `uyan tune` change: fields with a range or a list of values, how many trials, and limits.

Values are checked against the recipe by the recipe itself. It knows neither who chooses among the values nor how a
trial is judged.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from uyan.errors import ConfigError

INSIDE = 0.382
"""A value so far between the ends is tried as well: a whole number is wanted where it is refused."""
STEP_ERROR = 1e-6
"""Of the number of steps between the ends, for ends and steps that binary numbers do not hold exactly."""
EXAMPLE = (
    "search: {fields: {training.learning_rate: {low: 1e-4, high: 3e-3, log: true}, network.size: [small, medium]}}"
)

REFUSED = {
    "keyword": "is another word",
    "data": "changes which recordings there are, and with them those that judge",
    "split": "changes who judges",
    "detector": "changes how events are counted: a longer lock-out has fewer false alarms with any network",
    "calibration": "is the rate at which trials are compared",
    "evaluation": "is the test, which no trial sees",
    "cache": "changes no figure",
    "search": "is the search itself",
    "training.seed": "is chance and no setting: the best of many seeds is the luckiest",
    "mining.manifests": "changes which recordings there are",
}
"""Sections and fields that no search may change, and why."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where the field takes whole ones alone."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    """As many trials from 0.001 to 0.01 as from 0.01 to 0.1."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"low {self.low:g} must be below high {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ConfigError("log needs a low above 0, and goes without step")
        if self.step is not None:
            steps = (self.high - self.low) / self.step if self.step > 0 else math.inf
            if not abs(steps - round(min(steps, 1e9))) <= STEP_ERROR:
                raise ConfigError(f"high {self.high:g} must lie a whole number of steps of {self.step:g} above low")

    @property
    def steps(self) -> int:
        """Between the ends; 0 of a range without."""
        return round((self.high - self.low) / self.step) if self.step else 0

    def on_step(self, number: int) -> float:
        """The value so many steps above `low`, in the decimals that both are written in; the last is `high`.

        >>> Range(0.1, 0.7, step=0.2).on_step(1), 0.1 + 0.2
        (0.3, 0.30000000000000004)
        """
        if number == self.steps:
            return float(self.high)
        return float(Decimal(repr(self.low)) + number * Decimal(repr(self.step)))

    def examples(self) -> list[float]:
        """Both ends and a value between them; of whole ends without step, a whole one."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        between = self.low + (self.step or (1 if whole else INSIDE * (self.high - self.low)))
        return [self.low, between, self.high]


Values = tuple[Any, ...]
"""A list of values, any that the field takes."""


class Limits(BaseModel):
    """What no trial may exceed; decided before it trains, by the untrained network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_parameters: int | None = Field(default=None, gt=0)
    max_model_kb: float | None = Field(default=None, gt=0)
    """The network as ONNX, 10^3 bytes; what a bundle holds besides is its figures."""
    max_window_us: float | None = Field(default=None, gt=0)
    """Median time of one window with onnxruntime on one thread of the machine that searches."""


def _searched(raw: Any) -> Any:
    """Each field's mapping or list as what it means. Raises ConfigError naming the field."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"search.fields: names fields and what to try of them, not {raw!r}; {EXAMPLE}")
    return {str(name): _tried(str(name), values) for name, values in raw.items()}


def _tried(name: str, raw: Any) -> Range | Values:
    where = f"search.fields.{name}"
    if isinstance(raw, Range | tuple):
        return raw
    if isinstance(raw, list):
        if not raw or any(value in raw[:place] for place, value in enumerate(raw)):
            raise ConfigError(f"{where}: {raw} must hold at least one value, and each once")
        return tuple(raw)
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: a list of values or {{low: …, high: …}}, not {raw!r}")
    known = [field.name for field in fields(Range)]
    if unknown := [key for key in raw if key not in known]:
        raise ConfigError(f"{where}.{unknown[0]}: no such setting; there are {', '.join(known)}")
    if not {"low", "high"} <= raw.keys():
        raise ConfigError(f"{where}: a range needs low and high")
    if not isinstance(raw.get("log", False), bool):
        raise ConfigError(f"{where}.log: true or false, not {raw['log']!r}")
    low, high = (_number(f"{where}.{end}", raw[end]) for end in ("low", "high"))
    step = None if raw.get("step") is None else _number(f"{where}.step", raw["step"])
    try:
        return Range(low, high, step, raw.get("log", False))
    except ConfigError as reason:
        raise ConfigError(f"{where}: {reason}") from None


def _number(where: str, raw: Any) -> float:
    """YAML 1.1 reads 1e-4, without a point, as text."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ConfigError(f"{where}: a number, not {raw!r}")
    try:
        return raw if isinstance(raw, int) else float(raw)
    except ValueError:
        raise ConfigError(f"{where}: a number, not {raw!r}") from None


class SearchConfig(BaseModel):
    """What `uyan tune` may change, how often it tries, and what a trial must keep to; changes no figure of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trials: int = Field(default=20, ge=1)
    """Trainings; what the limits rule out is not trained and does not count."""
    batch: int = Field(default=4, ge=1)
    """Trials chosen at once, before any of them is judged: as many can run side by side, and how many do changes
    nothing."""
    fields: Annotated[dict[str, Range | Values], BeforeValidator(_searched)] = Field(default_factory=dict)
    """Field of the recipe → what to try."""
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _may_be_searched(self) -> "SearchConfig":
        if not self.fields:
            raise ConfigError(f"search.fields: names no field to try values of; {EXAMPLE}")
        for name in self.fields:
            if name.count(".") != 1 and name.partition(".")[0] not in REFUSED:
                raise ConfigError(f"search.fields.{name}: name one field of a section, network.size for example")
            if reason := REFUSED.get(name) or REFUSED.get(name.partition(".")[0]):
                raise ConfigError(f"search.fields.{name}: cannot be searched, for it {reason}")
        return self


def examples(tried: Range | Values) -> Sequence[Any]:
    """Values that must be valid in the recipe for all of them to be."""
    return tried.examples() if isinstance(tried, Range) else tried
