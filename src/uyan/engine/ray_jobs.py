"""Long jobs on a Ray cluster: a task of Ray's watches over each, in a process as the local engine starts it.

So a job computes with the threads, and ends in the ways, that it would have here. One whose process or node dies is
begun again, elsewhere if need be, and goes on from its folder, which every node has to see. What the jobs say goes
through an actor, from which it is fetched a few times a second.
"""

import platform
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from uyan.engine.job import Ended, Job, Killed, Message, Said
from uyan.engine.local_jobs import STOP_S, local_jobs
from uyan.engine.ray_cluster import died, in_short, nodes, on_node, ray_package
from uyan.engine.task_map import ATTEMPTS
from uyan.errors import ClusterError

POLL_S = 0.2
LAST_WORDS_S = 10.0


class Mailbox:
    """What jobs have said since it was last asked."""

    def __init__(self) -> None:
        self._held: list[tuple[str, Message]] = []

    def put(self, name: str, messages: Sequence[Message]) -> None:
        """From a job."""
        self._held += [(name, message) for message in messages]

    def take(self) -> list[tuple[str, Message]]:
        """All of it, in order."""
        taken, self._held = self._held, []
        return taken


class _Relay:
    """Sends a job's lines on at once, and of its progress what was last at each stage, a few times a second."""

    def __init__(self, box: Any) -> None:
        self._box = box
        self._steps: dict[str, Message] = {}
        self._sent_s = 0.0

    def __call__(self, name: str, message: Message) -> None:
        if message.kind == "progress":
            self._steps[message.text] = message
            if message.done < message.total and time.monotonic() - self._sent_s < POLL_S:
                return
            self._send(name)
        else:
            self._send(name, message)

    def _send(self, name: str, *more: Message) -> Any:
        messages = [*self._steps.values(), *more]
        self._steps, self._sent_s = {}, time.monotonic()
        return self._box.put.remote(name, messages)

    def finish(self, name: str) -> None:
        """Return when all has arrived; a mailbox that is gone is no matter of the job."""
        ray = ray_package()
        with suppress(ray.exceptions.RayError):
            ray.get(self._send(name), timeout=LAST_WORDS_S)


def watched(job: Job, threads: int, box: Any) -> str:
    """Begin a job once: why it failed, empty when it did not; runs on a node."""
    relay = _Relay(box)
    try:
        failures = local_jobs([job], 1, threads, relay, lambda over: None, 1, f"node {platform.node()}")
    finally:
        relay.finish(job.name)
    return failures.get(job.name, "")


def ray_jobs(jobs: Sequence[Job], together: int, threads: int, said: Said, ended: Ended) -> dict[str, str]:
    """See `RunJobs`. Raises ClusterError when the cluster itself is lost."""
    ray = ray_package()
    try:
        # Beside whoever asks, or at the head for a client: the node that is there as long as this is.
        here = on_node(ray.get_runtime_context().get_node_id(), wherever=True)
        box = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Mailbox).remote()
        remote = ray.remote(num_cpus=threads, num_gpus=_gpu_share(together), max_retries=0)(watched)
        return _run(remote, box, deque((job, 1) for job in jobs), together, threads, said, ended)
    except (ray.exceptions.RayError, ConnectionError) as reason:
        raise ClusterError(f"the cluster was lost ({in_short(reason)}); the same command goes on") from reason


def _run(
    remote: Any, box: Any, waiting: deque[tuple[Job, int]], together: int, threads: int, said: Said, ended: Ended
) -> dict[str, str]:
    ray, failures, over = ray_package(), dict[str, str](), 0
    running: dict[Any, tuple[Job, int]] = {}
    try:
        ended(over)
        while waiting or running:
            while waiting and len(running) < together:
                job, attempt = waiting.popleft()
                running[remote.remote(job, threads, box)] = job, attempt
            done, _ = ray.wait(list(running), timeout=POLL_S)
            _pass_on(box, said)
            for reference in done:
                job, attempt = running.pop(reference)
                reason = _outcome(reference)
                if isinstance(reason, Killed) and attempt < ATTEMPTS:
                    waiting.append((job, attempt + 1))
                    continue
                if reason:
                    failures[job.name] = reason
                over += 1
                ended(over)
        _pass_on(box, said)
    finally:
        _stop(list(running))
        with suppress(ray.exceptions.RayError, ConnectionError):
            ray.kill(box)
    return failures


def _pass_on(box: Any, said: Said) -> None:
    ray = ray_package()
    heard: list[tuple[str, Message]] = []
    with suppress(ray.exceptions.RayActorError):  # it is begun again, elsewhere
        heard = ray.get(box.take.remote())
    for name, message in heard:
        said(name, message)


def _outcome(reference: Any) -> str:
    """Why a job failed; empty when it did not."""
    ray = ray_package()
    try:
        reason: str = ray.get(reference)
        return reason
    except died() as crash:
        return Killed(f"its process died ({type(crash).__name__})")
    except ray.exceptions.RayTaskError as error:
        return f"a worker cannot run it ({in_short(getattr(error, 'cause', None) or error)})"


def _stop(running: list[Any]) -> None:
    """Interrupt the jobs, and wait until they have left what they go on from."""
    ray = ray_package()
    if running:
        with suppress(ray.exceptions.RayError, ConnectionError):
            for reference in running:
                ray.cancel(reference)
            ray.wait(running, num_returns=len(running), timeout=STOP_S + LAST_WORDS_S)


def _gpu_share(together: int) -> float:
    """Of the GPUs that there are, for each of so many jobs: Ray hides those that were not asked for."""
    gpus = sum(node["Resources"].get("GPU", 0) for node in nodes())
    return min(1.0, int(100 * gpus / together) / 100)
