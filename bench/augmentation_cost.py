"""How much slower training is with every augmentation on than with none: steps a second, batches made in this process.

On: a variant half of the time, near-words and cut-ups, vocal-tract warp, spectral response, background, gain and masks.
Off: plain crops of the same clips. Hard negatives are a third of the batch in both; runs alternate.
"""

import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import torch

from bench.loading_share import Step, training_step
from bench.material import BACKGROUNDS, WORD, write_clips
from bench.measure import Figure, seconds_of
from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.loader import TensorBatch
from uyan.data.sampler import BalancedBatchSampler
from uyan.data.variants import VariantConfig, VariantTable
from uyan.frontend import FrontendConfig, seconds_to_frames
from uyan.model.network import USUAL_WINDOW_S

TARGET_PERCENT = 70.0


def augmentation_cost(clips: int = 1_500, steps: int = 40, repeats: int = 7) -> list[Figure]:
    """Milliseconds a step with all augmentation and with none, and the throughput that is left, in percent."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        cache = FeatureCache(Path(folder), FrontendConfig(), 1.0)
        names = write_clips(cache, clips)
        table = VariantTable(VariantConfig())
        with cache.writer() as writer:
            for name in names:
                writer.add(table.take(name, 1).key, cache.read(name))
        step = training_step()
        plain, full = (_batches(_maker(cache, names, table, augment)) for augment in (None, AugmentConfig()))
        for batches in (plain, full):
            _run(step, batches, steps)  # the cache is warm from here on
        plain_s, full_s = [], []
        for _ in range(repeats):
            plain_s.append(seconds_of(partial(_run, step, plain, steps)) / steps)
            full_s.append(seconds_of(partial(_run, step, full, steps)) / steps)
    plain_ms, full_ms = (1000 * statistics.median(taken) for taken in (plain_s, full_s))
    note = f"{torch.get_num_threads()} threads train"
    return [
        Figure("training step without augmentation", plain_ms, "ms"),
        Figure("training step with all of it", full_ms, "ms"),
        Figure("throughput left with all augmentation", 100 * plain_ms / full_ms, "%", TARGET_PERCENT, note=note),
    ]


def _maker(cache: FeatureCache, names: list[str], table: VariantTable, augment: AugmentConfig | None) -> ExampleMaker:
    """A third of the clips are positives, a third negatives, a third hard ones."""
    third = len(names) // 3
    return ExampleMaker(
        cache,
        [Positive(name, WORD, 1) for name in names[:third]],
        [Segment(name, 0, 1) for name in names[third : 2 * third]],
        [Segment(name, 0) for name in names[-BACKGROUNDS:]],
        BatchConfig(),
        augment,
        seconds_to_frames(USUAL_WINDOW_S),
        hard=[Segment(name, 0) for name in names[2 * third :]],
        variants=table,
    )


def _batches(maker: ExampleMaker) -> Iterator[TensorBatch]:
    sampler = BalancedBatchSampler([len(items) for items in maker.sources.values()], BatchConfig().size)
    for epoch in count():
        sampler.set_epoch(epoch)
        for draws in sampler:
            features, labels = maker.make(draws)
            yield torch.from_numpy(features), torch.from_numpy(labels)


def _run(step: Step, batches: Iterator[TensorBatch], steps: int) -> None:
    for _ in range(steps):
        step(next(batches))
