"""Schedule, optimizer groups and validation figures, against known answers."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import TrainingError
from uyan.model.network import Network, NetworkConfig
from uyan.training.config import TrainingConfig
from uyan.training.module import WakeWordModule, learning_rate_share


@pytest.fixture
def module() -> WakeWordModule:
    torch.manual_seed(0)
    return WakeWordModule(Network(NetworkConfig(size="small"), 64, 100), TrainingConfig(epochs=20), 2e-3)


def test_warm_up_and_cosine_by_hand() -> None:
    shares = [learning_rate_share(done, 0.1) for done in (0.0, 0.05, 0.1, 0.325, 0.55, 0.775, 1.0)]
    assert shares == pytest.approx([0.0, 0.5, 1.0, 0.853553, 0.5, 0.146447, 0.0], abs=1e-6)


@given(st.floats(0, 0.99))
def test_the_schedule_rises_then_falls(warmup_share: float) -> None:
    shares = [learning_rate_share(step / 200, warmup_share) for step in range(201)]
    peak = shares.index(max(shares))
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert min(shares) >= 0 and max(shares) <= 1 and shares[-1] == pytest.approx(0.0, abs=1e-9)


def test_the_rate_follows_the_epoch_and_not_a_count_of_steps(module: WakeWordModule) -> None:
    optimizer = module.configure_optimizers()
    for batches in (10, 40):  # an epoch that got longer, as after a round of mining
        trainer = SimpleNamespace(num_training_batches=batches, optimizers=[optimizer], current_epoch=10)
        module.trainer = trainer  # type: ignore[assignment]
        module.on_train_batch_start((torch.zeros(1), torch.zeros(1)), batches // 2)
        expected = 2e-3 * learning_rate_share(10.5 / module.config.epoch_count, module.config.warmup_share)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([expected] * 2)


def test_only_convolutions_decay_and_every_weight_is_trained(module: WakeWordModule) -> None:
    decayed, plain = module.configure_optimizers().param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (1e-2, 0.0)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert {names[id(p)] for p in decayed["params"] + plain["params"]} == set(names.values())
    kernels = {name for name, _ in module.named_parameters() if name.endswith("weight") and "norm" not in name}
    assert {names[id(p)] for p in decayed["params"]} == kernels


def test_dropout_is_a_function_of_seed_and_epoch(module: WakeWordModule) -> None:
    module.on_train_epoch_start()
    first = torch.rand(3)
    torch.rand(10)
    module.on_train_epoch_start()
    assert torch.equal(torch.rand(3), first)


class Fixed(torch.nn.Module):
    """A network that says keyword where its features say so."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.stack([-features, features], dim=1)


def validated(features: list[list[float]], labels: list[list[int]]) -> dict[str, float]:
    module = WakeWordModule(Fixed(), TrainingConfig(), 1e-3)  # type: ignore[arg-type]
    logged: dict[str, float] = {}

    def log(name: str, value: Any, **options: Any) -> None:
        logged[name] = float(value)

    module.log = log  # type: ignore[method-assign, assignment]
    module.validation_step((torch.tensor(features), torch.tensor(labels)), 0)
    return logged


def test_validation_figures_by_hand() -> None:
    # Keyword positions: heard, missed, heard, heard; background: quiet, false alarm, quiet; one ignored.
    features = [[1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, 1.0]]
    labels = [[1, 1, 1, 1], [0, 0, 0, -100]]
    logged = validated(features, labels)
    assert logged["val_position_miss_rate"] == pytest.approx(1 / 4)
    assert logged["val_position_false_alarm_rate"] == pytest.approx(1 / 3)
    assert 0 < logged["val_loss"] < 2


def test_better_scores_have_a_lower_validation_loss() -> None:
    labels = [[1, 1], [0, 0]]
    right, wrong = validated([[1.0, 1.0], [-1.0, -1.0]], labels), validated([[-1.0, 1.0], [-1.0, -1.0]], labels)
    assert right["val_loss"] < wrong["val_loss"]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_step_without_a_finite_loss_stops(module: WakeWordModule, poison: float) -> None:
    features = torch.full((2, 64, 100), poison)
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1, batch 4;.*learning_rate"):
        module.training_step((features, torch.tensor([[0], [1]])), 3)
