"""How much of a training step is spent on loading, with features cached: a plain loop over the loader, against the same
loop fed with one batch over and over.

The share is 1 − (step with the fixed batch) / (step with the loader): what loader processes take from the cores that
train counts as much as waiting for them does.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import cast

import torch
from torch.utils.data import DataLoader

from bench.material import default_network, example_maker, write_clips
from bench.measure import Figure, seconds_of
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker
from uyan.data.loader import TensorBatch, make_loader, worker_count
from uyan.data.placing import IGNORED
from uyan.data.resident.resident_loader import ResidentLoader
from uyan.data.sampler import BalancedBatchSampler
from uyan.frontend import FrontendConfig
from uyan.model.network import NetworkConfig, Size
from uyan.training.config import TrainingConfig
from uyan.training.losses import position_cross_entropy

TARGET_SHARE_PERCENT = 10.0
LEARNING_RATE = 1e-3
WARM_EPOCHS = 4

Step = Callable[[TensorBatch], None]


def loading_share(clips: int = 3_000, steps: int = 60, repeats: int = 7) -> list[Figure]:
    """Milliseconds a step both ways and the share of loading, with the default number of workers and with none."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        cache = FeatureCache(Path(folder), FrontendConfig(), 1.0)
        maker = example_maker(cache, write_clips(cache, clips))
        step, default = training_step(), worker_count(BatchConfig().workers)
        return [
            figure
            for workers in dict.fromkeys((default, 0))
            for figure in _share(step, maker, workers, steps, repeats, workers == default)
        ]


def training_step(size: Size = NetworkConfig().size) -> Step:
    """Forward, backward and an update of the network of that size."""
    network, config = default_network(size).train(), TrainingConfig()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=config.weight_decay)

    def step(batch: TensorBatch) -> None:
        features, labels = batch
        optimizer.zero_grad()
        position_cross_entropy(network(features), labels, IGNORED, config.label_smoothing).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _share(step: Step, maker: ExampleMaker, workers: int, steps: int, repeats: int, judged: bool) -> list[Figure]:
    prefetch = BatchConfig().prefetch
    sizes = [len(maker.sources[source]) for source in maker.sources]
    sampler = BalancedBatchSampler(sizes, BatchConfig().size, BatchConfig().ratio)
    batches = endless(make_loader(maker, sampler, workers, prefetch, processes=1 + workers))
    fixed = next(batches)
    # Every process has its own cache and sees its share of an epoch: after this many each holds nearly every clip.
    for _ in range(WARM_EPOCHS * max(1, workers) * len(sampler)):
        next(batches)
    fixed_s, loaded_s = [], []
    for _ in range(repeats):
        fixed_s.append(seconds_of(partial(run_steps, step, repeat(fixed), steps)) / steps)
        run_steps(step, batches, workers * prefetch + 2)  # what was made while the loop did not ask
        loaded_s.append(seconds_of(partial(run_steps, step, batches, steps)) / steps)
    fixed_ms, loaded_ms = (1000 * statistics.median(taken) for taken in (fixed_s, loaded_s))
    name = f"{workers} workers"
    percent = 100 * (1 - fixed_ms / loaded_ms)
    target = TARGET_SHARE_PERCENT if judged else None
    return [
        Figure(f"step with a fixed batch, {name}", fixed_ms, "ms"),
        Figure(f"step with the loader, {name}", loaded_ms, "ms"),
        Figure(
            f"loading's share of a step, {name}",
            percent,
            "%",
            target,
            at_most=True,
            note=f"{torch.get_num_threads()} threads train",
        ),
    ]


def endless(loader: DataLoader[TensorBatch] | ResidentLoader) -> Iterator[TensorBatch]:
    """Epoch after epoch."""
    for epoch in count():
        cast(BalancedBatchSampler, loader.batch_sampler).set_epoch(epoch)
        yield from loader


def run_steps(step: Step, batches: Iterator[TensorBatch], steps: int) -> None:
    """That many steps, each with the next batch."""
    for _ in range(steps):
        step(next(batches))
