"""Shares of a batch, each in a thread of its own, give statistics, values and gradients of the whole batch."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from uyan.model.network import Network, NetworkConfig
from uyan.ranks import ALONE, Ranks
from uyan.training.whole_batches import whole_batches

EXAMPLES, CHANNELS, TIMES = 7, 5, 6


@dataclass
class Meeting:
    """Where threads leave their tensors for all."""

    count: int
    barrier: threading.Barrier = field(init=False)
    left: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.count)

    def all_of(self, rank: int, value: Tensor) -> Tensor:
        self.left[rank] = value.detach().clone()
        self.barrier.wait(30)
        found = torch.stack([self.left[number] for number in range(self.count)])
        self.barrier.wait(30)
        return found


@dataclass(frozen=True)
class Threads(Ranks):
    """Ranks that are threads."""

    meeting: Meeting = field(default_factory=lambda: Meeting(1))

    def total(self, value: Tensor) -> Tensor:
        return self.gathered(value).sum(dim=0)

    def gathered(self, value: Tensor) -> Tensor:
        return self.meeting.all_of(self.rank, value)


def norm() -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(CHANNELS).double()
    with torch.no_grad():
        made.weight.copy_(torch.linspace(0.5, 2, CHANNELS))
        made.bias.copy_(torch.linspace(-1, 1, CHANNELS))
    return made


def values(seed: int) -> Tensor:
    torch.manual_seed(seed)
    scale = torch.logspace(-2, 2, CHANNELS, dtype=torch.float64)[:, None, None]
    return (torch.randn(EXAMPLES, CHANNELS, 1, TIMES, dtype=torch.float64) + 3) * scale


@pytest.mark.parametrize("count", [2, 3])
def test_norms_and_their_gradients_are_those_of_the_whole_batch(count: int) -> None:
    x, wanted = values(1).requires_grad_(), values(2)
    plain = norm()
    y = plain(x)
    (y * wanted).sum().backward()
    meeting = Meeting(count)

    def share(rank: int) -> tuple[nn.BatchNorm2d, Tensor, Tensor]:
        ours, part = norm(), x.detach()[rank::count].clone().requires_grad_()
        with whole_batches(ours, Threads(rank, count, meeting=meeting), EXAMPLES):
            found = ours(part)
            (found * wanted[rank::count]).sum().backward()
        return ours, found.detach(), part.grad  # type: ignore[return-value]

    with ThreadPoolExecutor(count) as pool:
        shares = list(pool.map(share, range(count)))
    for rank, (ours, found, gradient) in enumerate(shares):
        torch.testing.assert_close(found, y.detach()[rank::count], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradient, x.grad[rank::count], rtol=1e-8, atol=1e-10)  # type: ignore[index]
        torch.testing.assert_close(ours.running_mean, plain.running_mean)
        torch.testing.assert_close(ours.running_var, plain.running_var)
        assert ours.num_batches_tracked == 1
    for name in ("weight", "bias"):
        summed = torch.stack([getattr(ours, name).grad for ours, _, _ in shares]).sum(dim=0)
        torch.testing.assert_close(summed, getattr(plain, name).grad)


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_what_is_dropped_is_dropped_of_the_whole_batch(p: float) -> None:
    dropout, x = nn.Dropout2d(p), torch.ones(EXAMPLES, CHANNELS, 1, TIMES)
    torch.manual_seed(5)
    whole = dropout(x)
    for rank in range(3):
        torch.manual_seed(5)
        with whole_batches(dropout, Ranks(rank, 3), EXAMPLES):
            assert torch.equal(dropout(x[rank::3]), whole[rank::3])


def test_evaluation_and_what_comes_after_are_left_alone() -> None:
    network = Network(NetworkConfig(size="small", window_s=0.3), 64, 30).eval()
    features = torch.randn(2, 64, 40)
    expected = network(features)
    with whole_batches(network, Ranks(0, 2), EXAMPLES):
        assert torch.equal(network(features), expected)
    for ranks in (Ranks(0, 2), ALONE):
        with whole_batches(network, ranks, EXAMPLES):
            pass
        assert not any("forward" in vars(part) for part in network.modules())
