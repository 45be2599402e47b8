"""How much memory a loader over many cached clips takes: one epoch at random, each worker count in a fresh process.

Memory is the proportional set size (PSS) of the whole process tree: pages that processes share count once. Loader
processes wait at a gate until what they need before the first item has been measured. Linux only.
"""

import contextlib
import multiprocessing
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.material import example_maker, write_clips
from bench.measure import Figure, in_fresh_process
from uyan.data.cache import GIB, FeatureCache
from uyan.data.examples import BatchConfig
from uyan.data.loader import make_loader
from uyan.data.sampler import BalancedBatchSampler
from uyan.frontend import FrontendConfig

TOLERANCE = 1.1
WORKERS = (1, 4, 16)
SETTLE_S = 3.0
"""From the start of the loader processes to the first measurement."""
SAMPLING_S = 0.25


class Epoch(NamedTuple):
    """What one epoch took."""

    before_bytes: int
    """PSS of the tree before the first item."""
    peak_bytes: int
    seconds: float
    items: int


def cache_memory(clips: int = 125_000, budget_gb: float = 1.0, workers: Sequence[int] = WORKERS) -> list[Figure]:
    """Peak memory of the process tree over its start, and items a second, for each number of workers."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        names = write_clips(FeatureCache(Path(folder), FrontendConfig(), 0.0), clips)
        for count in workers:
            epoch = in_fresh_process(False, load_epoch, Path(folder), names, budget_gb, count)
            grown_gib = (epoch.peak_bytes - epoch.before_bytes) / GIB
            total = (
                f"{epoch.peak_bytes / GIB:.2f} GiB in all, {epoch.before_bytes / GIB:.2f} of it before the first item"
            )
            limit_gib = TOLERANCE * budget_gb
            what = f"{clips:,} clips, budget {budget_gb:g} GiB, {count} workers"
            figures += [
                Figure(f"memory for {what}", grown_gib, "GiB", limit_gib, at_most=True, note=total),
                Figure(f"speed for {what}", epoch.items / epoch.seconds, "clips/s"),
            ]
    return figures


def load_epoch(folder: Path, names: Sequence[str], budget_gb: float, workers: int) -> Epoch:
    """Iterate once over all clips in random order while a thread watches the memory."""
    gate, batches = multiprocessing.Event(), BatchConfig()
    maker = example_maker(_GatedCache(folder, budget_gb, gate), names)
    sizes = [len(maker.sources[source]) for source in maker.sources]
    sampler = BalancedBatchSampler(sizes, batches.size, batches.ratio)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores: that is the point
        loader = iter(make_loader(maker, sampler, workers, batches.prefetch, processes=1 + workers))
    time.sleep(SETTLE_S)
    before_bytes = tree_pss_bytes()
    with PeakWatch() as watch:
        begin = time.perf_counter()
        gate.set()
        items = sum(len(features) for features, _ in loader)
        seconds = time.perf_counter() - begin
    return Epoch(before_bytes, watch.peak_bytes, seconds, items)


def tree_pss_bytes() -> int:
    """Proportional set size of this process and all it started."""
    total = 0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


class _GatedCache(FeatureCache):
    """A cache that gives nothing before the gate opens."""

    def __init__(self, folder: Path, budget_gb: float, gate: Event) -> None:
        super().__init__(folder, FrontendConfig(), budget_gb)
        self._gate = gate
        self._open = False

    def frames(self, sha1: str) -> int:
        if not self._open:
            self._open = self._gate.wait()
        return super().frames(sha1)


class PeakWatch:
    """The highest `tree_pss_bytes` while it is entered."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        done = False
        while not done:
            done = self._done.wait(SAMPLING_S)
            self.peak_bytes = max(self.peak_bytes, tree_pss_bytes())

    def __enter__(self) -> "PeakWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
