"""The Ray engine: the same tasks on a cluster that exists, or on one that is started here for as long as it is needed.

Ray places packets of items on nodes and tries them again where a node or a worker dies. Files are read where the task
runs: their paths must mean the same on every node.
"""

import platform
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from uyan.data.task_map import ATTEMPTS, Lost, TaskMap, chunks_of, run_chunk
from uyan.errors import ClusterError

CHUNKS_AHEAD = 3
HERE = "ray"
CLIENT = "ray://"


@contextmanager
def ray_engine(address: str) -> Iterator[TaskMap]:
    """Join the cluster at `ray://HOST:PORT`, or start one here for `ray`; it is left, or ended, afterwards.

    Raises ClusterError where Ray is not installed, nobody answers, or the cluster has other versions.
    """
    try:
        import ray
    except ModuleNotFoundError as reason:
        raise ClusterError("Ray is not installed; pip install 'uyan[ray]'") from reason
    try:
        if address == HERE:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False)
        else:
            ray.init(address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, AssertionError) as reason:
        hint = "" if address == HERE else "; is it up, and do RAY_AUTH_TOKEN and RAY_AUTH_MODE here match its own?"
        raise ClusterError(f"{address}: the cluster cannot be joined ({_first_line(reason)}){hint}") from reason
    try:
        _require_same_versions(address)
        yield ray_map
    finally:
        ray.shutdown()


def ray_map(task: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    """See `TaskMap`; the cluster's cores are the workers. Raises ClusterError when the cluster itself is lost."""
    import ray

    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    remote = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(run_chunk)
    chunks = deque(chunks_of(items, cores))
    given: deque[tuple[Sequence[Any], Any]] = deque()
    try:
        while chunks or given:
            while chunks and len(given) < CHUNKS_AHEAD * cores:
                given.append((chunks[0], remote.remote(task, chunks[0])))
                chunks.popleft()
            chunk, reference = given.popleft()
            yield from _results(remote, task, chunk, reference)
    finally:
        for _, reference in given:
            ray.cancel(reference, force=True)


def _results(remote: Any, task: Callable[[Any], Any], chunk: Sequence[Any], reference: Any) -> list[Any]:
    """A packet's results; where its workers died again and again, each of its items tried alone."""
    import ray

    try:
        found: list[Any] = ray.get(reference)
        return found
    except ray.exceptions.RayTaskError as reason:
        cause = getattr(reason, "cause", None)
        if cause is None or isinstance(cause, ray.exceptions.RayError):
            raise ClusterError(f"a worker cannot run the task ({_first_line(cause or reason)})") from reason
        raise cause from reason
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as reason:
        if len(chunk) == 1:
            return [Lost(f"its process died {ATTEMPTS} times ({type(reason).__name__})")]
        references = [remote.remote(task, [item]) for item in chunk]
        return [
            result
            for item, alone in zip(chunk, references, strict=True)
            for result in _results(remote, task, [item], alone)
        ]
    except (ray.exceptions.RayError, ConnectionError) as reason:
        raise ClusterError(f"the cluster was lost ({_first_line(reason)}); the same command goes on") from reason


def _require_same_versions(address: str) -> None:
    """Workers of another Python or another uyan would fail in ways that tell nobody why."""
    import ray

    ours = _versions()
    try:
        theirs = ray.get(ray.remote(num_cpus=0)(_versions).remote())
    except ray.exceptions.RayError as reason:
        raise ClusterError(
            f"{address}: a worker cannot run uyan {ours[1]} ({_first_line(reason)}); install the same version there"
        ) from reason
    if theirs != ours:
        raise ClusterError(
            f"{address}: workers have Python {theirs[0]} and uyan {theirs[1]}, this computer Python {ours[0]} and uyan "
            f"{ours[1]}; install the same"
        )


def _versions() -> tuple[str, str]:
    from importlib.metadata import version

    return platform.python_version(), version("uyan")


def _first_line(reason: BaseException) -> str:
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return (lines[0] if lines else type(reason).__name__)[:300]
