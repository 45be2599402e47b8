"""The norm of planted gradients, its median, and what is clipped."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uyan.errors import TrainingError
from uyan.training.gradient_norm import FEWEST, REMEMBERED, GradientNorm

TRAINER: Any = SimpleNamespace(current_epoch=3, fit_loop=SimpleNamespace(batch_idx=17))


class Planted(nn.Module):
    """Two parameters and one without a gradient; logs into lists."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.bias = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(()))
        self.frozen = nn.Parameter(torch.zeros(5))
        self.logged: dict[str, list[float]] = {}
        self.options: dict[str, dict[str, Any]] = {}

    def log(self, name: str, value: float, **options: Any) -> None:
        self.logged.setdefault(name, []).append(value)
        self.options[name] = options


def step(callback: GradientNorm, module: Any, norm: float) -> list[float]:
    """A step whose gradients (2, 1, 2) / 3 · norm have that norm; the gradients after it."""
    module.kernel.grad = torch.tensor([2.0, 1.0]) / 3 * norm
    module.bias.grad = torch.tensor(2.0) / 3 * norm
    callback.on_before_optimizer_step(TRAINER, module, None)  # type: ignore[arg-type]
    return [*module.kernel.grad.tolist(), module.bias.grad.item()]


def test_the_norm_is_of_all_gradients_together() -> None:
    module = Planted()
    assert step(GradientNorm(5.0, 1.0), module, 6.0) == [4.0, 2.0, 4.0]
    assert module.logged["grad_norm"] == [pytest.approx(6.0)]
    assert module.options["grad_norm"] == {"on_step": False, "on_epoch": True, "batch_size": 1}
    assert module.options["clipped"]["reduce_fx"] == "sum"


def test_an_outlier_is_clipped_to_the_norm() -> None:
    callback, module = GradientNorm(5.0, 1.0), Planted()
    for _ in range(FEWEST):
        step(callback, module, 2.0)
    assert step(callback, module, 9.9) == pytest.approx([6.6, 3.3, 6.6])  # below 5 × 2
    assert step(callback, module, 10.5) == pytest.approx([2 / 3, 1 / 3, 2 / 3], rel=1e-5)
    assert module.logged["clipped"] == [0.0] * (FEWEST + 1) + [1.0]
    assert module.logged["grad_norm"][-1] == pytest.approx(10.5)  # logged as it was
    assert callback.norms[-1] == pytest.approx(10.5)


def test_nothing_is_clipped_before_there_is_a_median() -> None:
    callback, module = GradientNorm(5.0, 1.0), Planted()
    for _ in range(FEWEST - 1):
        step(callback, module, 0.5)
    assert step(callback, module, 300.0) == pytest.approx([200.0, 100.0, 200.0])
    assert step(callback, module, 300.0) == pytest.approx([2 / 3, 1 / 3, 2 / 3], rel=1e-5)


def test_an_outlier_below_the_norm_stays() -> None:
    callback, module = GradientNorm(5.0, 1.0), Planted()
    for _ in range(FEWEST):
        step(callback, module, 0.1)
    assert step(callback, module, 0.9) == pytest.approx([0.6, 0.3, 0.6])
    assert module.logged["clipped"][-1] == 0.0
    step(callback, module, 1.1)
    assert module.logged["clipped"][-1] == 1.0


def test_the_median_follows_the_last_norms() -> None:
    callback, module = GradientNorm(2.0, 1.0), Planted()
    for _ in range(REMEMBERED):
        step(callback, module, 8.0)
    assert callback.limit() == pytest.approx(16.0)
    for _ in range(REMEMBERED // 2 + 1):
        step(callback, module, 3.0)
    assert callback.limit() == pytest.approx(6.0)
    assert len(callback.norms) == REMEMBERED


@pytest.mark.parametrize("norm", [float("nan"), float("inf")])
def test_a_norm_that_is_not_finite_stops(norm: float) -> None:
    callback, module = GradientNorm(5.0, 1.0), Planted()
    with pytest.raises(TrainingError, match=rf"became {norm} in epoch 4, batch 18;.*learning_rate"):
        step(callback, module, norm)
    assert list(callback.norms) == [] and module.logged == {}


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=60), st.integers(0, 60))
def test_resumed_it_does_the_same(norms: list[float], cut: int) -> None:
    whole, first, second = (GradientNorm(1.5, 1.0) for _ in range(3))
    expected = [step(whole, Planted(), norm) for norm in norms]
    found = [step(first, Planted(), norm) for norm in norms[:cut]]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    found += [step(second, Planted(), norm) for norm in norms[cut:]]
    assert found == expected
    assert second.state_dict() == whole.state_dict()
