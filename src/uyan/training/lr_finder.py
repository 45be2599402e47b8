"""Looks for a learning rate: raises it step by step on a copy of the network and sees where the loss falls fastest.

Smith 2017 (Cyclical Learning Rates), MISSION 2.3. One noisy minute, so what it finds is an order of magnitude, and 3e-4
or the configured rate are judged by it with a factor to spare. It knows nothing of the training that follows.
"""

import copy
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from uyan.data.loader import TensorBatch
from uyan.errors import TrainingError
from uyan.files import replacing
from uyan.training.module import make_optimizer

LOWEST_RATE, HIGHEST_RATE = 1e-6, 1e-2
FEWEST_STEPS, MOST_STEPS = 100, 200
FEWEST_BATCHES = 100
"""Different ones; with fewer, a falling loss is partly that of a network that knows them by heart."""
REFERENCE_RATE = 3e-4
"""The rate that MISSION 2.3 wants judged, and the suggestion where the sweep finds none."""
SANE_FACTOR = 3.0
"""A rate within this factor of the suggestion is as good: sweeps with other seeds differ that much."""
SMOOTHING = 0.9
"""Of the loss, exponential: it looks back about 10 steps, a quarter of a decade."""
DIVERGED = 4.0
"""A smoothed loss above this many times the lowest ends the sweep."""
SETTLED = 10
"""Points after which the smoothing has something to go by."""
LEAST_FALL = 0.05
"""A smoothed loss that never gets this share below where it started has not fallen: batches alone differ that much."""
SLOPE_REACH = 15
"""The slope at a point is that of the line through this many on either side: 0.4 decades of a sweep of 150 steps. On
planted words (batches of 48, six seeds) the suggestions differed by a factor of 2.3 with 15 points, of 4.7 with 5.
So many at either end are no suggestion: the smoothing is not settled yet, or the loss is about to explode."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (batch, classes, positions) and labels (batch, positions) → scalar."""
Word = Literal["sane", "low", "high"]


