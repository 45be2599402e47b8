"""Wyoming events off a socket with bounds before every read, and their fields with types.

An event is a line of JSON, then `data_length` bytes of JSON, then `payload_length` bytes. The other end is a stranger:
each length is checked before a byte of it is read, each field before it is used. It knows nothing of wake words; the
`wyoming` package, whose own reader has no bounds, does the writing.
"""

import asyncio
import json
from typing import Any

from wyoming.event import Event

from uyan.errors import AudioError
from uyan.runtime.pcm import PcmFormat

MAX_LINE_BYTES = 64 * 1024
MAX_DATA_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 512 * 1024
"""16 s of 16-bit mono audio at 16 kHz; clients send a tenth of a second."""
BODY_S = 30.0
"""Until the rest of an event has followed its line."""
MAX_TIMESTAMP_MS = 2**53
ROUNDED_MS = 1.0
"""Timestamps are whole ms."""
MAX_JOINED_BYTES = 32 * 1024
"""About a second of what nearly all clients send."""
MAX_FORMAT_VALUE = 2**31
MAX_NAMES, SHOWN_CHARACTERS = 1000, 80


class BadEventError(Exception):
    """What came is no event, or not one that can be used; the message is for the client."""


async def read_event(reader: asyncio.StreamReader, idle_s: float) -> Event | None:
    """The next event; None when the client has gone, also in the middle of one.

    Raises TimeoutError when no line came for `idle_s`, or when the rest of an event did not follow it, and
    BadEventError for anything that is no event or too large. The buffer of the reader must be MAX_LINE_BYTES.
    """
    try:
        async with asyncio.timeout(idle_s):
            line = await reader.readuntil(b"\n")
        header = _json_object(line, "the line")
        data_bytes = _length(header, "data_length", MAX_DATA_BYTES)
        payload_bytes = _length(header, "payload_length", MAX_PAYLOAD_BYTES)
        async with asyncio.timeout(BODY_S):
            data = await reader.readexactly(data_bytes)
            payload = await reader.readexactly(payload_bytes)
    except asyncio.LimitOverrunError as reason:
        raise BadEventError(f"a line of more than {MAX_LINE_BYTES} bytes") from reason
    except asyncio.IncompleteReadError:
        return None
    kind = header.get("type")
    if not isinstance(kind, str):
        raise BadEventError(f"an event of type {shown(kind)}")
    fields = header.get("data") or {}
    if not isinstance(fields, dict):
        raise BadEventError(f"data must be an object, not {shown(fields)}")
    return Event(kind, fields | (_json_object(data, "data") if data else {}), payload or None)


def audio_format(event: Event) -> PcmFormat:
    """Rate, width and channels of audio-start or audio-chunk. Raises BadEventError, in words, for others than PCM."""
    values: list[Any] = [event.data.get(name) for name in ("rate", "width", "channels")]
    if not all(type(value) is int and abs(value) < MAX_FORMAT_VALUE for value in values):
        raise BadEventError(f"{event.type}: rate, width and channels must be integers, not {shown(values)}")
    try:
        return PcmFormat(*values)
    except AudioError as reason:
        raise BadEventError(f"{event.type}: {reason}") from reason


def timestamp_ms(event: Event) -> float | None:
    """The client's time of the first sample, if it says one. Raises BadEventError for what is no number of ms."""
    value = event.data.get("timestamp")
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) <= MAX_TIMESTAMP_MS:
        raise BadEventError(f"{event.type}: a timestamp must be a number of milliseconds, not {shown(value)}")
    return float(value)


def joined(first: Event, second: Event) -> Event | None:
    """Two audio-chunks that follow each other as one; None where they do not, or cannot be used, or grow too large."""
    if not first.type == second.type == "audio-chunk":
        return None
    before, after = first.payload or b"", second.payload or b""
    try:
        pcm_format = audio_format(first)
        begin_ms, next_ms = timestamp_ms(first), timestamp_ms(second)
        lasts_ms = 1000 * pcm_format.duration_s(before)
        if audio_format(second) != pcm_format or len(before) + len(after) > MAX_JOINED_BYTES:
            return None
    except (AudioError, BadEventError):
        return None
    if begin_ms is None or next_ms is None:
        follows = begin_ms is next_ms
    else:
        follows = abs(begin_ms + lasts_ms - next_ms) <= ROUNDED_MS
    return Event(first.type, first.data, before + after) if follows else None


def wanted_names(event: Event) -> list[str]:
    """The words that detect asks for; none means all. Raises BadEventError for what is no list of strings."""
    names = event.data.get("names") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MAX_NAMES:
        raise BadEventError(f"{event.type}: names must be a list of strings, not {shown(names)}")
    return names


def shown(value: object) -> str:
    """A stranger's value for a message: no control characters, and short.

    >>> print(shown("a\\x1b[2J"))
    'a\\x1b[2J'
    """
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _length(header: dict[str, Any], name: str, limit: int) -> int:
    value = header.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise BadEventError(f"{name} must be a number of bytes, not {shown(value)}")
    if value > limit:
        raise BadEventError(f"{name} is {shown(value)}; at most {limit} bytes are taken")
    return value


def _json_object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise BadEventError(f"{what} is no JSON") from reason
    if not isinstance(found, dict):
        raise BadEventError(f"{what} must be a JSON object, not {shown(found)}")
    return found
