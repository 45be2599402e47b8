"""The rule that switches to the focal loss, and that it does so once, for good, through a resume too."""

import json
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from uyan.training.config import TrainingConfig
from uyan.training.focal_switch import FocalSwitch, Rates, should_switch

LEANS = (0.2, 0.001)
CONFIG = TrainingConfig(epochs=10)


@pytest.mark.parametrize(
    ("history", "share_done", "expected"),
    [
        ([LEANS, LEANS], 0.3, True),
        ([LEANS, LEANS], 0.29, False),
        ([LEANS], 0.9, False),
        ([], 0.9, False),
        ([LEANS, (0.09, 0.001)], 0.9, False),
        ([LEANS, (0.2, 0.02)], 0.9, False),
        ([(0.1, 0.01), (0.1, 0.01)], 0.5, True),
        ([LEANS, (0.0, 0.0), LEANS], 0.9, False),
        ([(0.9, 0.9), LEANS, LEANS], 0.9, True),
        ([LEANS, (float("nan"), 0.0)], 0.9, False),
    ],
)
def test_the_rule(history: list[Rates], share_done: float, expected: bool) -> None:
    assert should_switch(history, share_done) is expected


def validate(callback: FocalSwitch, module: Any, epoch: int, rates: Rates, state: dict[Any, Any] | None = None) -> None:
    """`state` is the optimizer's."""
    misses, alarms = map(torch.tensor, rates)
    metrics = {"val_position_miss_rate": misses, "val_position_false_alarm_rate": alarms}
    trainer: Any = SimpleNamespace(
        sanity_checking=False,
        callback_metrics=metrics,
        current_epoch=epoch,
        optimizers=[SimpleNamespace(state=state or {})],
    )
    callback.on_validation_end(trainer, module)


def started(callback: FocalSwitch) -> Any:
    module = SimpleNamespace()
    callback.on_fit_start(None, module)  # type: ignore[arg-type]
    return module


def test_it_switches_once_for_good_and_says_why() -> None:
    told: list[str] = []
    callback = FocalSwitch(CONFIG, told.append)
    module = started(callback)
    seen = []
    for epoch, rates in enumerate([LEANS, LEANS, (0.123, 0.0045), (0.0, 0.5), LEANS, LEANS]):
        validate(callback, module, epoch, rates)
        seen.append(module.focal)
    assert seen == [False, False, True, True, True, True]
    assert callback.epoch == 2
    assert callback.reason == (
        "after epoch 3 of 10, and for 2 validations in a row, 12.3 % of the word's positions are missed (≥ 10 %) "
        "while 0.45 % of the others raise an alarm (≤ 1 %)"
    )
    assert told == [
        f"{callback.reason}: going on with the focal loss (alpha 0.25, gamma 2), without smoothing and class weights"
    ]


def test_the_optimizer_forgets_the_gradients_of_the_first_loss() -> None:
    callback = FocalSwitch(CONFIG, lambda line: None)
    module, state = started(callback), {"weight": "moments"}
    for epoch in range(2):
        validate(callback, module, epoch, LEANS, state)
        assert state == {"weight": "moments"}
    validate(callback, module, 2, LEANS, state)
    assert module.focal and state == {}


def test_told_to_it_switches_whatever_validation_says() -> None:
    told: list[str] = []
    callback = FocalSwitch(TrainingConfig(epochs=10, focal_switch="always"), told.append)
    module = started(callback)
    seen = []
    for epoch in range(5):
        validate(callback, module, epoch, (0.0, 0.5))
        seen.append(module.focal)
    assert seen == [False, False, True, True, True]
    assert callback.reason == "after epoch 3 of 10, as the recipe says"
    assert len(told) == 1


def test_turned_off_it_never_switches() -> None:
    callback = FocalSwitch(TrainingConfig(epochs=4, focal_switch="never"), pytest.fail)
    module = started(callback)
    for epoch in range(4):
        validate(callback, module, epoch, LEANS)
    assert module.focal is False and callback.epoch is None


@given(
    st.lists(st.tuples(st.sampled_from([0.05, 0.2]), st.sampled_from([0.001, 0.02])), max_size=10), st.integers(0, 10)
)
def test_resumed_it_does_the_same(history: list[Rates], cut: int) -> None:
    told: list[str] = []
    whole, first, second = (FocalSwitch(CONFIG, told.append) for _ in range(3))
    module = started(whole)
    for epoch, rates in enumerate(history):
        validate(whole, module, epoch, rates)
    early = started(first)
    for epoch, rates in enumerate(history[:cut]):
        validate(first, early, epoch, rates)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    late = started(second)
    for epoch, rates in list(enumerate(history))[cut:]:
        validate(second, late, epoch, rates)
    assert second.state_dict() == whole.state_dict()
    assert late.focal is module.focal
    assert len(told) in (0, 2)  # the whole run and the interrupted one, once each


class Missing(pl.LightningModule):
    """Misses everything in validation, and notes by which loss each epoch is trained."""

    focal = False

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[bool] = []

    def training_step(self, batch: torch.Tensor, number: int) -> torch.Tensor:
        self.seen.append(self.focal)
        return (self.weight - batch).square().mean()

    def validation_step(self, batch: torch.Tensor, number: int) -> None:
        self.log("val_position_miss_rate", torch.tensor(1.0))
        self.log("val_position_false_alarm_rate", torch.tensor(0.0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore::Warning:lightning")
def test_in_a_trainer_the_next_epoch_is_focal() -> None:
    module, callback = Missing(), FocalSwitch(TrainingConfig(epochs=10), lambda line: None)
    trainer = pl.Trainer(
        max_epochs=5,
        accelerator="cpu",
        logger=False,
        callbacks=[callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batch = DataLoader(torch.ones(2, 1), batch_size=2)  # type: ignore[arg-type]
    trainer.fit(module, batch, batch)
    # The sanity check before the training is no validation: the third one, at 30 %, is the first that can switch.
    assert callback.epoch == 2
    assert module.seen == [False, False, False, True, True]
