"""What the seam costs, and what a second worker brings: extraction by the local engine and by Ray, on one machine.

Ray is measured where it is installed.
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from bench.measure import Figure, medians_s, voice_like
from uyan.audio_file import write
from uyan.data.local_tasks import local_map
from uyan.data.task_map import TaskMap
from uyan.frontend import FrontendConfig, log_mel

FILES, LENGTH_S, REPEATS = 256, 20.0, 3
TARGET_SCALING, TARGET_OVERHEAD_PERCENT = 1.8, 3.0


def extract(file: Path) -> int:
    """Decode a file and extract its features, as the feature cache does, without keeping them."""
    from uyan.audio_file import read

    return int(log_mel(read(file), FrontendConfig()).shape[1])


def engine_scaling(files: int = FILES, length_s: float = LENGTH_S) -> list[Figure]:
    """Two workers against one, and one local process against a plain loop."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        paths = [Path(folder) / f"{number}.wav" for number in range(files)]
        rng = np.random.default_rng(1)
        sound = voice_like(length_s, rng)
        for path in paths:
            write(path, sound)

        def once(mapped: TaskMap, workers: int) -> None:
            assert len(list(mapped(extract, paths, workers))) == files

        loop_s, one_s, two_s = medians_s(
            [
                lambda: [extract(path) for path in paths],
                lambda: once(local_map, 1),
                lambda: once(local_map, 2),
            ],
            REPEATS,
        )
        note = f"{files} files of {length_s:g} s, starting processes included"
        figures = [
            Figure("local engine, one worker against a loop", 100 * (one_s / loop_s - 1), "%", TARGET_OVERHEAD_PERCENT,
                   at_most=True, note=note),
            Figure("local engine, two workers against one", one_s / two_s, "×", TARGET_SCALING, note=note),
        ]  # fmt: skip
        if importlib.util.find_spec("ray"):
            figures.append(_ray(paths, note))
        return figures


def _ray(paths: list[Path], note: str) -> Figure:
    import ray

    from uyan.data.ray_tasks import ray_map

    times_s = []
    for cores in (1, 2):
        ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, configure_logging=False)
        try:
            list(ray_map(extract, paths[:8], cores))  # workers are there
            times_s += medians_s([lambda: list(ray_map(extract, paths, 0))], REPEATS)
        finally:
            ray.shutdown()
    note = note.replace("starting processes included", "workers started before")
    return Figure("Ray, two workers against one", times_s[0] / times_s[1], "×", TARGET_SCALING, note=note)
