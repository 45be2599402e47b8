"""The LR finder on problems whose best rate is known, and on a real network with planted words."""

import json
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uyan.errors import TrainingError
from uyan.model.network import Network, NetworkConfig
from uyan.training.losses import position_cross_entropy
from uyan.training.lr_finder import (
    Sweep,
    find_learning_rate,
    judge,
    save_sweep,
    smooth,
    steepest_descent,
    sweep_figure,
)

Batches = list[tuple[Tensor, Tensor]]


class Point(nn.Module):
    """One weight, `distance` from where it should be."""

    def __init__(self, distance: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([distance]))

    def forward(self, features: Tensor) -> Tensor:
        return self.weight * features


def square(outputs: Tensor, labels: Tensor) -> Tensor:
    return outputs.square().mean() + 1e-8


ONES: Batches = [(torch.ones(1), torch.zeros(1))] * 150


def sweep_of(distance: float, batches: Batches = ONES, configured: float | None = None) -> Sweep:
    return find_learning_rate(Point(distance), batches, square, 0.0, 42, configured)


@pytest.mark.parametrize("distance", [0.003, 0.01, 0.03])
def test_the_rate_that_covers_the_distance(distance: float) -> None:
    # Adam moves one rate a step, at first. Rates grow by 10^(4/149) a step, so the steps up to rate r sum to 16.2 r,
    # and the loss (d − 16.2 r)² falls fastest over log r where 16.2 r = d / 2. Momentum and smoothing come 20 steps
    # late together, which is a factor of up to 3.4.
    exact = distance / 2 * (10 ** (4 / 149) - 1)
    assert 0.8 * exact < sweep_of(distance).suggestion < 3.4 * exact


def test_rates_rise_evenly_over_the_four_decades() -> None:
    sweep = sweep_of(10.0)
    assert (sweep.rates[0], sweep.rates[-1], len(sweep.rates)) == (1e-6, pytest.approx(1e-2), 150)
    assert np.allclose(np.diff(np.log10(sweep.rates)), 4 / 149)
    assert sweep.diverged_at is None
    assert len(sweep.losses) == len(sweep.smoothed) == 150


def test_an_exploding_loss_ends_the_sweep() -> None:
    # Close to the optimum, and with a slope that stays the same up to it: large steps jump back and forth across it.
    sweep = find_learning_rate(Point(1e-3), ONES, lambda outputs, labels: outputs.abs().mean(), 0.0, 42, 5e-3)
    assert sweep.diverged_at is not None and 1e-4 < sweep.diverged_at < 1e-2
    assert sweep.rates[-1] == sweep.diverged_at
    assert len(sweep.rates) == len(sweep.losses) < 150
    assert sweep.smoothed[-1] > 4 * min(sweep.smoothed)
    assert sweep.suggestion < sweep.diverged_at
    assert "training.learning_rate 0.005 is high" in sweep.verdict


def test_a_loss_that_stops_being_finite_ends_the_sweep() -> None:
    def cliff(outputs: Tensor, labels: Tensor) -> Tensor:
        return torch.where(outputs < 0.99, torch.nan, outputs).mean()

    # 16.2 r = 0.01 at 6e-4.
    sweep = find_learning_rate(Point(1.0), ONES, cliff, 0.0, 42)
    assert sweep.diverged_at == pytest.approx(6e-4, rel=0.2)
    assert all(map(math.isfinite, sweep.losses)) and len(sweep.losses) == len(sweep.rates)
    assert sweep.rates[-1] < sweep.diverged_at


def test_a_loss_that_never_falls() -> None:
    sweep = find_learning_rate(Point(1.0), ONES, lambda outputs, labels: 2 + 0 * outputs.mean(), 0.0, 42)
    assert sweep.suggestion == 3e-4
    assert "the loss never fell" in sweep.note


def test_twenty_batches_are_cycled_and_it_says_so() -> None:
    batches = ONES[:20]
    sweep = sweep_of(0.01, batches)
    assert len(sweep.losses) == 150
    assert sweep.note.startswith("only 20 different batches for 150 steps, each seen about 8 times")
    assert len(batches) == 20
    assert sweep_of(0.01).note == ""
    assert sweep_of(0.01, ONES[:100]).note == ""
    assert sweep_of(0.01, ONES[:99]).note.startswith("only 99")


def test_no_batch() -> None:
    with pytest.raises(TrainingError, match="needs a batch at least"):
        sweep_of(0.01, [])


def test_batches_that_can_be_read_only_once() -> None:
    with pytest.raises(TrainingError, match="20 batches that can be read only once; give a list or a loader"):
        find_learning_rate(Point(1.0), iter(ONES[:20]), square, 0.0, 42)


