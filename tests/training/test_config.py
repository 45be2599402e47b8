"""What the training's settings refuse, and what auto comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import ConfigError
from uyan.training.config import (
    AUTO_STEPS,
    LEAST_EPOCHS,
    MOST_EPOCHS,
    MiningConfig,
    PretrainConfig,
    TrainingConfig,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1 or auto, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive or auto, not 0.0"),
        ({"weight_decay": -1.0}, "weight_decay cannot be negative, as -1.0 is"),
        ({"label_smoothing": 1.0}, "label_smoothing and warmup_share"),
        ({"warmup_share": -0.1}, "label_smoothing and warmup_share"),
        ({"ema_decay": 1.0}, "EMA decays must lie in"),
        ({"ema_late_epochs": -1}, "ema_late_epochs cannot be negative"),
        ({"clip_factor": 0.5}, "clip_factor must be at least 1"),
        ({"clip_norm": 0.0}, "clip_norm positive"),
        ({"focal_alpha": 0.0}, "focal_alpha must lie in"),
        ({"focal_gamma": -1.0}, "focal_gamma cannot be negative"),
        ({"init": ""}, "init must be one of auto, scratch, words"),
        ({"init": "model.pt"}, "not 'model.pt'"),
        ({"seed": -1}, "seed must lie in"),
    ],
)
def test_training_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [{"rounds": -1}, {"max_windows": 0}, {"threshold": 1.0}, {"threshold": -0.1}], ids=str
)
def test_mining_refuses(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="mining"):
        MiningConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"learning_rate": 0.0}, {"min_recordings": 0}], ids=str)
def test_pretraining_refuses(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="pretrain"):
        PretrainConfig(**changes)  # type: ignore[arg-type]


@given(st.integers(1, 100_000))
def test_auto_epochs_make_enough_steps_within_bounds(batches: int) -> None:
    epochs = TrainingConfig().resolved(batches).epoch_count
    assert LEAST_EPOCHS <= epochs <= MOST_EPOCHS
    assert epochs * batches >= AUTO_STEPS or epochs == MOST_EPOCHS
    assert (epochs - 1) * batches < AUTO_STEPS or epochs == LEAST_EPOCHS


def test_epochs_that_are_given_stay() -> None:
    assert TrainingConfig(epochs=3).resolved(5).epoch_count == 3


def test_auto_is_no_number_before_the_batches_are_known() -> None:
    with pytest.raises(ConfigError, match="still auto"):
        _ = TrainingConfig().epoch_count
