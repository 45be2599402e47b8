"""How the network is trained: optimisation, hard-negative mining, and what the trunk learns before the word."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from uyan.errors import ConfigError

AUTO_STEPS, LEAST_EPOCHS, MOST_EPOCHS = 3_000, 6, 100
"""What `epochs: auto` goes by: about six minutes on one core with the default network."""
STARTS, START_FILES = ("auto", "scratch", "words"), (".safetensors", ".onnx")
"""What a network may start from, besides files."""
_STRICT: dict[str, Any] = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation of the weights."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    epochs: int | Literal["auto"] = "auto"
    """auto: as many as it takes to make `AUTO_STEPS` steps, but between `LEAST_EPOCHS` and `MOST_EPOCHS`."""
    learning_rate: float | Literal["auto"] = 1e-3
    """Peak of the schedule: linear warm-up, then a cosine down to zero; auto takes the LR finder's suggestion."""
    warmup_share: float = 0.05
    """Share of the training that warms up."""
    weight_decay: float = 1e-2
    """Of convolution weights; biases and norms are not decayed."""
    label_smoothing: float = 0.05
    ema_decay: float = 0.999
    """Of the averaged weights, which are what is validated, mined with and exported (MISSION 2.1)."""
    ema_late_decay: float = 0.9995
    """In the last `ema_late_epochs`, or in the second half of a shorter training."""
    ema_late_epochs: int = 10
    clip_factor: float = 5.0
    """A gradient norm above this many times its running median is clipped to `clip_norm` (MISSION 2.2)."""
    clip_norm: float = 1.0
    focal_switch: Literal["rule", "always", "never"] = "rule"
    """rule: go on with the focal loss once validation misses much and alarms little (MISSION 2.5); always: after
    three tenths of the training, whatever validation says."""
    focal_alpha: float = 0.25
    """Weight of positives in the focal loss; negatives weigh 1 − alpha."""
    focal_gamma: float = 2.0
    init: str = "auto"
    """What the network starts from: scratch; words, to learn all words of the training split first; auto, words where
    there are enough of them; or a trunk file or bundle."""
    seed: int = 42

    def __post_init__(self) -> None:
        if self.epochs != "auto" and self.epochs < 1:
            raise ConfigError(f"training.epochs must be at least 1 or auto, not {self.epochs}")
        if self.learning_rate != "auto" and self.learning_rate <= 0:
            raise ConfigError(f"training.learning_rate must be positive or auto, not {self.learning_rate}")
        if self.weight_decay < 0:
            raise ConfigError(f"training.weight_decay cannot be negative, as {self.weight_decay} is")
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.warmup_share < 1:
            raise ConfigError("training: label_smoothing and warmup_share must lie in [0, 1)")
        if not (0 <= self.ema_decay < 1 and 0 <= self.ema_late_decay < 1 and self.ema_late_epochs >= 0):
            raise ConfigError("training: EMA decays must lie in [0, 1) and ema_late_epochs cannot be negative")
        if self.clip_factor < 1 or self.clip_norm <= 0:
            raise ConfigError("training: clip_factor must be at least 1 and clip_norm positive")
        if not 0 < self.focal_alpha < 1 or self.focal_gamma < 0:
            raise ConfigError("training: focal_alpha must lie in (0, 1) and focal_gamma cannot be negative")
        if self.init not in STARTS and not self.init.endswith(START_FILES):
            raise ConfigError(
                f"training.init must be one of {', '.join(STARTS)}, or a trunk or bundle "
                f"({', '.join(START_FILES)}), not {self.init!r}"
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"training.seed must lie in 0..{2**32 - 1}, not {self.seed}")

    @property
    def epoch_count(self) -> int:
        """Epochs as a number. Raises ConfigError while they are auto: `resolved` knows them."""
        if self.epochs == "auto":
            raise ConfigError("training.epochs is still auto; the batches of an epoch decide")
        return self.epochs

    def resolved(self, batches: int) -> "TrainingConfig":
        """With a number for epochs that are auto, where an epoch has so many batches.

        >>> TrainingConfig().resolved(400).epochs, TrainingConfig().resolved(37).epochs
        (8, 82)
        """
        if self.epochs != "auto":
            return self
        return replace(self, epochs=min(MOST_EPOCHS, max(LEAST_EPOCHS, -(-AUTO_STEPS // batches))))


@dataclass(frozen=True)
class MiningConfig:
    """Hard-negative mining: what the network takes for the keyword is shown to it again (MISSION 1.5)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    rounds: int = 4
    """Scans of the training split's negatives, the first after a quarter of the training, the last after 85 %; 0 turns
    mining off, 1 is train, scan, train."""
    threshold: float = 0.3
    """Windows with a score above this enter the pool."""
    max_windows: int = 4000
    """A pool keeps this many at most: those of the latest round first, then those with the highest scores."""
    manifests: tuple[str, ...] = ()
    """More negatives, relative to the recipe or URLs, only scanned, straight from their files: any number of hours."""
    relocate: bool = False
    """After the first round, let the network find the word in each positive, in place of its energy. Over five folds
    of two words it made validation misses more, not fewer (LOG.md)."""

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.max_windows < 1:
            raise ConfigError("mining: rounds cannot be negative and max_windows must be at least 1")
        if not 0 <= self.threshold < 1:
            raise ConfigError(f"mining.threshold must lie in [0, 1), not {self.threshold}")


@dataclass(frozen=True)
class PretrainConfig:
    """What the trunk learns before the keyword, where `training.init` is words or auto."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    epochs: int = 8
    learning_rate: float = 2e-3
    min_recordings: int = 20
    """Words with fewer recordings in the training split are left out."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.min_recordings < 1:
            raise ConfigError("pretrain: epochs and min_recordings must be at least 1 and learning_rate positive")
