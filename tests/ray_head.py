"""A Ray cluster of two cores for as long as a block runs; nobody else's is touched."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

LIMIT_S = 120.0
"""To start, and to end."""


@contextmanager
def ray_head() -> Iterator[str]:
    """The address for its clients. RAY_AUTH_MODE must be as they will have it."""
    port, clients = free_ports()[:2]
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus", "2"]
    start += ["--node-ip-address", "127.0.0.1", "--port", port, "--ray-client-server-port", clients]
    # With gRPC's handlers of forks, what Ray forks for a client was dead at birth in 4 of some 25 clusters, here.
    environment = os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "0"}
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("wb") as output:
            head = subprocess.Popen(start, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(head, said)
            yield f"ray://127.0.0.1:{clients}"
        finally:
            head.terminate()
            try:
                head.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                head.kill()
                raise


def _wait(head: "subprocess.Popen[bytes]", said: Path) -> None:
    """Until it says that it is there."""
    until = time.monotonic() + LIMIT_S
    while "Ray runtime started" not in said.read_text():
        assert head.poll() is None and time.monotonic() < until, said.read_text()
        time.sleep(0.2)


def free_ports() -> list[str]:
    """Some, below those that Ray gives its workers."""
    ports: list[str] = []
    for port in np.random.default_rng().permutation(np.arange(7000, 9000))[:100]:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", int(port)))
            ports.append(str(port))
    return ports
