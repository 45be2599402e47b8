"""A Wyoming server on a real loopback socket, two words, and a sound in which one of them is heard."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming_peer import Serving

from uyan.bundle import Bundle
from uyan.runtime.address import Address
from uyan.runtime.wyoming_server import WakeServer


@pytest.fixture(scope="session")
def pcm(changing_sound: Any) -> NDArray[np.int16]:
    """Twelve seconds."""
    sound: NDArray[np.int16] = np.round(changing_sound(12.0, seed=1) * 32768).astype(np.int16)
    return sound


@pytest.fixture(scope="session")
def other(bundle: Bundle) -> Bundle:
    """A second word, "hey other", untrained."""
    from uyan.export.onnx import make_bundle, network_to_onnx
    from uyan.model.network import Network, NetworkConfig

    network = Network(NetworkConfig(size="small"), 64, bundle.info.window_frames).eval()
    return make_bundle(network_to_onnx(network, mels=64), replace(bundle.info, label="hey other"), Path("other.onnx"))


@pytest.fixture(scope="session")
def serving(bundle: Bundle) -> Serving:
    """async with serving(bundles, threshold=…, limits=…) as server: on a free port, stopped at the end."""

    @asynccontextmanager
    async def serve(bundles: Sequence[Bundle] = (bundle,), **options: Any) -> AsyncIterator[WakeServer]:
        server = WakeServer(bundles, Address("127.0.0.1"), **options)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
            assert server.present == 0

    return serve