def test_features_that_are_not_finite() -> None:
    with pytest.raises(TrainingError, match="the loss of the first batch is nan"):
        sweep_of(0.01, [(torch.tensor([torch.nan]), torch.zeros(1))])


@pytest.mark.parametrize("steps", [99, 201])
def test_steps_out_of_range(steps: int) -> None:
    with pytest.raises(TrainingError, match=f"100 to 200 steps, not {steps}"):
        find_learning_rate(Point(1.0), ONES, square, 0.0, 42, steps=steps)


def test_smoothing_by_hand() -> None:
    assert smooth([1.0, 2.0, 4.0]).tolist() == pytest.approx([1.0, 2.9 / 1.9, (0.81 + 1.8 + 4.0) / 2.71])


@pytest.mark.parametrize("at", [3e-5, 3e-4, 3e-3])
def test_the_steepest_point_of_a_noisy_fall(at: float) -> None:
    rates = np.geomspace(1e-6, 1e-2, 150)
    loss = 2 - np.tanh(2 * np.log10(rates / at)) + np.random.default_rng(0).normal(0, 0.03, 150)
    found = steepest_descent(rates, loss)
    assert found is not None and at / 1.6 < found < at * 1.6


def test_no_suggestion_from_the_ends() -> None:
    rates = np.geomspace(1e-6, 1e-2, 150)
    falls_at_once = np.where(np.arange(150) < 4, 10.0 - 2 * np.arange(150), 2.0) - 1e-3 * np.arange(150)
    falls_at_last = np.where(np.arange(150) > 147, 1.0, 11.0)
    assert (found := steepest_descent(rates, falls_at_once)) is not None and found >= rates[10]
    assert (found := steepest_descent(rates, falls_at_last)) is None or found <= rates[144]
    assert steepest_descent(rates[:15], -rates[:15]) is None


@pytest.mark.parametrize(
    ("rate", "diverged_at", "expected"),
    [
        (3e-4, None, "sane"),
        (1e-4, None, "sane"),
        (9e-5, None, "low"),
        (9e-4, None, "sane"),
        (1e-3, None, "high"),
        (6e-4, 6e-4, "high"),
    ],
)
def test_judging_against_a_suggestion_of_3e_4(rate: float, diverged_at: float | None, expected: str) -> None:
    assert judge(rate, 2.999e-4 if rate == 1e-4 else 3.001e-4, diverged_at) == expected


def planted_batches(count: int) -> Batches:
    """A bump in the upper mels is the keyword."""
    generator = torch.Generator().manual_seed(9)
    batches = []
    for _ in range(count):
        features = torch.randn(8, 64, 30, generator=generator)
        labels = (torch.arange(8) % 2).unsqueeze(1)
        features[1::2, 40:50, 5:25] += 1.0
        batches.append((features, labels))
    return batches


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    return position_cross_entropy(logits, labels, -100, 0.05)


def test_a_real_network(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = Network(NetworkConfig(size="small", window_s=0.3, dropout=0.5), 64, 30).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    batches = planted_batches(100)
    sweep = find_learning_rate(network, batches, loss, 1e-2, 42, 1e-3, steps=100)
    assert 1e-4 < sweep.suggestion < 1e-2
    assert min(sweep.smoothed) < 0.6 * sweep.smoothed[0]
    assert sweep.verdict.startswith(f"the sweep suggests {sweep.suggestion:.1e}; the usual 0.0003 is ")
    assert "training.learning_rate 0.001 is " in sweep.verdict
    # Nothing but the sweep is left behind, and it comes again.
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training and all(p.grad is None for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert find_learning_rate(network, batches, loss, 1e-2, 42, 1e-3, steps=100) == sweep


def test_saved_and_drawn(tmp_path: Path) -> None:
    sweep = sweep_of(1e-3, configured=1e-3)
    save_sweep(sweep, tmp_path / "sweep.json")
    found = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert found["suggestion"] == sweep.suggestion and tuple(found["rates"]) == sweep.rates
    assert found["verdict"] == sweep.verdict and found["diverged_at"] == sweep.diverged_at
    sweep_figure(sweep, tmp_path / "sweep.png")
    picture = np.round(matplotlib.image.imread(tmp_path / "sweep.png")[..., :3] * 255).astype(int)
    red, blue = ((picture == colour).all(axis=-1) for colour in ((0xC8, 0x42, 0x1F), (0x1F, 0x5F, 0xA8)))
    assert blue.sum() > 100
    # The red line stands where the suggestion lies among four decades.
    columns = np.flatnonzero(red.sum(axis=0) > 200)
    blue_columns = np.flatnonzero(blue.any(axis=0))
    assert len(columns) and blue_columns.min() < columns.mean() < blue_columns.max()
