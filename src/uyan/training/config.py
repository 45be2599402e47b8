"""How the network is trained."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uyan.errors import ConfigError


@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation of the weights."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    epochs: int = 20
    learning_rate: float = 1e-3
    """Peak of the schedule: linear warm-up, then a cosine down to zero."""
    warmup_share: float = 0.05
    """Share of all steps that warm up."""
    weight_decay: float = 1e-2
    """Of convolution weights; biases and norms are not decayed."""
    label_smoothing: float = 0.05
    seed: int = 42

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"training.epochs must be at least 1, not {self.epochs}")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ConfigError("training: learning_rate must be positive and weight_decay not negative")
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.warmup_share < 1:
            raise ConfigError("training: label_smoothing and warmup_share must lie in [0, 1)")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"training.seed must lie in 0..{2**32 - 1}, not {self.seed}")
