"""A network that sees its share of a batch computes what the whole batch would: norms over all examples, one dropout.

Batch norm takes mean and variance over the examples of all processes (as torch's SyncBatchNorm, which needs a GPU), and
the channels dropped are drawn for the whole batch. Apart from the order of sums, every logit and gradient is then that
of one process with the whole batch. It knows nothing of losses.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from uyan.data.share import Share
from uyan.ranks import Ranks

POSITIONS = (0, 2, 3)
"""Axes of (batch, channels, 1, time) that a norm averages over."""


@contextmanager
def whole_batches(network: nn.Module, ranks: Ranks, examples: int) -> Iterator[None]:
    """Inside, `network` is trained on shares of batches of so many examples; in evaluation mode nothing changes."""
    changed: list[nn.Module] = []
    for part in network.modules() if ranks.count > 1 else ():
        if isinstance(part, nn.BatchNorm2d):
            part.forward = partial(_norm, part, ranks)  # type: ignore[method-assign]
        elif isinstance(part, nn.Dropout2d):
            part.forward = partial(_dropout, part, Share(ranks.rank, ranks.count), examples)  # type: ignore[method-assign]
        else:
            continue
        changed.append(part)
    try:
        yield
    finally:
        for part in changed:
            del part.forward


def _dropout(dropout: nn.Dropout2d, share: Share, examples: int, x: Tensor) -> Tensor:
    if not dropout.training or dropout.p == 0:
        return x
    kept = 1 - dropout.p
    mask = x.new_empty((examples, x.shape[1], 1, 1)).bernoulli_(kept).div_(kept)
    return x * mask[share.rank :: share.ranks]


def _norm(norm: nn.BatchNorm2d, ranks: Ranks, x: Tensor) -> Tensor:
    if not norm.training:
        return nn.BatchNorm2d.forward(norm, x)
    y, mean, variance, count = cast(
        tuple[Tensor, Tensor, Tensor, Tensor],
        _Normalised.apply(x, norm.weight, norm.bias, norm.eps, ranks),  # type: ignore[no-untyped-call]
    )
    with torch.no_grad():
        share = cast(float, norm.momentum)
        cast(Tensor, norm.running_mean).lerp_(mean, share)
        cast(Tensor, norm.running_var).lerp_(variance * (count / (count - 1)), share)
        cast(Tensor, norm.num_batches_tracked).add_(1)
    return y


class _Normalised(torch.autograd.Function):
    """x (batch, channels, 1, time) by the mean and variance (channels,) of all processes' examples."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, ranks: Ranks) -> tuple[Tensor, ...]:
        """y, and over all processes the mean, the variance and the number of positions."""
        own_variance, own_mean = torch.var_mean(x, POSITIONS, correction=0)
        own_count = own_mean.new_full((1,), x.numel() // x.shape[1])
        told = ranks.gathered(torch.cat([own_count, own_mean, own_variance])).double()
        counts, means, variances = torch.split_with_sizes(told, [1, len(weight), len(weight)], dim=1)
        count = counts.sum()
        mean = (counts * means).sum(dim=0) / count
        variance = (counts * (variances + (means - mean) ** 2)).sum(dim=0) / count
        inverse = (variance + eps).rsqrt().to(x.dtype)
        mean, variance = mean.to(x.dtype), variance.to(x.dtype)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.ranks, ctx.count = ranks, count.to(x.dtype)
        ctx.mark_non_differentiable(mean, variance, ctx.count)
        scale = _wide(weight * inverse)
        return (x - _wide(mean)) * scale + _wide(bias), mean, variance, ctx.count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """With n = (x − m) / s: dx = w / s · (dy − mean(dy) − n · mean(dy · n)), the means over all processes.

        Those of weight and bias are of this share, and are summed over the processes with all others.
        """
        x, weight, mean, inverse = ctx.saved_tensors
        gradient, normalised = gradients[0], (x - _wide(mean)) * _wide(inverse)
        of_bias, of_weight = gradient.sum(POSITIONS), (gradient * normalised).sum(POSITIONS)
        both = ctx.ranks.total(torch.stack([of_bias, of_weight])) / ctx.count
        inner = gradient - _wide(both[0]) - normalised * _wide(both[1])
        return inner * _wide(weight * inverse), of_weight, of_bias, None, None


def _wide(channels: Tensor) -> Tensor:
    """(channels,) → (1, channels, 1, 1)."""
    return channels[None, :, None, None]
