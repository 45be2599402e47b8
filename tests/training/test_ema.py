"""The averaged weights against arithmetic done by hand, and through phases, checkpoints and a broken validation."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from uyan.training.checkpoint import SafetensorsIO
from uyan.training.config import TrainingConfig
from uyan.training.ema import AveragedWeights

pytestmark = pytest.mark.filterwarnings("ignore::Warning:lightning")

IO = SafetensorsIO("c0ffee")
CONFIG = TrainingConfig(epochs=5, ema_decay=0.3, ema_late_decay=0.6, ema_late_epochs=2)
"""Decays low enough for three steps an epoch to show."""


class Line(pl.LightningModule):
    """y = w · norm(x), trained with momentum; notes the weight that validation sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.norm = nn.BatchNorm1d(1, affine=False)
        self.register_buffer("offset", torch.tensor(0.1))
        self.validated: list[float] = []
        self.trained: list[float] = []

    def training_step(self, batch: Tensor, number: int) -> Tensor:
        return ((self.weight * self.norm(batch) - 3 * batch) ** 2).mean()

    def on_train_batch_end(self, outputs: Any, batch: Any, number: int) -> None:
        self.trained.append(self.weight.item())

    def validation_step(self, batch: Tensor, number: int) -> None:
        self.validated.append(self.weight.item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def batches() -> DataLoader[Any]:
    values = torch.randn(12, 1, generator=torch.Generator().manual_seed(3))
    return DataLoader(values, batch_size=4)  # type: ignore[arg-type]


def trainer_of(folder: Path, epochs: int, averaged: AveragedWeights) -> pl.Trainer:
    keep = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    keep.FILE_EXTENSION = ".safetensors"
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[keep, averaged],
        plugins=[IO],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def train(folder: Path, ends: list[int]) -> tuple[Line, AveragedWeights]:
    """Phases up to each of `ends`, each with everything new but the checkpoint."""
    for end in ends:
        module, averaged = Line(), AveragedWeights(CONFIG)
        last = folder / "last.safetensors"
        trainer_of(folder, end, averaged).fit(module, batches(), batches(), ckpt_path=last if last.is_file() else None)
    return module, averaged


def update(averaged: AveragedWeights, module: pl.LightningModule, epoch: int = 0) -> None:
    averaged.on_train_batch_end(SimpleNamespace(current_epoch=epoch), module, None, None, 0)  # type: ignore[arg-type]


def started(config: TrainingConfig = CONFIG) -> tuple[Line, AveragedWeights]:
    module, averaged = Line(), AveragedWeights(config)
    averaged.on_fit_start(None, module)  # type: ignore[arg-type]
    return module, averaged


def test_three_updates_by_hand() -> None:
    module, averaged = started()
    for weight in (1.0, 2.0, 4.0):
        module.weight.data.fill_(weight)
        update(averaged, module)
    assert averaged.weights["weight"].item() == pytest.approx((0.3**2 * 1.0 + 0.3 * 2.0 + 4.0) / (0.3**2 + 0.3 + 1))


def test_a_late_decay_by_hand() -> None:
    module, averaged = started()
    for weight, epoch in ((1.0, 2), (2.0, 3), (4.0, 4)):
        module.weight.data.fill_(weight)
        update(averaged, module, epoch)
    shares = 0.6 * 0.6 * 0.7, 0.6 * 0.4, 0.4  # each update by 1 − d of its own, forgotten by d of those after it
    expected = (shares[0] * 1.0 + shares[1] * 2.0 + shares[2] * 4.0) / sum(shares)
    assert averaged.weights["weight"].item() == pytest.approx(expected)


def test_many_updates_are_the_plain_moving_average() -> None:
    module, averaged = started(TrainingConfig(epochs=40))
    for _ in range(300):
        update(averaged, module)
    averaged.seen = 1.0  # where it tends to
    module.weight.data.fill_(1.0)
    update(averaged, module)
    assert averaged.weights["weight"].item() == pytest.approx(0.001)
    assert averaged.seen == pytest.approx(1.0)


def test_the_decay_rises_late() -> None:
    averaged = AveragedWeights(TrainingConfig(epochs=40))
    assert [averaged.current_decay(epoch) for epoch in (0, 29, 30, 39)] == [0.999, 0.999, 0.9995, 0.9995]
    short = AveragedWeights(TrainingConfig(epochs=8, ema_late_epochs=10))
    assert [short.current_decay(epoch) for epoch in (0, 3, 4, 7)] == [0.999, 0.999, 0.9995, 0.9995]


def test_the_beginning_is_forgotten_at_once() -> None:
    module, averaged = started(TrainingConfig(epochs=40))
    averaged.weights["weight"].fill_(1e6)  # weights training began with, far away
    update(averaged, module)
    assert averaged.weights["weight"].item() == 0.0


def test_buffers() -> None:
    module, averaged = started()
    module.norm.running_mean.fill_(5.0)  # type: ignore[union-attr]
    module.norm.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    for _ in range(50):
        update(averaged, module)
        assert torch.equal(averaged.weights["offset"], module.offset)  # type: ignore[arg-type]
    assert averaged.weights["norm.running_mean"].item() == pytest.approx(5.0)
    assert averaged.weights["norm.num_batches_tracked"].item() == 7
    assert averaged.weights["norm.num_batches_tracked"].dtype == torch.int64


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=30), st.integers(0, 4))
def test_an_average_lies_among_what_it_averages(weights: list[float], epoch: int) -> None:
    module, averaged = started()
    for weight in weights:
        module.weight.data.fill_(weight)
        update(averaged, module, epoch)
    assert min([0.0, *weights]) - 1e-5 <= averaged.weights["weight"].item() <= max([0.0, *weights]) + 1e-5


