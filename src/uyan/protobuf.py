"""Writing the protobuf wire format: as much of it as an ONNX file needs. It knows nothing of ONNX."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""


def varint(value: int) -> bytes:
    """A number from 0 to 2^64 − 1, seven bits a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a message: a string, a number, or bytes (another message among them).

    >>> field(1, 150).hex(), field(2, "hey").hex()
    ('089601', '1203686579')
    """
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    payload = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(payload)) + payload
