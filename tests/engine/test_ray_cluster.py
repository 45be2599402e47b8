"""Joining a cluster whose answers are scripted: what is worth another try, and what is not."""

import inspect
import re
from typing import Any

import pytest

from uyan.engine import ray_cluster
from uyan.engine.ray_cluster import DIED_AT_ONCE, JOIN_ATTEMPTS, STILLBORN_HINT, TOKEN_HINT, cluster
from uyan.errors import ClusterError

DEAD = ConnectionAbortedError(f"Initialization failure from server:\nTraceback\nRuntimeError: {DIED_AT_ONCE}. See …")
ADDRESS = "ray://127.0.0.1:10001"


class ScriptedRay:
    """Fails to join as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls: list[str] = []

    def init(self, address: str, **options: Any) -> None:
        self.calls.append(f"init {address}")
        if self.failures:
            raise self.failures.pop(0)

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def joined(ray: ScriptedRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "ray_package", lambda: ray)
    monkeypatch.setattr(ray_cluster, "require_same_versions", lambda: None)
    with cluster(ADDRESS):
        ray.calls.append("work")


def test_a_server_that_dies_at_once_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = ScriptedRay(DEAD)
    joined(ray, monkeypatch)
    assert ray.calls == [f"init {ADDRESS}", "shutdown", f"init {ADDRESS}", "work", "shutdown"]


def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = ScriptedRay(*[DEAD] * JOIN_ATTEMPTS)
    with pytest.raises(ClusterError, match=f"^{ADDRESS}: .* joined .*{DIED_AT_ONCE}.*; {re.escape(STILLBORN_HINT)}$"):
        joined(ray, monkeypatch)
    assert ray.calls == [f"init {ADDRESS}", "shutdown"] * JOIN_ATTEMPTS


@pytest.mark.parametrize("reason", [ConnectionError("nobody answers"), RuntimeError("Unauthenticated")])
def test_what_would_fail_again_is_said_at_once(reason: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = ScriptedRay(reason)
    with pytest.raises(ClusterError, match=f"{reason}.*; {re.escape(TOKEN_HINT)}$"):
        joined(ray, monkeypatch)
    assert ray.calls == [f"init {ADDRESS}", "shutdown"]


def test_ray_still_says_it_in_these_words() -> None:
    pytest.importorskip("ray", reason="needs uyan[ray]")
    pytest.importorskip("grpc", reason="needs uyan[ray]")
    from ray.util.client.server import proxier

    assert DIED_AT_ONCE in inspect.getsource(proxier)