def test_put_in_for_validation_and_taken_back() -> None:
    module, averaged = started()
    for weight in (0.7, 0.3):
        module.weight.data.fill_(weight)
        update(averaged, module)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    parameter = module.weight
    averaged.on_validation_start(None, module)  # type: ignore[arg-type]
    assert module.weight is parameter  # in place: the optimizer keeps its hold
    assert module.weight.item() == pytest.approx((0.3 * 0.7 + 0.3) / 1.3)
    averaged.on_validation_end(None, module)  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_validation_sees_the_average_and_training_does_not(tmp_path: Path) -> None:
    module, _ = train(tmp_path, [4])
    decays = [0.3] * 9 + [0.6] * 3  # three steps an epoch, the last two of five epochs late
    total, count, expected = 0.0, 0.0, []
    for decay, weight in zip(decays, module.trained, strict=True):
        total, count = decay * total + (1 - decay) * weight, decay * count + (1 - decay)
        expected.append(total / count)
    assert module.validated[::3] == pytest.approx(expected[2::3])
    assert module.weight.item() == module.trained[-1] != module.validated[-1]


@pytest.mark.parametrize("ends", [[2, 4, 5], [1, 2, 3, 4, 5]])
def test_phases_give_what_one_fit_gives(tmp_path: Path, ends: list[int]) -> None:
    whole, whole_average = train(tmp_path / "whole", [5])
    phased, phased_average = train(tmp_path / "phased", ends)
    assert phased.weight.item() == whole.weight.item()
    assert phased_average.seen == whole_average.seen
    for name, value in whole_average.weights.items():
        assert torch.equal(phased_average.weights[name], value)
        assert torch.equal(phased.state_dict()[name], whole.state_dict()[name])


def test_a_checkpoint_holds_both(tmp_path: Path) -> None:
    module, averaged = train(tmp_path, [2])
    checkpoint = IO.load_checkpoint(tmp_path / "last.safetensors")
    assert checkpoint["state_dict"]["weight"].item() == averaged.weights["weight"].item()
    assert checkpoint["current_model_state"]["weight"].item() == module.weight.item()
    assert module.weight.item() != averaged.weights["weight"].item()


def test_a_validation_that_breaks_leaves_the_trained_weights(tmp_path: Path) -> None:
    class Broken(Line):
        def validation_step(self, batch: Tensor, number: int) -> None:
            super().validation_step(batch, number)
            raise RuntimeError("no")

    module = Broken()
    with pytest.raises(RuntimeError, match="no"):
        trainer_of(tmp_path, 2, AveragedWeights(CONFIG)).fit(module, batches(), batches())
    assert module.weight.item() == module.trained[-1] != module.validated[-1]
