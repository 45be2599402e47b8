"""The torch DataLoader over balanced batches (MISSION 7.3).

Workers receive whole batches of draws and return whole batches of tensors; the feature cache's budget is divided among
all processes. It knows how examples travel, not how they are made.
"""

import gc
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from uyan.data.examples import ExampleMaker
from uyan.data.sampler import BalancedBatchSampler, Draw
from uyan.data.share import WHOLE, Share

BATCHES_IN_WORK = 6
"""Memory of a worker that makes one, in batches: crops, noise, their powers and what the allocator keeps back."""
TensorBatch = tuple[Tensor, Tensor]
"""Features (batch, mels, frames) float32 and labels (batch, positions) int64."""


class ExampleDataset(Dataset[TensorBatch]):
    """An ExampleMaker as torch expects it: indexed by draws, a batch at a time, of which it makes a share."""

    def __init__(self, maker: ExampleMaker, share: Share = WHOLE) -> None:
        self.maker, self.share = maker, share

    def __getitem__(self, draw: Draw) -> TensorBatch:
        return self.__getitems__([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> TensorBatch:
        features, labels = self.maker.make(draws, self.share)
        return torch.from_numpy(features), torch.from_numpy(labels)


def worker_count(wanted: int, trainers: int = 1) -> int:
    """Loader processes: as configured, but never more than cores, which so many processes that train divide.

    >>> worker_count(0)
    0
    """
    return min(wanted, max(1, (os.cpu_count() or 1) // trainers))


def make_loader(
    maker: ExampleMaker,
    sampler: BalancedBatchSampler,
    workers: int,
    prefetch: int,
    processes: int,
    share: Share = WHOLE,
) -> DataLoader[TensorBatch]:
    """Batches of `maker` in the order of `sampler`, or a share of each. `workers` 0 loads in this process.

    `processes` share the cache's budget: this one and the workers of every loader that lives at the same time. What a
    worker's batches take is part of its share.
    """
    if workers:
        examples = len(share.of(sum(sampler.quotas)))
        working_bytes = (prefetch + BATCHES_IN_WORK) * examples * maker.example_bytes
        # Before workers start, so that none begins with what this process holds.
        maker.cache.share(processes, working_bytes)
    return DataLoader(
        ExampleDataset(maker, share),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=prefetch if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_start_worker if workers else None,
        # A generator of its own: drawing worker seeds from torch's global one would shift the dropout of an epoch.
        generator=torch.Generator(),
    )


def _as_is(batch: Any) -> Any:
    return batch


def _start_worker(number: int) -> None:
    gc.freeze()  # looking for garbage among what was inherited would copy the pages it lies in
