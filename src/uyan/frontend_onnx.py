"""The front end as ONNX, for the browser and for other languages: samples in, log-mel features out.

One convolution cuts frames and weighs them with the window, a product in float64 is their DFT; power, mel filters,
floor and logarithm follow. In float32 the rounding of a loud tone alone would be louder than the floor. Written
without the onnx package, so that `pip install uyan` can make it for any front end. It knows nothing of networks.
"""

import numpy as np
from numpy.typing import NDArray

from uyan.audio import FRAME_SAMPLES
from uyan.frontend import FFT_SAMPLES, HOP_SAMPLES, FrontendConfig, hann_window, mel_filters
from uyan.protobuf import field

OPSET, _IR_VERSION = 17, 8
INPUT, OUTPUT = "samples", "features"
DIGEST_KEY = "uyan_frontend"
"""Metadata: `FrontendConfig.digest()`, the same as in the bundles it is for."""

# Field numbers and values of onnx.proto.
_FLOAT, _INT64, _DOUBLE, _INT, _INTS = 1, 7, 11, 2, 7
_NUMBER = {np.dtype(np.float32): _FLOAT, np.dtype(np.int64): _INT64, np.dtype(np.float64): _DOUBLE}

Constant = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int64]


def frontend_to_onnx(config: FrontendConfig) -> bytes:
    """Serialized ONNX, opset 17: samples (batch, samples) at 16 kHz → features (batch, mels, frames), both float32.

    At least one frame (400 samples) is needed, and what is after the last whole frame is ignored, as by `log_mel`.
    """
    nodes = (
        # Frames: an identity matrix, its diagonal the window, moved along the samples. (batch, 400, frames)
        _node("ConstantOfShape", ["square"], "zeros"),
        _node("EyeLike", ["zeros"], "identity"),
        _node("Mul", ["identity", "window"], "diagonal"),
        _node("Unsqueeze", ["diagonal", "one"], "cut"),
        _node("Unsqueeze", ["samples", "one"], "channel"),
        _node("Conv", ["channel", "cut"], "frames", _attribute("strides", [HOP_SAMPLES])),
        # DFT: sine number (bin × sample) mod 512 of a table; real parts first, as cosines. (batch, 2 × bins, frames)
        _node("Mul", ["bins", "times"], "turned"),
        _node("Add", ["turned", "quarters"], "phase"),
        _node("Mod", ["phase", "turn"], "angle"),
        _node("Gather", ["sines", "angle"], "dft"),
        _node("Cast", ["frames"], "frames64", _attribute("to", _DOUBLE)),
        _node("MatMul", ["dft", "frames64"], "spectrum64"),
        _node("Cast", ["spectrum64"], "spectrum", _attribute("to", _FLOAT)),
        # The filters add the squares of real and imaginary parts. (batch, mels, frames)
        _node("Mul", ["spectrum", "spectrum"], "power"),
        _node("MatMul", ["mels", "power"], "mel_power"),
        _node("Add", ["mel_power", "floor"], "floored"),
        _node("Log", ["floored"], OUTPUT),
    )
    graph = b"".join(field(1, node) for node in nodes) + field(2, "frontend")
    graph += b"".join(field(5, _tensor(name, values)) for name, values in _constants(config).items())
    graph += field(11, _value(INPUT, ["batch", INPUT])) + field(12, _value(OUTPUT, ["batch", config.mels, "frames"]))
    digest = field(1, DIGEST_KEY) + field(2, config.digest())
    return field(1, _IR_VERSION) + field(2, "uyan") + field(7, graph) + field(8, field(2, OPSET)) + field(14, digest)


def _constants(config: FrontendConfig) -> dict[str, Constant]:
    """What the nodes read, by name; only bins that a filter reads are computed."""
    filters = mel_filters(config)
    bins = np.flatnonzero(filters.any(axis=1)).astype(np.int64)
    quarters = np.repeat(np.array([FFT_SAMPLES // 4, 0], np.int64), bins.size)
    return {
        "square": np.array([FRAME_SAMPLES, FRAME_SAMPLES], np.int64),
        "window": hann_window(),
        "one": np.array([1], np.int64),
        "bins": np.tile(bins, 2)[:, np.newaxis],
        "times": np.arange(FRAME_SAMPLES, dtype=np.int64),
        "quarters": quarters[:, np.newaxis],
        "turn": np.array(FFT_SAMPLES, np.int64),
        "sines": np.sin(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES),
        "mels": np.ascontiguousarray(np.tile(filters[bins].T, 2)),
        "floor": np.array(config.floor_power, np.float32),
    }


def _node(operator: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    """NodeProto."""
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, operator) + attribute


def _attribute(name: str, value: int | list[int]) -> bytes:
    """AttributeProto, as a field of its node."""
    if isinstance(value, int):
        return field(5, field(1, name) + field(3, value) + field(20, _INT))
    return field(5, field(1, name) + b"".join(field(8, each) for each in value) + field(20, _INTS))


def _tensor(name: str, values: Constant) -> bytes:
    """TensorProto."""
    shape = b"".join(field(1, size) for size in values.shape)
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return shape + field(2, _NUMBER[values.dtype]) + field(8, name) + field(9, raw)


def _value(name: str, shape: list[str | int]) -> bytes:
    """ValueInfoProto of a float tensor; a name is a dynamic axis."""
    sizes = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, _FLOAT) + field(2, sizes)))
