"""The way back from a bundle to a network's weights, to go on training from what was exported.

The exporter folded every batch norm into the convolution before it; the norms come back as identities with a bias, so
that the network computes what the bundle does. It knows nothing of training.
"""

from collections.abc import Iterator

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from uyan.bundle import INPUT, Bundle
from uyan.errors import BundleError
from uyan.model.network import DIALS, Size

Weights = dict[str, Tensor]
"""Tensors by their names in `Network.state_dict()`."""
_NORM_EPSILON = nn.BatchNorm2d(1).eps


def bundle_weights(bundle: Bundle) -> tuple[Size, Weights]:
    """The size of a bundle's network and its weights, head included.

    Raises BundleError when the graph is not one that `network_to_onnx` writes.
    """
    try:
        graph = onnx.load_model_from_string(bundle.data).graph
        convolutions = list(_convolutions(graph))
        statistics = _statistics(graph)
        (stem, stem_bias), *blocks, (head, head_bias) = convolutions
        size = _size(stem.shape[0], len(blocks))
    except BundleError as reason:
        raise BundleError(f"{bundle.path}: {reason}") from reason
    except Exception as reason:  # protobuf and onnx raise what they like over a damaged graph
        raise BundleError(f"{bundle.path}: no weights can be read from its graph ({reason!r})") from reason
    weights = {**statistics, "head.weight": head, "head.bias": head_bias}
    weights |= _with_norm("stem", stem, stem_bias)
    for number, (weight, bias) in enumerate(blocks):
        block, part = divmod(number, 2)
        weights |= _with_norm(f"blocks.{block}.{('depthwise', 'pointwise')[part]}", weight, bias)
    return size, weights


def _convolutions(graph: onnx.GraphProto) -> Iterator[tuple[Tensor, Tensor]]:
    """Weight and bias of every convolution, in the order of the graph: stem, blocks, head."""
    tensors = _tensors(graph)
    for node in graph.node:
        if node.op_type == "Conv":
            _, weight, bias = node.input
            yield tensors[weight], tensors[bias]


def _statistics(graph: onnx.GraphProto) -> Weights:
    """CMVN, the first two operations: subtract the mean, multiply by the inverse deviation."""
    tensors = _tensors(graph)
    subtract = next(node for node in graph.node if node.op_type == "Sub" and node.input[0] == INPUT)
    multiply = next(node for node in graph.node if node.op_type == "Mul" and node.input[0] == subtract.output[0])
    return {"mean": tensors[subtract.input[1]], "inverse_deviation": tensors[multiply.input[1]]}


def _tensors(graph: onnx.GraphProto) -> Weights:
    """Stored tensors by name; the exporter stores equal ones once and gives the others as Identity of it."""
    tensors = {stored.name: torch.from_numpy(numpy_helper.to_array(stored).copy()) for stored in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in tensors:
            tensors[node.output[0]] = tensors[node.input[0]].clone()
    return tensors


def _size(channels: int, convolutions: int) -> Size:
    for size, dial in DIALS.items():
        if (dial.channels, 2 * dial.blocks) == (channels, convolutions):
            return size
    raise BundleError(f"{channels} channels and {convolutions} convolutions in blocks: not a network of uyan")


def _with_norm(name: str, weight: Tensor, bias: Tensor) -> Weights:
    """A convolution and the identity, plus bias, as the batch norm after it."""
    return {
        f"{name}.weight": weight,
        f"{name}_norm.weight": torch.ones_like(bias),
        f"{name}_norm.bias": bias,
        f"{name}_norm.running_mean": torch.zeros_like(bias),
        f"{name}_norm.running_var": torch.full_like(bias, 1 - _NORM_EPSILON),
        f"{name}_norm.num_batches_tracked": torch.tensor(0),
    }
