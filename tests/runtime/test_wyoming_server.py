import asyncio
import json
import socket
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming.client import AsyncUnixClient
from wyoming.event import Event
from wyoming.info import Describe
from wyoming_peer import Serving, answers, chunk_events, client, stream_events, until_alone, within

from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.errors import ConfigError
from uyan.runtime.address import Address
from uyan.runtime.wyoming_server import Limits, WakeServer

CHUNK_LINE = b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, "payload_length": %d}\n'


@pytest.fixture(scope="module")
def expected(bundle: Bundle, pcm: NDArray[np.int16]) -> list[tuple[str, int]]:
    """Name and timestamp of the detections in `pcm`."""
    found = Detector(bundle).push(pcm)
    assert len(found) >= 3
    return [(each.label, round(1000 * each.time_s)) for each in found]


def heard(events: list[Event]) -> list[tuple[str, int]]:
    assert {event.type for event in events} == {"detection"}
    return [(event.data["name"], event.data["timestamp"]) for event in events]


async def told(server: WakeServer, sent: bytes) -> str:
    """Text of the one error that a client is told that sends these bytes and then waits."""
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(sent)
    received = await reader.read()
    writer.close()
    header, _, data = received.partition(b"\n")
    assert json.loads(header)["type"] == "error"
    return str(json.loads(data)["text"])


def test_clients_at_the_same_time_hear_their_own_streams(
    serving: Serving, pcm: NDArray[np.int16], expected: list[tuple[str, int]]
) -> None:
    async def scenario() -> None:
        async with serving() as server:
            silent = np.zeros_like(pcm)
            streams = [stream_events(chunk_events(pcm if number % 2 else silent)) for number in range(20)]
            found = await asyncio.gather(*(answers(server, events) for events in streams))
            for number, events in enumerate(found):
                if number % 2:
                    assert heard(events) == expected
                else:
                    assert [event.type for event in events] == ["not-detected"]
            await until_alone(server)
            assert (server.clients, server.detections) == (20, 10 * len(expected))

    within(scenario())


def test_a_detection_comes_while_the_stream_goes_on(
    serving: Serving, pcm: NDArray[np.int16], expected: list[tuple[str, int]]
) -> None:
    async def scenario() -> None:
        async with serving() as server, client(server) as one:
            for event in stream_events(chunk_events(pcm[: expected[0][1] * 16]))[:-1]:
                await one.write_event(event)
            found = await one.read_event()
            assert found is not None
            assert heard([found]) == expected[:1]

    within(scenario())


def test_a_unix_socket_serves_too_and_is_removed(
    bundle: Bundle, pcm: NDArray[np.int16], expected: list[tuple[str, int]], tmp_path: Path
) -> None:
    async def scenario() -> None:
        server = WakeServer([bundle], Address(path=tmp_path / "uyan.sock"))
        await server.start()
        async with AsyncUnixClient(tmp_path / "uyan.sock") as one:
            for event in stream_events(chunk_events(pcm)):
                await one.write_event(event)
            found = [await one.read_event() for _ in expected]
        assert heard([event for event in found if event]) == expected
        await server.stop()
        assert not (tmp_path / "uyan.sock").exists()

    within(scenario())


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "the line is no JSON"),
        (b"x" * 200_000, "a line of more than 65536 bytes"),
        (b'{"type": "describe", "data_length": 1000000000000}\n', "data_length is 1000000000000"),
        (CHUNK_LINE % 10**12 + bytes(1000), "payload_length is 1000000000000"),
        (CHUNK_LINE % 3 + b"123", "no whole number of samples"),
        ((CHUNK_LINE % 2).replace(b"16000", b"1000000") + b"12", "a rate of 1000000 Hz"),
        (b'{"type": "detect", "data": {"names": ["nobody"]}}\n', "none of ['nobody'] is here"),
    ],
)
def test_a_bad_client_is_told_and_sent_away(serving: Serving, sent: bytes, message: str) -> None:
    async def scenario() -> str:
        async with serving() as server:
            return await told(server, sent)

    text = within(scenario())
    assert message in text


