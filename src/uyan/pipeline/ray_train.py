"""Training by workers of a Ray cluster that is joined: `TorchTrainer` starts them as one group, each of them trains.

What the first of them tells and shows comes through a queue. The run's folder, the feature cache and the recordings
have to be there under the same paths on every node. It knows nothing of what a step is.
"""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from uyan.engine.ray_cluster import cluster_cores, cluster_gpus
from uyan.errors import ClusterError, ConfigError, UyanError
from uyan.pipeline.run import shared_material
from uyan.pipeline.train import train_network
from uyan.pipeline.workspace import Workspace
from uyan.ranks import GOES_ON, STEP_LIMIT, GroupEnded, ranks_of_group
from uyan.recipe import Recipe

FOLDER = "ray"
"""Beside `training`: what Ray Train notes of its own while it is at work."""
SHOWN_EVERY_S = 0.5


@dataclass(frozen=True)
class _Job:
    """What a worker needs to know."""

    recipe: Recipe
    base: Path
    out: Path
    lines: Any
    """Queue to whoever started the training."""


def training_on_ray(processes: int) -> Callable[[Workspace], None]:
    """What trains a run's network in so many workers of the cluster that is joined; asked for before a run prepares.

    Raises ConfigError for fewer than one, and for more than there are cores: Ray would wait for others without a word.
    """
    if processes < 1:
        raise ConfigError(f"--processes must be at least 1, not {processes}")
    cores, gpus = cluster_cores().total, cluster_gpus()
    if processes > max(cores, gpus):
        raise ConfigError(
            f"--processes {processes}: each needs a GPU or a core of its own, and the cluster has {gpus} GPUs and "
            f"{cores} cores; ask for at most {max(cores, gpus)}, or add nodes"
        )
    return partial(_train_on_ray, processes=processes, on_gpus=gpus >= processes)


def _train_on_ray(run: Workspace, processes: int, on_gpus: bool) -> None:
    """Train the run's network in so many workers; its weights are in the run's folder then.

    Raises what a worker raises on purpose, ClusterError where a worker or the cluster is lost.
    """
    import ray
    from ray.util.queue import Queue

    lines: Any = Queue(actor_options={"num_cpus": 0})
    job = _Job(run.recipe, run.base.resolve(), run.out.resolve(), lines)
    relay = _Relay(run, lines)
    # In a task, which is at home in the cluster, also where this process is only its client.
    fitted = ray.remote(num_cpus=0, max_retries=0)(_fit).remote(job, processes, on_gpus)
    try:
        with relay:
            _waited(ray, fitted, relay)
    finally:
        shutil.rmtree(run.out / FOLDER, ignore_errors=True)
    lines.shutdown()


def _waited(ray: Any, fitted: Any, relay: "_Relay") -> None:
    try:
        ray.get(fitted)
    except ray.exceptions.RayError as reason:
        relay.finish()
        if relay.error is not None:
            raise relay.error from reason
        raise ClusterError(f"training on the cluster ended ({_last_line(reason)}); {GOES_ON}") from reason
    except BaseException:
        ray.cancel(fitted, recursive=True)
        raise


def _fit(job: _Job, processes: int, on_gpus: bool) -> None:
    """Where `TorchTrainer` is told what to start."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    TorchTrainer(
        _train,
        train_loop_config={"job": job},
        torch_config=TorchConfig(
            "cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout_s=int(STEP_LIMIT.total_seconds())
        ),
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=on_gpus),
        run_config=RunConfig(name="training", storage_path=str(job.out / FOLDER)),
    ).fit()


def _train(config: dict[str, Any]) -> None:
    """One worker."""
    job: _Job = config["job"]
    ranks = ranks_of_group()
    run = Workspace(job.recipe, job.base, job.out, ranks=ranks)
    try:
        material = shared_material(run, ("check", "split", "features"))
        if ranks.first:  # what the stages before have to say has been said
            told = _Told(job.lines)
            run.tell, run.progress = told.tell, told.progress
        if material is not None:
            train_network(run, material)
    except UyanError as reason:
        job.lines.put(("error", reason))
        raise
    except GroupEnded as reason:
        raise RuntimeError("another worker has ended") from reason  # Ray's thread expects an Exception


class _Told:
    """What the first worker says, on its way."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self._next_s = 0.0

    def tell(self, line: str) -> None:
        """A line."""
        self._lines.put(("tell", line))

    def progress(self, stage: str, done: int, total: int) -> None:
        """A stage, now and then: every step would cost it."""
        if done == total or time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + SHOWN_EVERY_S
            self._lines.put(("progress", (stage, done, total)))


class _Relay:
    """A thread that shows here what the first worker says."""

    def __init__(self, run: Workspace, lines: Any) -> None:
        self._run, self._lines = run, lines
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.error: UyanError | None = None

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *how: object) -> None:
        self.finish()

    def finish(self) -> None:
        """Show what is left."""
        self._ended.set()
        self._thread.join(10)

    def _work(self) -> None:
        from ray.exceptions import RayError
        from ray.util.queue import Empty

        while True:
            last = self._ended.is_set()
            try:
                what, how = self._lines.get(timeout=SHOWN_EVERY_S)
            except Empty:
                if last:
                    return
                continue
            except (RayError, ConnectionError):
                return
            if what == "error":
                self.error = self.error or how
            elif what == "tell":
                self._run.tell(how)
            else:
                self._run.progress(*how)


def _last_line(reason: BaseException) -> str:
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return (lines[-1] if lines else type(reason).__name__)[:300]
