"""Independent tasks on a Ray cluster: it places packets of items on nodes, and tries them again where a node dies.

Files are read where the task runs: their paths must mean the same on every node.
"""

import platform
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uyan.engine.ray_cluster import cluster_cores, died, in_short, node_name, nodes, on_node, ray_package
from uyan.engine.task_map import ATTEMPTS, CHUNKS_AHEAD, Lost, chunks_of, run_chunk
from uyan.errors import ClusterError, UyanError


def ray_map(task: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    """See `TaskMap`; the cluster's cores are the workers. Raises ClusterError when the cluster itself is lost."""
    ray, cores = ray_package(), cluster_cores().total
    remote = ray.remote(num_cpus=1, max_retries=0)(run_there)  # Ray counts none that was killed for memory: we do
    sent = ray.put(task)  # once, however many packets there are
    chunks = deque(chunks_of(items, cores))
    given: deque[tuple[Sequence[Any], Any]] = deque()
    try:
        while chunks or given:
            while chunks and len(given) < CHUNKS_AHEAD * cores:
                given.append((chunks[0], remote.remote(sent, chunks[0])))
                chunks.popleft()
            chunk, reference = given.popleft()
            yield from _results(remote, sent, chunk, reference)
    finally:
        for _, reference in given:
            ray.cancel(reference, force=True)


def run_there(task: Callable[[Any], Any], chunk: Sequence[Any]) -> list[Any]:
    """A packet's results, on a node, which the error for a user names."""
    try:
        return run_chunk(task, chunk)
    except UyanError as reason:
        reason.args = (f"{reason} (on node {platform.node()})", *reason.args[1:])
        raise


def _results(remote: Any, sent: Any, chunk: Sequence[Any], reference: Any) -> list[Any]:
    """A packet's results; where its worker died, the first attempt of all its items, each has the others alone."""
    found = _fetched(reference)
    if found is not None:
        return found
    there = nodes()
    turns = [[there[(at + number) % len(there)] for number in range(ATTEMPTS - 1)] for at in range(len(chunk))]
    second = [_alone(remote, sent, item, turn[0]) for item, turn in zip(chunk, turns, strict=True)]
    return [
        result
        for item, turn, alone in zip(chunk, turns, second, strict=True)
        for result in _fetched(alone) or _tried_again(remote, sent, item, turn)
    ]


def _alone(remote: Any, sent: Any, item: Any, node: dict[str, Any]) -> Any:
    """An item begun on one node; elsewhere, where that is gone."""
    return remote.options(scheduling_strategy=on_node(node["NodeID"], wherever=True)).remote(sent, [item])


def _tried_again(remote: Any, sent: Any, item: Any, turn: Sequence[dict[str, Any]]) -> list[Any]:
    """What an item gives on the nodes after the first: where it kills its process on all, the node is not to blame."""
    for node in turn[1:]:
        if found := _fetched(_alone(remote, sent, item, node)):
            return found
    return [Lost(f"its process died {ATTEMPTS} times", ", ".join(dict.fromkeys(map(node_name, turn))))]


def _fetched(reference: Any) -> list[Any] | None:
    """A packet's results; None where its process or its node died."""
    ray = ray_package()
    try:
        found: list[Any] = ray.get(reference)
        return found
    except ray.exceptions.RayTaskError as reason:
        cause = getattr(reason, "cause", None)
        if cause is None or isinstance(cause, ray.exceptions.RayError):
            raise ClusterError(f"a worker cannot run the task ({in_short(cause or reason)})") from reason
        raise cause from reason
    except died():
        return None
    except (ray.exceptions.RayError, ConnectionError) as reason:
        raise ClusterError(f"the cluster was lost ({in_short(reason)}); the same command goes on") from reason
