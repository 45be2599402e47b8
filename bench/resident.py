"""Training on features that stay in memory, beside two loader processes that read the feature cache.

The same clips, batches and network for both, in one process and by turns, so that a busy moment hits both alike; beside
them steps with one batch over and over, which no loader can be faster than. Memory is what the process grows by while
features are loaded and batches are made, as a share of what they take packed; once more with one long recording among
few clips.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
import torch

from bench.cache_memory import PeakWatch, tree_pss_bytes
from bench.loading_share import Step, endless, run_steps, training_step
from bench.material import example_maker, write_clips
from bench.measure import Figure, in_fresh_process, seconds_of
from uyan.data.cache import GIB, FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker
from uyan.data.loader import TensorBatch, make_loader
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.resident_loader import ResidentLoader, ResidentMaker
from uyan.data.resident.takes import Takes
from uyan.data.sampler import BalancedBatchSampler
from uyan.frontend import FrontendConfig

TARGET_RATIO, MEMORY_TARGET_PERCENT = 3.0, 115.0
WORKERS = 2
WATCHED_BATCHES = 50
CLIPS_BESIDE = 1_000
"""Of the long recording."""


def resident_training(
    clips: int = 125_000,
    budget_gb: float | None = None,
    steps: int = 40,
    repeats: int = 7,
    warm: int | None = None,
    long_frames: int = 4_000_000,
) -> list[Figure]:
    """Steps a second both ways, what bounds them, and memory; `warm` batches fill the loaders' caches, an epoch's."""
    long = in_fresh_process(False, one_long_recording, long_frames)
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        cache = FeatureCache(Path(folder), FrontendConfig(), budget_gb)
        maker = example_maker(cache, write_clips(cache, clips))
        memory, resident = _loaded(maker, f"{clips:,} clips")
        step, order = training_step("small"), _order(maker)
        loader = endless(make_loader(maker, order, WORKERS, BatchConfig().prefetch, processes=1 + WORKERS))
        run_steps(_nothing, loader, len(order) if warm is None else warm)
        fixed = next(resident)
        ways = [(step, repeat(fixed)), (step, loader), (step, resident), (_nothing, loader), (_nothing, resident)]
        return [*long, *memory, *_speeds(_medians_ms(ways, steps, repeats), cache.max_ram_gb)]


def one_long_recording(frames: int) -> list[Figure]:
    """Memory where most of the features are one recording's."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        cache, long = FeatureCache(Path(folder), FrontendConfig()), f"{0:040x}"
        names = write_clips(cache, CLIPS_BESIDE)
        with cache.writer() as writer:
            pool = np.random.default_rng(42).normal(-8.0, 3.0, (1, frames)).astype(np.float16)
            writer.add(long, np.broadcast_to(pool, (cache.config.mels, frames)))
        del pool
        figures, _ = _loaded(example_maker(cache, [*names, long]), f"one recording of {frames:,} frames")
    return figures[:1]


def _loaded(maker: ExampleMaker, what: str) -> tuple[list[Figure], Iterator[TensorBatch]]:
    """Endless batches from resident features, and what loading them took."""
    before_bytes, kept = tree_pss_bytes(), list[ResidentFeatures]()

    def load() -> None:
        kept.append(ResidentFeatures(maker.cache, Takes([maker]), torch.device("cpu")))

    with PeakWatch() as watch:
        seconds = seconds_of(load)
        batches = endless(ResidentLoader(ResidentMaker(maker, kept[0]), _order(maker)))
        run_steps(_nothing, batches, WATCHED_BATCHES)
    grown, packed = watch.peak_bytes - before_bytes, kept[0].nbytes
    note = f"{packed / GIB:.2f} GiB packed, {grown / GIB:.2f} GiB at the peak, batches in work among them"
    return [
        Figure(
            f"resident features of {what}, memory of the packed size",
            100 * grown / packed,
            "%",
            MEMORY_TARGET_PERCENT,
            at_most=True,
            note=note,
        ),
        Figure("resident features, loading", seconds, "s"),
    ], batches


def _order(maker: ExampleMaker) -> BalancedBatchSampler:
    return BalancedBatchSampler([len(items) for items in maker.sources.values()], BatchConfig().size)


def _nothing(batch: TensorBatch) -> None:
    """A step that only takes the batch."""


def _medians_ms(ways: Sequence[tuple[Step, Iterator[TensorBatch]]], steps: int, repeats: int) -> list[float]:
    """Milliseconds a step of each way, by turns."""
    taken_s: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for (step, batches), taken in zip(ways, taken_s, strict=True):
            run_steps(_nothing, batches, WORKERS * BatchConfig().prefetch + 2)  # what was made while nobody asked
            taken.append(seconds_of(partial(run_steps, step, batches, steps)) / steps)
    return [1000 * statistics.median(taken) for taken in taken_s]


def _speeds(medians_ms: Sequence[float], budget_gb: float) -> list[Figure]:
    fixed, loaded, resident, loading, making = medians_ms
    threads = f"{torch.get_num_threads()} threads train"
    return [
        Figure("step of the small network, one batch over and over", fixed, "ms", note=threads),
        Figure(f"step with {WORKERS} loader processes", loaded, "ms", note=f"cache of {budget_gb:.1f} GiB"),
        Figure("step with resident features", resident, "ms"),
        Figure("resident features, steps of the loader", loaded / resident, "×", TARGET_RATIO),
        Figure("the most that any loader could reach", loaded / fixed, "×", note="steps with one batch"),
        Figure(f"batch of {WORKERS} loader processes, without training", loading, "ms"),
        Figure("batch of resident features, without training", making, "ms"),
        Figure("resident features, batches of the loader", loading / making, "×"),
    ]
