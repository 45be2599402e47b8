"""Balanced minibatches: a fixed ratio of positives, negatives and hard negatives in every one (MISSION 1.4).

The order is a function of (seed, epoch) alone, so that a resumed run draws what an uninterrupted one would have drawn.
Every draw carries its own seed for the augmentation: which process computes it makes no difference, and processes that
train together go through the same batches, a share of each (`share`). It knows nothing of what an item is.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from uyan.errors import ConfigError, DataError

Source = Literal["positive", "negative", "hard"]
SOURCES: tuple[Source, ...] = get_args(Source)


class Draw(NamedTuple):
    """One example to make."""

    source: Source
    item: int
    """Which item of that source."""
    seed: int
    """For everything random about the example."""


def quotas(batch_size: int, ratio: Sequence[float]) -> tuple[int, ...]:
    """Examples of each class in a batch: shares rounded down, the remainder to the largest fractions, ties in order.

    >>> quotas(32, (1, 1, 1)), quotas(96, (1, 2, 1)), quotas(10, (1, 2, 0))
    ((11, 11, 10), (24, 48, 24), (3, 7, 0))
    """
    exact = [batch_size * share / (sum(ratio) or 1) for share in ratio]
    counts = [int(value) for value in exact]
    by_fraction = sorted(range(len(ratio)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_fraction[: batch_size - sum(counts)]:
        counts[i] += 1
    return tuple(counts)


class BalancedBatchSampler:
    """Batches of draws; an epoch covers the largest class once, the others are reshuffled and repeated.

    With weights an epoch is as long; of items with the same weight none is drawn twice more often than another.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch_size: int,
        ratio: Sequence[int] = (1, 1, 1),
        seed: int = 42,
        weights: Sequence[NDArray[np.float32]] = (),
    ) -> None:
        """`sizes` are items of positives, negatives and hard negatives; no hard ones: their share is negatives'.

        `weights` (items,) for each of these classes say how often an item is drawn; without, all are drawn alike.
        """
        positive, negative, hard = ratio
        if seed < 0:
            raise ConfigError(f"seed cannot be negative, as {seed} is")
        if min(ratio) < 0 or positive < 1 or negative < 1:
            raise ConfigError(f"batches.ratio needs positives and negatives in it, not {tuple(ratio)}")
        if sizes[0] == 0 or sizes[1] == 0:
            raise DataError(f"batches need both classes; there are {sizes[0]} positives and {sizes[1]} negatives")
        self.sizes = tuple(sizes)
        self.quotas = quotas(batch_size, (positive, negative, hard) if sizes[2] else (positive, negative + hard, 0))
        if min(self.quotas[:2]) < 1:
            raise ConfigError(f"batches.size {batch_size} is too small for the ratio {tuple(ratio)}")
        self._groups = [_groups(weights[i] if weights else None, size) for i, size in enumerate(self.sizes)]
        if not (self._groups[0] and self._groups[1]):
            raise ConfigError("the weights of all positives, or of all negatives, are 0; see data.source_weights")
        self.seed, self.epoch = seed, 0
        largest = max(range(len(sizes)), key=lambda i: sizes[i] if self.quotas[i] else 0)
        self._batches = -(-sizes[largest] // self.quotas[largest])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[Draw]]:
        orders = [self._order(i) for i in range(len(SOURCES))]
        shape = (self._batches, sum(self.quotas))
        seeds = np.random.default_rng([self.seed, self.epoch, len(SOURCES)]).integers(0, 2**62, shape)
        for batch in range(self._batches):
            items = [
                (source, int(item))
                for source, quota, order in zip(SOURCES, self.quotas, orders, strict=True)
                for item in order[batch * quota :][:quota]
            ]
            yield [Draw(s, i, int(seed)) for (s, i), seed in zip(items, seeds[batch], strict=True)]

    def _order(self, source: int) -> NDArray[np.intp]:
        """Items of one class, as many as this epoch draws."""
        needed = self._batches * self.quotas[source]
        if not needed:
            return np.zeros(0, np.intp)
        rng = np.random.default_rng([self.seed, self.epoch, source])
        groups = self._groups[source]
        counts = quotas(needed, [share for share, _ in groups])
        drawn = [_repeated(items, count, rng) for (_, items), count in zip(groups, counts, strict=True)]
        return drawn[0] if len(drawn) == 1 else rng.permutation(np.concatenate(drawn))


def _groups(weights: NDArray[np.float32] | None, size: int) -> list[tuple[float, NDArray[np.intp]]]:
    """Items of one weight, and how often any of them is drawn, relative to the other groups; none for a weight of 0."""
    if weights is None:
        return [(1.0, np.arange(size))]
    found = [(float(weight), np.flatnonzero(weights == weight)) for weight in np.unique(weights)]
    return [(weight * items.size, items) for weight, items in found if weight > 0]


def _repeated(items: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Permutations of the items, one after the other, cut to `count`."""
    return np.concatenate([rng.permutation(items) for _ in range(max(1, -(-count // items.size)))])[:count]
