"""A Ray cluster: one that exists, or one that is started here for as long as it is needed.

It knows nothing of what runs there.
"""

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from uyan.engine.job import Cores
from uyan.errors import ClusterError

HERE = "ray"
CLIENT = "ray://"
JOIN_ERRORS = ConnectionError, RuntimeError, ValueError, TimeoutError, AssertionError
JOIN_ATTEMPTS = 3
DIED_AT_ONCE = "Starting Ray client server failed"
"""Ray forks that server beside threads of its own, and now and then it is dead before it has begun."""
STILLBORN_HINT = "ray_client_server_*.err on its head may tell why; start the head with GRPC_ENABLE_FORK_SUPPORT=0"
TOKEN_HINT = "is it up, and do RAY_AUTH_TOKEN and RAY_AUTH_MODE here match its own?"


@contextmanager
def cluster(address: str) -> Iterator[None]:
    """Join the cluster at `ray://HOST:PORT`, or start one here for `ray`; it is left, or ended, afterwards.

    Raises ClusterError where Ray is not installed, nobody answers, or a node has other versions.
    """
    try:
        ray = ray_package()
    except ModuleNotFoundError as reason:
        raise ClusterError("Ray is not installed; pip install 'uyan[ray]'") from reason
    try:
        if address == HERE:
            # Of its own: without an address Ray joins what runs here, or waits for what has run here.
            ray.init(
                "local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        else:
            _join(ray, address)
    except JOIN_ERRORS as reason:
        hint = "" if address == HERE else f"; {STILLBORN_HINT if _stillborn(reason) else TOKEN_HINT}"
        raise ClusterError(f"{address}: the cluster cannot be joined ({in_short(reason)}){hint}") from reason
    try:
        require_same_versions()
        yield
    finally:
        ray.shutdown()


def _join(ray: Any, address: str) -> None:
    """Again where the cluster answers, but what it starts for this client ends before it says a word."""
    for attempt in range(1, JOIN_ATTEMPTS + 1):
        try:
            ray.init(address, log_to_driver=False)
            return
        except JOIN_ERRORS as reason:
            ray.shutdown()
            if attempt == JOIN_ATTEMPTS or not _stillborn(reason):
                raise


def _stillborn(reason: BaseException) -> bool:
    return DIED_AT_ONCE in str(reason)


def ray_package() -> Any:
    """Ray without its types, which are not complete: checked alike whether it is installed or not."""
    import ray

    return ray


def nodes() -> list[dict[str, Any]]:
    """What Ray says of each node that is there."""
    return [node for node in ray_package().nodes() if node["Alive"]]


def node_name(node: dict[str, Any]) -> str:
    """A node as people know it."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def cluster_cores() -> Cores:
    """Those of all nodes."""
    counts = [int(node["Resources"].get("CPU", 0)) for node in nodes()]
    return Cores(max(1, sum(counts)), min((count for count in counts if count), default=1))


def cluster_gpus() -> int:
    """Those of all nodes."""
    return sum(int(node["Resources"].get("GPU", 0)) for node in nodes())


def on_node(node_id: str, wherever: bool = False) -> Any:
    """Where Ray is to put something; `wherever`, elsewhere when the node is gone."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    affinity: Any = NodeAffinitySchedulingStrategy
    return affinity(node_id, soft=wherever)


def require_same_versions() -> None:
    """Workers of another Python or another uyan would fail in ways that tell nobody why.

    Raises ClusterError, naming the node.
    """
    ray = ray_package()
    ours, asked = versions(), ray.remote(num_cpus=0, max_retries=0)(versions)
    found = {node_name(node): asked.options(scheduling_strategy=on_node(node["NodeID"])).remote() for node in nodes()}
    for node, answer in found.items():
        try:
            theirs = ray.get(answer)
        except ray.exceptions.RayError as reason:
            raise ClusterError(
                f"node {node} cannot run uyan {ours[1]} ({in_short(reason)}); install the same version there"
            ) from reason
        if theirs != ours:
            raise ClusterError(
                f"node {node} has Python {theirs[0]} and uyan {theirs[1]}, this computer Python {ours[0]} and uyan "
                f"{ours[1]}; install the same"
            )


def versions() -> tuple[str, str]:
    """Of Python and of uyan, in the process that asks."""
    from importlib.metadata import version

    return platform.python_version(), version("uyan")


def died() -> tuple[type[Exception], ...]:
    """What Ray raises where process, node or result of a task was lost, or its memory was short."""
    known = ray_package().exceptions
    return known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError, known.ObjectLostError


def in_short(reason: BaseException) -> str:
    """What an exception of Ray says, without its pages.

    >>> in_short(RuntimeError("failure from server:\\nTraceback …\\n  in connect\\nRuntimeError: no such port\\n"))
    'failure from server: RuntimeError: no such port'
    """
    first, *others = [line.strip() for line in str(reason).splitlines() if line.strip()] or [type(reason).__name__]
    return (f"{first} {others[-1]}" if others and first.endswith(":") else first)[:300]
