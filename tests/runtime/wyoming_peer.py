"""What a Wyoming client does in these tests, by the client of the package itself."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from uyan.runtime.wyoming_server import WakeServer

Result = TypeVar("Result")
Serving = Callable[..., AbstractAsyncContextManager[WakeServer]]

WAIT_S = 120.0
"""Nothing takes so long; a test that hangs shall end."""


def within(scenario: Coroutine[Any, Any, Result]) -> Result:
    """Run a scenario to its end."""
    return asyncio.run(asyncio.wait_for(scenario, WAIT_S))


def client(server: WakeServer) -> AsyncTcpClient:
    """To be entered."""
    return AsyncTcpClient(server.address.host, server.address.port)


def chunk_events(pcm: NDArray[np.int16], chunk: int = 1280, first_ms: int | None = None) -> list[Event]:
    """16-bit mono chunks at 16 kHz; with timestamps if the first one is given."""
    starts = range(0, pcm.size, chunk)
    times = [None if first_ms is None else first_ms + at // 16 for at in starts]
    pieces = (pcm[at : at + chunk].tobytes() for at in starts)
    return [AudioChunk(16_000, 2, 1, piece, at_ms).event() for piece, at_ms in zip(pieces, times, strict=True)]


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


async def until_alone(server: WakeServer) -> None:
    """Wait for the server to see that everybody has gone."""
    while server.present:
        await asyncio.sleep(0.01)
