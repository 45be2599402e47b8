"""The network in eight bits: static quantisation (QDQ) with ranges seen on recordings (MISSION 6.4).

Weights and activations become integers with a scale each, and onnxruntime joins the pairs of conversions around an
operation into one integer operation. Nothing is trained again. It knows nothing of figures or bundles.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from uyan.bundle import INPUT
from uyan.errors import BundleError
from uyan.frontend import Features

ARITHMETIC = ["Conv", "Add", "Relu"]
"""Not what carries the network's memory: rounded there as well, a stream would score otherwise than one pass."""


def quantized(model: bytes, examples: Sequence[Features]) -> bytes:
    """The ONNX graph of a network with weights and activations in eight bits, its inputs and outputs as before.

    `examples` are features (mels, frames) of a window at least, of the kind that will be heard: what lies outside of
    their range is clipped. Raises BundleError without any.
    """
    if not examples:
        raise BundleError("quantisation needs examples to see ranges on; the training split is empty")
    with TemporaryDirectory() as folder:
        plain, prepared, done = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        plain.write_bytes(_without_metadata(model))
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            done,
            _Examples(prepared, examples),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=ARITHMETIC,
        )
        return done.read_bytes()


def _without_metadata(model: bytes) -> bytes:
    bare = onnx.load_from_string(model)
    del bare.metadata_props[:]
    return bytes(bare.SerializeToString())


class _Examples(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Each as the beginning of a stream: memories of no frames."""

    def __init__(self, prepared: Path, examples: Sequence[Features]) -> None:
        inputs = onnx.load(prepared).graph.input
        shapes = {each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim] for each in inputs}
        self._memories = {
            name: np.zeros((1, shape[1], 1, 0), np.float32) for name, shape in shapes.items() if name != INPUT
        }
        self._examples = iter(examples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next example, as onnxruntime asks for it; None at the end."""
        features = next(self._examples, None)
        if features is None:
            return None
        return {INPUT: np.ascontiguousarray(features[np.newaxis], np.float32), **self._memories}
