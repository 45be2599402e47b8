"""A Wyoming wake-word server: many clients at once, none of which can hold or disturb the others.

Every client has a detector of its own; networks are shared. All of it runs in one thread: the computing for a chunk of
80 ms takes less than handing it to another thread would. Bounded are the number of clients, what is read at once
(wyoming_events), how long a client may be silent or leave answers unread, and what is computed before others have their
turn (wyoming_stream).
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

from wyoming.error import Error
from wyoming.event import Event, async_write_event

from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.errors import ConfigError
from uyan.runtime.address import Address, bound
from uyan.runtime.wyoming_events import MAX_LINE_BYTES, BadEventError, joined, read_event
from uyan.runtime.wyoming_stream import WakeStream

CLOSE_S = 2.0
"""For a client to read the last answers."""
OPEN = (
    "every machine that reaches this address can send audio and learn what is heard; Wyoming knows no password, so let "
    "the firewall admit only those that should"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a client may take."""

    clients: int = 256
    """At the same time; one more is refused."""
    idle_s: float = 600.0
    """Silence after which a client is sent away; a satellite that waits for its user comes again by itself."""
    write_s: float = 10.0
    """Until a client has read enough of its answers."""
    unread_bytes: int = 64 * 1024
    """Answers kept for a client that does not read them."""

    def __post_init__(self) -> None:
        if self.clients < 1 or not 0 < self.idle_s < float("inf"):
            given = f"{self.clients} clients and {self.idle_s:g} s"
            raise ConfigError(f"a server needs room for a client or more, and time for them, not {given}")


class WakeServer:
    """Serves these bundles at one address between `start` and `stop`."""

    def __init__(
        self,
        bundles: Sequence[Bundle],
        address: Address,
        threshold: float | None = None,
        tta: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Raises ConfigError for what a `Detector` of all of them refuses, BundleError for what cannot be run."""
        Detector(bundles, threshold, tta)
        for bundle in bundles:
            _ = bundle.session  # made now, not while the first client waits
        self._bundles, self._threshold, self._tta = tuple(bundles), threshold, tta
        self.address = address
        """Where it listens; with the port that was found once it has started."""
        self._limits = limits or Limits()
        self._server: asyncio.Server | None = None
        self._present: set[asyncio.Task[None]] = set()
        self.clients = 0
        """Served so far."""
        self.refused = 0
        """Not served, for want of room."""
        self.detections = 0

    @property
    def words(self) -> list[str]:
        """What it listens for."""
        return [bundle.info.label for bundle in self._bundles]

    @property
    def present(self) -> int:
        """Clients there now."""
        return len(self._present)

    async def start(self) -> None:
        """Begin to accept clients. Raises ConfigError when the address cannot be had."""
        self._server = await self.address.listen(self._accept, MAX_LINE_BYTES)
        self.address = bound(self.address, self._server)

    async def stop(self) -> None:
        """Accept no more, close every connection."""
        if self._server is None:
            return
        self._server.close()
        present = list(self._present)
        for task in present:
            task.cancel()
        await asyncio.gather(*present, return_exceptions=True)
        await self._server.wait_closed()
        if self.address.path is not None:
            self.address.path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # streams make one for every connection
        writer.transport.set_write_buffer_limits(self._limits.unread_bytes)
        served = len(self._present) < self._limits.clients
        try:
            if served:
                self._present.add(task)
                self.clients += 1
                await self._converse(reader, writer)
            else:
                self.refused += 1
                await self._send(writer, Error(f"{self._limits.clients} clients are here; no more are served").event())
            await _hang_up(reader, writer)
        except TimeoutError:
            log.info("a client is sent away: it was silent, or left its answers unread, for too long")
        except OSError as reason:
            log.debug("a client has gone: %s", reason)
        except asyncio.CancelledError:
            log.debug("a client is sent away: the server stops")
        finally:
            writer.transport.abort()
            self._present.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read, hear, answer. Chunks that came while others had their turn are heard as one, for much less."""
        stream = WakeStream(self._bundles, self._threshold, self._tta)
        reading = self._next(reader)
        try:
            while not stream.ended and (event := await reading):
                reading = self._next(reader)
                while (following := await _at_hand(reading)) and (longer := joined(event, following)):
                    event, reading = longer, self._next(reader)
                for answers in stream.take(event):
                    for answer in answers:
                        await self._send(writer, answer)
                    await asyncio.sleep(0)
        except BadEventError as reason:
            log.warning("a client is sent away: %s", reason)
            await self._send(writer, Error(str(reason)).event())
        finally:
            self.detections += stream.detections
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _next(self, reader: asyncio.StreamReader) -> asyncio.Task[Event | None]:
        return asyncio.create_task(read_event(reader, self._limits.idle_s))

    async def _send(self, writer: asyncio.StreamWriter, event: Event) -> None:
        async with asyncio.timeout(self._limits.write_s):
            await async_write_event(event, writer)


async def _at_hand(reading: asyncio.Task[Event | None]) -> Event | None:
    """The event that is being read, if all of it has come."""
    await asyncio.sleep(0)  # others have their turn, the task among them
    return reading.result() if reading.done() and not reading.cancelled() and not reading.exception() else None


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that this was all, and wait a little for the client to go.

    Closed at once, with something of it unread, the connection would be reset and the last answers lost.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            writer.transport.set_write_buffer_limits(0)
            await writer.drain()
            writer.write_eof()
            while await reader.read(MAX_LINE_BYTES):
                pass


async def serve_until_signalled(server: WakeServer, announced_as: str | None, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `tell` is given a line when it listens, and one when strangers can come.

    Raises ConfigError when it cannot listen at its address, or not be announced under that name.
    """
    with _signalled() as stopped:
        await server.start()
        try:
            async with _announced(server.address, announced_as):
                tell(f"listening at {server.address} for {', '.join(server.words)}")
                if not server.address.is_local:
                    tell(f"warning: {OPEN}")
                await stopped.wait()
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def _announced(address: Address, name: str | None) -> AsyncIterator[None]:
    if name is None:
        yield
        return
    from uyan.runtime.announcement import Announcement

    async with Announcement(address, name):
        yield


@contextlib.contextmanager
def _signalled() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
