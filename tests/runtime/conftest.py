"""A Wyoming server on a real loopback socket, and a client that speaks to it through the package of the protocol."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from uyan.bundle import Bundle
from uyan.runtime.address import Address
from uyan.runtime.wyoming_server import Limits, WakeServer

Serving = Callable[..., AbstractAsyncContextManager[WakeServer]]
Result = TypeVar("Result")

WAIT_S = 60.0
"""Nothing here takes so long; a test that hangs shall say where."""


@pytest.fixture
def pcm(changing_sound: Any) -> NDArray[np.int16]:
    """Twelve seconds in which the word is heard some times."""
    sound: NDArray[np.int16] = np.round(changing_sound(12.0, seed=1) * 32768).astype(np.int16)
    return sound


@pytest.fixture
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


def within(scenario: Coroutine[Any, Any, Result]) -> Result:
    """Run a scenario to its end."""
    return asyncio.run(asyncio.wait_for(scenario, WAIT_S))


def client(server: WakeServer) -> AsyncTcpClient:
    """To be entered: the package's own client."""
    return AsyncTcpClient(server.address.host, server.address.port)


def chunk_events(pcm: NDArray[np.int16], chunk: int = 1280, first_ms: int | None = None) -> list[Event]:
    """16-bit mono chunks at 16 kHz; with timestamps if the first one is given."""
    return [
        AudioChunk(
            16_000, 2, 1, pcm[at : at + chunk].tobytes(), None if first_ms is None else first_ms + at // 16
        ).event()
        for at in range(0, pcm.size, chunk)
    ]


def stream_events(chunks: Iterable[Event]) -> list[Event]:
    """Audio-start, chunks, audio-stop."""
    return [AudioStart(16_000, 2, 1).event(), *chunks, AudioStop().event()]


async def answers(server: WakeServer, events: Iterable[Event]) -> list[Event]:
    """All that a client is told that sends these events, until the server hangs up."""
    async with client(server) as one:

        async def send() -> None:
            for event in events:
                await one.write_event(event)

        sending = asyncio.create_task(send())
        found = []
        while (event := await one.read_event()) is not None:
            found.append(event)
        await asyncio.gather(sending, return_exceptions=True)
    return found


SMALL = Limits(clients=3, idle_s=0.3, write_s=0.3)
"""Limits that a test can reach."""
