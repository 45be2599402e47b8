"""The container of a bundle: an ONNX file whose metadata is sealed with a checksum over the whole model.

Walks the outer layers of the protobuf wire format itself, so that a file from a stranger is measured and verified
before anything else looks at it; a network of other operators than uyan's own, or with data in other files, is
refused. It knows what stands where in onnx.proto and nothing of what the metadata says.
"""

import hashlib
from collections.abc import Iterator

from uyan.errors import BundleError
from uyan.protobuf import BYTES, FIXED32, FIXED64, VARINT, field, varint

METADATA_KEY, CHECKSUM_KEY = "uyan", "uyan_sha256"

# Field numbers of onnx.proto (ModelProto, TensorProto, StringStringEntryProto) and wire types.
_MODEL_METADATA, _MODEL_FUNCTION, _NODE_INPUT, _NODE_OPERATOR, _NODE_DOMAIN = 14, 25, 1, 4, 7
_TENSOR_EXTERNAL, _TENSOR_LOCATION, _ENTRY_KEY, _ENTRY_VALUE = 13, 14, 1, 2
# Every way from a model down to a tensor: message → field number → the message in that field.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
OPERATORS = frozenset(
    b"Add Concat Constant Conv DequantizeLinear Identity Mul QuantizeLinear Relu Slice Squeeze Sub Unsqueeze".split()
)
"""All that the export of the network writes. Others could loop, or fill the memory from a few bytes."""
MOST_JOINS = 9
"""`Concat` nodes, each of two inputs, in the largest network: as a chain, more could fill the memory as well."""


def seal(model: bytes, text: str) -> bytes:
    """A serialized ONNX model with the text and the checksum of both in its metadata."""
    bare = _without_metadata(model)
    entries = ((METADATA_KEY, text), (CHECKSUM_KEY, _checksum(bare, text)))
    return bare + b"".join(
        field(_MODEL_METADATA, field(_ENTRY_KEY, key) + field(_ENTRY_VALUE, value)) for key, value in entries
    )


def sealed_text(data: bytes) -> str:
    """The text that `seal` stored. Raises BundleError when the file is torn, altered or was never sealed."""
    _refuse_foreign_parts(data)
    entries = [dict(_fields(_as_bytes(value))) for number, value in _fields(data) if number == _MODEL_METADATA]
    keys, texts = ([_as_bytes(entry.get(part)) for entry in entries] for part in (_ENTRY_KEY, _ENTRY_VALUE))
    if keys != [METADATA_KEY.encode(), CHECKSUM_KEY.encode()]:
        raise BundleError("not a uyan bundle, or its metadata was replaced")
    text = texts[0].decode(errors="replace")
    # Sealing again must give the same file: compares the checksum, and leaves no room for anything beside it.
    if seal(data, text) != data:
        raise BundleError("checksum mismatch: the file is torn or was altered after export")
    return text


def _refuse_foreign_parts(model: bytes) -> None:
    """Tensors in other files, which onnxruntime would read from below the working directory, and other operators."""
    waiting, joins = [("model", model)], 0
    while waiting:
        kind, message = waiting.pop()
        joins += kind == "node" and _joins(message)
        if joins > MOST_JOINS:
            raise BundleError(f"the network joins more than {MOST_JOINS} pairs of arrays; uyan exports none so deep")
        for number, value in _fields(message):
            if kind == "tensor" and number in (_TENSOR_EXTERNAL, _TENSOR_LOCATION):
                raise BundleError("the network refers to files outside the bundle")
            if kind == "model" and number == _MODEL_FUNCTION:
                raise BundleError("the network has functions of its own; uyan exports none")
            allowed = {_NODE_OPERATOR: OPERATORS, _NODE_DOMAIN: {b""}}.get(number) if kind == "node" else None
            if allowed is not None and value not in allowed:
                raise BundleError(f"the network has an operator that uyan does not export: {value!r}")
            if number in _PARTS[kind]:
                waiting.append((_PARTS[kind][number], _as_bytes(value)))


def _joins(node: bytes) -> bool:
    """Whether a node is a `Concat`. Raises BundleError unless it is of two inputs."""
    fields = list(_fields(node))
    if (_NODE_OPERATOR, b"Concat") not in fields:
        return False
    inputs = sum(number == _NODE_INPUT for number, _ in fields)
    if inputs != 2:
        raise BundleError(f"the network joins {inputs} arrays at once; uyan exports joins of two")
    return True


def _without_metadata(data: bytes) -> bytes:
    return b"".join(data[start:end] for number, start, end, _ in _walk(data) if number != _MODEL_METADATA)


def _checksum(model: bytes, text: str) -> str:
    return hashlib.sha256(model + text.encode()).hexdigest()


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    return ((number, value) for number, _, _, value in _walk(data))


def _walk(data: bytes) -> Iterator[tuple[int, int, int, bytes | int]]:
    """Protobuf wire format, one level: (field number, start, end, payload)."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _read_tag(data, at)
        number, wire = tag >> 3, tag & 7
        value: bytes | int
        if wire == VARINT:
            value, at = _read_varint(data, at)
        elif wire in (BYTES, FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
            if wire == BYTES:
                size, at = _read_varint(data, at)
            if at + size > len(data):
                raise BundleError("the file is truncated")
            value, at = data[at : at + size], at + size
        else:
            raise BundleError("not an ONNX file")
        yield number, start, at, value


def _read_tag(data: bytes, at: int) -> tuple[int, int]:
    """Only as protobuf writes it: it reads longer ones too but keeps 32 bits, which names another field."""
    tag, end = _read_varint(data, at)
    if tag >= 2**32 or data[at:end] != varint(tag):
        raise BundleError("not an ONNX file")
    return tag, end


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BundleError("the file is truncated")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BundleError("not an ONNX file")


def _as_bytes(value: bytes | int | None) -> bytes:
    if not isinstance(value, bytes):
        raise BundleError("not an ONNX file")
    return value
