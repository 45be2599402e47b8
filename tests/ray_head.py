"""A Ray cluster of two cores for as long as a block runs; nobody else's is touched."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np


@contextmanager
def ray_head() -> Iterator[str]:
    """The address for its clients. RAY_AUTH_MODE must be as they will have it."""
    port, clients = free_ports()[:2]
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus", "2"]
    start += ["--node-ip-address", "127.0.0.1", "--port", port, "--ray-client-server-port", clients]
    # With gRPC's handlers of forks, what Ray forks for a client was dead at birth in 4 of some 25 clusters, here.
    environment = os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "0"}
    head = subprocess.Popen(start, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert head.stdout is not None
        assert any("Ray runtime started" in line for line in head.stdout)
        yield f"ray://127.0.0.1:{clients}"
    finally:
        head.terminate()
        head.communicate(timeout=120)


def free_ports() -> list[str]:
    """Some, below those that Ray gives its workers."""
    ports: list[str] = []
    for port in np.random.default_rng().permutation(np.arange(7000, 9000))[:100]:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", int(port)))
            ports.append(str(port))
    return ports