def test_one_client_too_many_is_told(serving: Serving) -> None:
    async def scenario() -> None:
        async with serving(limits=Limits(clients=2)) as server:
            async with client(server) as first, client(server) as second:
                for one in (first, second):
                    await one.write_event(Describe().event())
                    assert await one.read_event() is not None
                assert await told(server, b"") == "2 clients are here; no more are served"
                assert (server.present, server.refused) == (2, 1)
            await until_alone(server)
            async with client(server) as next_one:
                await next_one.write_event(Describe().event())
                assert await next_one.read_event() is not None
            assert server.clients == 3

    within(scenario())


@pytest.mark.parametrize("sent", [b"", b'{"type": "desc', b'{"type": "describe"}\n'])
def test_a_silent_client_is_sent_away(serving: Serving, sent: bytes) -> None:
    async def scenario() -> None:
        async with serving(limits=Limits(idle_s=0.1)) as server:
            reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
            writer.write(sent)
            await reader.read()
            await until_alone(server)
            writer.close()

    within(scenario())


def test_a_client_that_reads_no_answers_is_sent_away(
    serving: Serving, pcm: NDArray[np.int16], expected: list[tuple[str, int]]
) -> None:
    async def scenario() -> None:
        async with serving(limits=Limits(write_s=0.2)) as server:
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.connect((server.address.host, server.address.port))
                deaf.setblocking(False)
                flood = asyncio.create_task(_flood(deaf))
                while not server.present:
                    await asyncio.sleep(0.01)
                assert heard(await answers(server, stream_events(chunk_events(pcm)))) == expected
                await until_alone(server)
                with pytest.raises(OSError, match=r"reset|Broken"):
                    await flood

    within(scenario())


async def _flood(deaf: socket.socket) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(deaf, b'{"type": "describe"}\n' * 1000)


def test_ten_thousand_connects_leave_nothing_behind(
    serving: Serving, pcm: NDArray[np.int16], expected: list[tuple[str, int]]
) -> None:
    """Some say nothing, some half an event, some hang up with a reset in the middle of a chunk."""
    half = [b"", b'{"type"', CHUNK_LINE % 1000 + b"half", b'{"type": "describe"}\n']

    async def knock(server: WakeServer, count: int) -> None:
        for number in range(count):
            _, writer = await asyncio.open_connection(server.address.host, server.address.port)
            writer.write(half[number % len(half)])
            if number % 3:
                writer.transport.abort()
            writer.close()

    async def scenario() -> None:
        async with serving() as server:
            listening = asyncio.create_task(answers(server, stream_events(chunk_events(pcm))))
            await asyncio.gather(*(knock(server, 500) for _ in range(20)))
            assert heard(await listening) == expected
            await until_alone(server)
            assert server.clients + server.refused >= 9_000  # a reset may come before the connection is accepted
            assert heard(await answers(server, stream_events(chunk_events(pcm)))) == expected

    within(scenario())


def test_stopping_lets_the_clients_go(serving: Serving) -> None:
    async def scenario() -> None:
        async with serving() as server, client(server) as one:
            await one.write_event(Describe().event())
            assert await one.read_event() is not None
            await server.stop()
            assert await one.read_event() is None
            with pytest.raises(ConnectionRefusedError):
                await client(server).connect()

    within(scenario())


def test_what_cannot_be_served_is_refused_before_anybody_comes(bundle: Bundle) -> None:
    for bundles, threshold in (([], None), ([bundle, bundle], None), ([bundle], 1.5)):
        with pytest.raises(ConfigError):
            WakeServer(bundles, Address("127.0.0.1"), threshold)
    for clients, idle_s in ((0, 1.0), (1, 0.0), (1, float("nan")), (1, float("inf"))):
        with pytest.raises(ConfigError, match="room for a client"):
            Limits(clients=clients, idle_s=idle_s)
