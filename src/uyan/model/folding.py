"""Batch norms folded into the convolutions before them: the same logits for less work, where nothing is learnt.

In evaluation a batch norm is a scale and an offset of each channel, which a convolution's weights and bias can hold
(Jacob et al. 2018, section 3.2). ONNX Runtime does so by itself; torch does not. It knows nothing of what is scored.
"""

from copy import deepcopy
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from uyan.model.network import Network, ResidualBlock


def folded(network: Network) -> Network:
    """A copy for evaluation without batch norms, whose logits differ by rounding; it cannot be trained."""
    copy = deepcopy(network).eval()
    _fold(copy, "stem", "stem_norm")
    for block in cast(list[ResidualBlock], list(copy.blocks)):
        _fold(block, "depthwise", "depthwise_norm")
        _fold(block, "pointwise", "pointwise_norm")
    return copy


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    joined = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
    setattr(module, convolution, joined)
    setattr(module, norm, nn.Identity())
