"""Whatever some client sends, the server lives and another client on it hears its words."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from wyoming_peer import Serving, answers, chunk_events, stream_events, until_alone, within

from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.runtime.wyoming_server import Limits, WakeServer

INPUTS, AT_ONCE = 3000, 25
"""Inputs of hostile clients in all, and how many of them come at the same time."""

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())
NAMES = ["describe", "detect", "audio-start", "audio-chunk", "audio-stop", "ping"]
TYPES = st.sampled_from(NAMES) | st.text(max_size=8)
LENGTHS = st.none() | st.integers(0, 64) | VALUES | st.integers(2**19 - 1, 2**70)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "names": VALUES | st.lists(VALUES, max_size=3),
        "rate": st.sampled_from([4000, 16_000, 48_000]) | VALUES,
        "width": st.integers(1, 4) | VALUES,
        "channels": st.integers(1, 8) | VALUES,
        "timestamp": st.integers(0, 10**6) | VALUES,
    },
)


@st.composite
def frames(draw: Any) -> bytes:
    """A line with types right or wrong, and bodies that fit their lengths or do not."""
    header = {"type": draw(TYPES | VALUES), "data": draw(FIELDS | VALUES)}
    payload = draw(st.binary(max_size=64))
    header["payload_length"] = draw(st.just(len(payload)) | LENGTHS)
    if draw(st.booleans()):
        body = json.dumps(draw(FIELDS)).encode() if draw(st.booleans()) else draw(st.binary(max_size=20))
        header["data_length"] = draw(st.just(len(body)) | LENGTHS)
        payload = body + payload
    return json.dumps(header).encode() + b"\n" + payload


@st.composite
def mutated(draw: Any) -> bytes:
    """A conversation as it should be, with some bytes changed, left out or put in, or cut off."""
    valid = bytearray()
    for kind, fields, payload in (
        ("detect", {"names": ["günaydın"]}, b""),
        ("audio-start", {"rate": 16_000, "width": 2, "channels": 1}, b""),
        *[("audio-chunk", {"rate": 16_000, "width": 2, "channels": 1, "timestamp": 0}, bytes(2560))] * 15,
        ("audio-stop", {}, b""),
    ):
        body = json.dumps(fields).encode()
        line = {"type": kind, "data_length": len(body), "payload_length": len(payload)}
        valid += json.dumps(line).encode() + b"\n" + body + payload
    for _ in range(draw(st.integers(0, 4))):
        at, what = draw(st.integers(0, len(valid) - 1)), draw(st.binary(max_size=4))
        valid[at : at + draw(st.integers(0, 4))] = what
    return bytes(valid[: draw(st.integers(0, len(valid)))] if draw(st.booleans()) else valid)


HOSTILE = st.binary(max_size=400) | st.lists(frames(), min_size=1, max_size=6).map(b"".join) | mutated()


async def attack(server: WakeServer, sent: bytes, resets: bool) -> None:
    """Send, do not listen, and go: with a reset, or when the server hangs up."""
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    try:
        writer.write(sent)
        await writer.drain()
        if not resets:
            writer.write_eof()
            await reader.read()
    except OSError:
        return  # the server hung up first, as it may
    finally:
        writer.transport.abort()


@pytest.mark.slow
def test_hostile_clients_do_not_disturb_the_others(
    serving: Serving, bundle: Bundle, pcm: NDArray[np.int16], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [round(1000 * each.time_s) for each in Detector(bundle).push(pcm)]
    seen = 0

    async def scenario(inputs: list[tuple[bytes, bool]]) -> None:
        nonlocal seen
        async with serving(limits=Limits(idle_s=1.0)) as server:
            surprises: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: surprises.append(context))
            listening = asyncio.create_task(answers(server, stream_events(chunk_events(pcm))))
            await asyncio.gather(*(attack(server, *each) for each in inputs))
            found = await listening
            assert [event.data["timestamp"] for event in found] == expected
            await until_alone(server)
            assert surprises == []
            seen += len(inputs)

    @settings(
        max_examples=INPUTS // AT_ONCE,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(st.lists(st.tuples(HOSTILE, st.booleans()), min_size=AT_ONCE, max_size=AT_ONCE))
    def fuzz(inputs: list[tuple[bytes, bool]]) -> None:
        within(scenario(inputs))

    fuzz()
    with capsys.disabled():
        print(f"\n{seen} hostile inputs; the others heard every word")
    assert seen >= INPUTS
