import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.event import Event

from uyan.runtime.pcm import PcmFormat
from uyan.runtime.wyoming_events import (
    MAX_DATA_BYTES,
    MAX_JOINED_BYTES,
    MAX_LINE_BYTES,
    MAX_PAYLOAD_BYTES,
    BadEventError,
    audio_format,
    joined,
    read_event,
    timestamp_ms,
    wanted_names,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def read(sent: bytes, ends: bool = True, idle_s: float = 5.0) -> list[Event]:
    """The events in what a client sent, up to its end."""

    async def scenario() -> list[Event]:
        reader = asyncio.StreamReader(MAX_LINE_BYTES)
        reader.feed_data(sent)
        if ends:
            reader.feed_eof()
        found = []
        while event := await read_event(reader, idle_s):
            found.append(event)
        return found

    return asyncio.run(scenario())


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def test_a_line_its_data_and_its_payload_are_one_event() -> None:
    more = json.dumps({"rate": 16_000, "name": "günaydın"}, ensure_ascii=False).encode()
    first = line(type="audio-chunk", data={"rate": 8, "width": 2}, data_length=len(more), payload_length=3)
    found = read(first + more + b"\n\n\n" + line(type="describe") + line(type="detect", data=None, data_length=0))
    assert found == [
        Event("audio-chunk", {"rate": 16_000, "width": 2, "name": "günaydın"}, b"\n\n\n"),
        Event("describe"),
        Event("detect"),
    ]


@pytest.mark.parametrize(
    "sent", [b"", b'{"type"', line(type="a", data_length=5), line(type="a", payload_length=5) + b"1234"]
)
def test_half_an_event_is_the_end(sent: bytes) -> None:
    assert read(sent) == []


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b" " * (MAX_LINE_BYTES + 1), "a line of more than 65536 bytes"),
        (line(type="a", data_length=MAX_DATA_BYTES + 1), "data_length is 65537; at most 65536 bytes are taken"),
        (line(type="a", payload_length=MAX_PAYLOAD_BYTES + 1), "at most 524288 bytes are taken"),
        (line(type="a", payload_length=10**4000), "payload_length is 1000"),
        (line(type="a", payload_length=-1), "a number of bytes, not -1"),
        (line(type="a", payload_length=True), "a number of bytes, not True"),
        (line(type="a", data_length=2.0), "a number of bytes, not 2.0"),
        (line(type="a", data_length="2"), "a number of bytes, not '2'"),
        (line(type="a", data_length=2) + b"[]", r"data must be a JSON object, not \[\]"),
        (line(type="a", data_length=2) + b"{,", "data is no JSON"),
        (line(type="a", data="\x1b[2J"), r"data must be an object, not '\\x1b\[2J'"),
        (line(type=None), "an event of type None"),
        (line(), "an event of type None"),
        (b"\n", "the line is no JSON"),
        (b"\xff\xfe\n", "the line is no JSON"),
        (b"1" * 5000 + b"\n", "the line is no JSON"),
        (b"[" * 60_000 + b"\n", "the line is no JSON"),
        (b"[1]\n", "the line must be a JSON object"),
    ],
)
def test_what_is_no_event_or_too_large_is_refused_in_words_before_it_is_read(sent: bytes, message: str) -> None:
    with pytest.raises(BadEventError, match=message) as caught:
        read(sent, ends=False)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_silence_and_a_rest_that_never_comes_are_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TimeoutError):
        read(line(type="a") + b'{"type"', ends=False, idle_s=0.05)
    monkeypatch.setattr("uyan.runtime.wyoming_events.BODY_S", 0.05)
    with pytest.raises(TimeoutError):
        read(line(type="a", payload_length=5) + b"1234", ends=False)


@given(JSON, JSON, JSON, JSON, JSON)
def test_fields_of_any_type_are_used_or_refused(
    rate: Any, width: Any, channels: Any, timestamp: Any, names: Any
) -> None:
    event = Event("audio-chunk", {"rate": rate, "width": width, "channels": channels, "timestamp": timestamp})
    event.data["names"] = names
    for read_field, kinds in ((audio_format, PcmFormat), (timestamp_ms, float | None), (wanted_names, list)):
        try:
            assert isinstance(read_field(event), kinds)
        except BadEventError as reason:
            assert str(reason).startswith("audio-chunk: ")
            assert len(str(reason)) < 300


def chunk(payload: bytes, timestamp: Any = None, rate: Any = 16_000) -> Event:
    return Event("audio-chunk", {"rate": rate, "width": 2, "channels": 1, "timestamp": timestamp}, payload)


@pytest.mark.parametrize(
    ("second", "follows"),
    [
        (chunk(b"cd", 1080), True),
        (chunk(b"cd", 1081), True),
        (chunk(b"", 1080), True),
        (chunk(b"cd", 1200), False),
        (chunk(b"cd", 1000), False),
        (chunk(b"cd"), False),
        (chunk(b"cd", 1080, 8_000), False),
        (chunk(b"cd", 1080, "?"), False),
        (chunk(b"cd", "?"), False),
        (chunk(bytes(MAX_JOINED_BYTES), 1080), False),
        (Event("audio-stop"), False),
    ],
)
def test_chunks_are_joined_where_the_second_follows_the_first(second: Event, follows: bool) -> None:
    first = chunk(bytes(2560), 1000)
    found = joined(first, second)
    assert found == (Event("audio-chunk", first.data, bytes(2560) + (second.payload or b"")) if follows else None)


def test_chunks_without_timestamps_follow_each_other_and_parts_of_a_sample_do_not() -> None:
    assert joined(chunk(b"ab"), chunk(b"cd")) == chunk(b"abcd")
    assert joined(chunk(b"abc"), chunk(b"d")) is None


@pytest.mark.parametrize("rate", [16_000.0, "16000", True, None, 10**4000, [16_000]])
def test_a_rate_is_an_integer(rate: Any) -> None:
    with pytest.raises(BadEventError, match="rate, width and channels must be integers"):
        audio_format(Event("audio-start", {"rate": rate, "width": 2, "channels": 1}))


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), 10**400, "5", True, []])
def test_a_timestamp_is_a_number(timestamp: Any) -> None:
    with pytest.raises(BadEventError, match="a number of milliseconds"):
        timestamp_ms(Event("audio-chunk", {"timestamp": timestamp}))
    assert timestamp_ms(Event("audio-chunk", {"timestamp": 80})) == 80
    assert timestamp_ms(Event("audio-chunk", {})) is None