@dataclass(frozen=True)
class Sweep:
    """What the sweep saw, one item a step, and what follows from it."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged_at: float | None
    """The rate at which the loss exploded; None where it did not."""
    suggestion: float
    configured: float | None
    """The rate in the recipe; None for auto."""
    verdict: str
    """On 3e-4 and on the configured rate."""
    note: str
    """What makes the sweep less sure than usual, or nothing."""


def find_learning_rate(
    network: nn.Module,
    batches: Iterable[TensorBatch],
    loss: Loss,
    weight_decay: float,
    seed: int,
    configured: float | None = None,
    steps: int = 150,
) -> Sweep:
    """Sweep AdamW's learning rate from 1e-6 to 1e-2, a batch a step; `network` stays as it is.

    `batches` (a loader or a list) is read again when there are fewer than `steps`. Raises TrainingError without a
    batch, and where the very first loss is not finite.
    """
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise TrainingError(f"an LR sweep takes {FEWEST_STEPS} to {MOST_STEPS} steps, not {steps}")
    rates = np.geomspace(LOWEST_RATE, HIGHEST_RATE, steps)
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # dropout
        stream = _Stream(batches)
        losses, diverged_at = _losses(copy.deepcopy(network).train(), stream, loss, weight_decay, rates, device)
    smoothed = smooth(losses)
    found = steepest_descent(rates[: len(losses)], smoothed)
    suggestion = found or min(REFERENCE_RATE, (diverged_at or math.inf) / 10)
    return Sweep(
        tuple(rates[: len(losses)].tolist()),
        tuple(losses),
        tuple(smoothed.tolist()),
        diverged_at,
        suggestion,
        configured,
        _verdict(suggestion, configured, diverged_at),
        _note(stream.different, steps, found),
    )


def smooth(losses: list[float]) -> NDArray[np.float64]:
    """Exponential smoothing without a bias towards zero at the start, shape (steps,).

    >>> smooth([2.0, 2.0, 2.0]).round(6).tolist()
    [2.0, 2.0, 2.0]
    """
    smoothed, mean = np.empty(len(losses)), 0.0
    for step, value in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        smoothed[step] = mean / (1 - SMOOTHING ** (step + 1))
    return smoothed


def steepest_descent(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float | None:
    """The rate where the smoothed loss, both of shape (steps,), falls fastest over log rate; None where it never does.

    >>> rates = np.geomspace(1e-6, 1e-2, 101)
    >>> round(steepest_descent(rates, 2.0 - np.tanh(np.log10(rates) + 3.0)), 6)
    0.001
    """
    reach = np.arange(-SLOPE_REACH, SLOPE_REACH + 1)
    slopes = [float(reach @ smoothed[at + reach]) for at in range(SLOPE_REACH, len(rates) - SLOPE_REACH)]
    if not slopes or smoothed[SETTLED:].min() > (1 - LEAST_FALL) * smoothed[SETTLED]:
        return None
    return float(rates[SLOPE_REACH + int(np.argmin(slopes))])


def judge(rate: float, suggestion: float, diverged_at: float | None) -> Word:
    """Whether a learning rate fits what the sweep saw.

    >>> judge(3e-4, 8e-4, None), judge(3e-4, 1e-3, None), judge(3e-4, 2e-4, 2.5e-4)
    ('sane', 'low', 'high')
    """
    if rate > SANE_FACTOR * suggestion or (diverged_at is not None and rate >= diverged_at):
        return "high"
    return "low" if rate < suggestion / SANE_FACTOR else "sane"


def save_sweep(sweep: Sweep, path: Path) -> None:
    """Write every number and word of the sweep as JSON."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(asdict(sweep), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def sweep_figure(sweep: Sweep, path: Path) -> None:
    """Write the loss against the learning rate as a picture, the rates in question marked."""
    figure = Figure(figsize=(7.6, 5.0), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot(sweep.rates, sweep.losses, ".", color="#5f6670", alpha=0.5, label="one batch")
    axes.plot(sweep.rates, sweep.smoothed, color="#1f5fa8", linewidth=2, label="smoothed")
    axes.axvline(sweep.suggestion, color="#c8421f", linewidth=2, label=f"suggestion {sweep.suggestion:.1e}")
    axes.axvline(REFERENCE_RATE, color="#5f6670", linestyle=(0, (4, 4)), label=f"{REFERENCE_RATE:g}")
    if sweep.configured is not None:
        axes.axvline(sweep.configured, color="#5f6670", linestyle=(0, (1, 2)), label=f"recipe {sweep.configured:g}")
    # An exploding loss would press all the rest flat.
    axes.set_ylim(0, 1.5 * max(sweep.losses[:SETTLED]))
    axes.set_title(f"LR sweep, {len(sweep.rates)} steps")
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    with replacing(path) as partial:
        figure.savefig(partial, format=path.suffix.removeprefix("."))


class _Stream:
    """The batches, over and over, and how many different ones there were."""

    def __init__(self, batches: Iterable[TensorBatch]) -> None:
        self.batches = batches
        self.different = 0

    def __iter__(self) -> Iterator[TensorBatch]:
        for batch in self.batches:
            self.different += 1
            yield batch
        if not self.different:
            raise TrainingError("an LR sweep needs a batch at least, and there is none; is the training split empty?")
        while True:
            again = 0
            for batch in self.batches:
                again += 1
                yield batch
            if not again:
                raise TrainingError(f"{self.different} batches that can be read only once; give a list or a loader")


def _losses(
    network: nn.Module,
    stream: _Stream,
    loss: Loss,
    weight_decay: float,
    rates: NDArray[np.float64],
    device: torch.device,
) -> tuple[list[float], float | None]:
    """Finite losses, one a rate, and the rate at which they exploded, if they did; changes `network`."""
    optimizer = make_optimizer(network, LOWEST_RATE, weight_decay)
    losses: list[float] = []
    for rate, (features, labels) in zip(rates.tolist(), stream, strict=False):
        value = loss(network(features.to(device)), labels.to(device))
        if not torch.isfinite(value):
            if not losses:
                raise TrainingError(f"the loss of the first batch is {value.item()}; are the features finite?")
            return losses, rate
        losses.append(value.item())
        smoothed = smooth(losses)
        if len(losses) > SETTLED and smoothed[-1] > DIVERGED * smoothed.min():
            return losses, rate
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return losses, None


_ADVICE: dict[Word, str] = {
    "sane": "sane",
    "low": "low: less than a third of the suggestion, training will be slow",
    "high": f"high: more than {SANE_FACTOR:g} times the suggestion, or where the loss exploded",
}


def _verdict(suggestion: float, configured: float | None, diverged_at: float | None) -> str:
    asked = [(f"the usual {REFERENCE_RATE:g}", REFERENCE_RATE)]
    if configured is not None and configured != REFERENCE_RATE:
        asked.append((f"training.learning_rate {configured:g}", configured))
    said = [f"{name} is {_ADVICE[judge(rate, suggestion, diverged_at)]}" for name, rate in asked]
    return f"the sweep suggests {suggestion:.1e}; " + "; ".join(said)


def _note(different: int, steps: int, found: float | None) -> str:
    notes = []
    if found is None:
        notes.append("the loss never fell, so the suggestion is a guess; are the labels right?")
    if different < min(steps, FEWEST_BATCHES):
        notes.append(
            f"only {different} different batches for {steps} steps, each seen about {steps / different:.0f} times: "
            "the loss falls partly because they are known by heart, and the suggestion is less sure"
        )
    return "; ".join(notes)
