"""What the seam costs, and what a second worker brings: extraction and mining by the local engine and by Ray.

Starting processes is told apart from running: the local engine starts its pool for every call, so a call whose tasks
only import what the work needs is measured and subtracted; Ray's workers are started and have imported it before.
Overhead is that of the local engine with one worker against a plain loop over the same items in this process, all with
one thread of torch. Ray is measured where it is installed.
"""

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.measure import Figure, medians_s, voice_like
from bench.mining import network_for
from uyan.audio_file import read, write
from uyan.engine.local_tasks import local_map
from uyan.engine.task_map import TaskMap, run_here
from uyan.frontend import FrontendConfig, log_mel
from uyan.torch_threads import torch_threads
from uyan.training.config import MiningConfig
from uyan.training.mining import weights_digest
from uyan.training.scan_tasks import AudioScan, AudioSource, carried

FILES, ITEMS, PACKETS, LENGTH_S, PACKET_S, REPEATS = 16, 2048, 64, 20.0, 600.0, 3
"""11 h of either: some 17 s of extraction on a core, 20 of mining."""
TARGET_SCALING, TARGET_OVERHEAD_PERCENT = 1.8, 3.0


class _Work(NamedTuple):
    name: str
    task: Callable[[Any], Any]
    items: Sequence[Any]
    note: str


def extract(file: Path) -> int:
    """Decode a file and extract its features, as the feature cache does, without keeping them."""
    return int(log_mel(read(file), FrontendConfig()).shape[1])


def ready(item: int) -> int:
    """Nothing, once what the tasks need is imported: whoever unpickles this has done so."""
    return item


def engine_scaling(
    items: int = ITEMS, packets: int = PACKETS, length_s: float = LENGTH_S, repeats: int = REPEATS
) -> list[Figure]:
    """Two workers against one, and one local process against a plain loop, for either kind of work."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder, torch_threads(1):
        files = [Path(folder) / f"{number}.wav" for number in range(FILES)]
        rng = np.random.default_rng(1)
        for file in files:
            write(file, voice_like(length_s, rng))
        works = [_extraction(files, items, length_s), _mining(files, packets, length_s)]
        figures = [figure for work in works for figure in _local(work, repeats)]
        if importlib.util.find_spec("ray"):
            figures += _ray(works, repeats)
        return figures


def _extraction(files: Sequence[Path], items: int, length_s: float) -> _Work:
    chosen = [files[number % len(files)] for number in range(items)]
    return _Work("extraction", extract, chosen, f"{items} recordings of {length_s:g} s")


def _mining(files: Sequence[Path], packets: int, length_s: float) -> _Work:
    network = network_for(read(files[0]))
    task = AudioScan(carried(network), weights_digest(network), 1, MiningConfig(), FrontendConfig())
    sources = [AudioSource(files[number % len(files)], f"{number}", length_s) for number in range(FILES)]
    packet = [sources[number % FILES] for number in range(max(1, round(PACKET_S / length_s)))]
    return _Work("mining", task, [packet] * packets, f"{packets} packets of {len(packet)} files of {length_s:g} s")


def _done(mapped: TaskMap, work: _Work, workers: int) -> Callable[[], object]:
    def once() -> None:
        assert len(list(mapped(work.task, work.items, workers))) == len(work.items)

    return once


def _local(work: _Work, repeats: int) -> list[Figure]:
    loop_s, one_s, two_s, one_start_s, two_start_s = medians_s(
        [
            lambda: list(run_here(work.task, work.items)),
            _done(local_map, work, 1),
            _done(local_map, work, 2),
            lambda: list(local_map(ready, range(1), 1)),
            lambda: list(local_map(ready, range(2), 2)),
        ],
        repeats,
    )
    one_s, two_s = one_s - one_start_s, two_s - two_start_s
    note = f"{work.note}; starting processes, {one_start_s:.1f} and {two_start_s:.1f} s, is left out"
    return [
        Figure(f"{work.name}, local engine, one worker against a loop", 100 * (one_s / loop_s - 1), "%",
               TARGET_OVERHEAD_PERCENT, at_most=True, note=f"{note}; the loop takes {loop_s:.1f} s"),
        Figure(f"{work.name}, local engine, two workers against one", one_s / two_s, "×", TARGET_SCALING, note=note),
    ]  # fmt: skip


def _ray(works: Sequence[_Work], repeats: int) -> list[Figure]:
    import ray

    from uyan.engine.ray_tasks import ray_map

    times_s: list[list[float]] = []
    for cores in (1, 2):
        ray.init("local", num_cpus=cores, include_dashboard=False, log_to_driver=False, configure_logging=False)
        try:
            list(ray_map(ready, range(8 * cores), cores))
            times_s.append(medians_s([_done(ray_map, work, cores) for work in works], repeats))
        finally:
            ray.shutdown()
    return [
        Figure(f"{work.name}, Ray, two workers against one", one_s / two_s, "×", TARGET_SCALING,
               note=f"{work.note}; workers started before; one takes {one_s:.1f} s")
        for work, one_s, two_s in zip(works, *times_s, strict=True)
    ]  # fmt: skip
