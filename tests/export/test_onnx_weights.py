"""What was exported can be trained on: the weights read back compute the bundle's logits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from uyan.bundle import Bundle, BundleInfo
from uyan.errors import BundleError
from uyan.export.onnx import PARITY_TOLERANCE, make_bundle, network_to_onnx
from uyan.export.onnx_weights import bundle_weights
from uyan.model.network import Network, NetworkConfig, Size


def trained(size: Size, window_frames: int, mels: int) -> Network:
    """Random weights; norms and CMVN that have seen something, so that no two biases are alike."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        network = Network(NetworkConfig(size=size), mels, window_frames)
        network.set_cmvn(torch.randn(mels) - 6, 0.5 + torch.rand(mels))
        for norm in (each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(std=0.3)
        network.train()(torch.randn(8, mels, window_frames + 40) * 3 - 6)
    return network.eval()


def difference(bundle: Bundle, mels: int) -> float:
    """Largest between the logits of the bundle and of its weights in a new network."""
    size, weights = bundle_weights(bundle)
    network = Network(NetworkConfig(size=size), mels, bundle.info.window_frames)
    network.load_state_dict(weights)
    features = np.random.default_rng(1).normal(-6, 3, (mels, bundle.info.window_frames + 61)).astype(np.float32)
    with torch.inference_mode():
        logits = network.eval()(torch.from_numpy(features[None]))[0].numpy()
    return float(np.abs(logits - bundle.logits(features)).max())


@pytest.mark.parametrize(("size", "window_frames"), [("small", 100), ("medium", 75), ("large", 60)])
def test_the_network_is_the_bundles(bundle_info: BundleInfo, size: Size, window_frames: int) -> None:
    model = network_to_onnx(trained(size, window_frames, mels=64), mels=64)
    bundle = make_bundle(model, replace(bundle_info, window_frames=window_frames), Path("b.onnx"))
    assert bundle_weights(bundle)[0] == size
    assert difference(bundle, mels=64) <= PARITY_TOLERANCE


def test_equal_biases_that_are_stored_once(bundle: Bundle) -> None:
    stored = {each.name for each in onnx.load_model_from_string(bundle.data).graph.initializer}
    assert len(stored) < 30  # 13 convolutions with a bias each would be 30 with CMVN and the head
    assert difference(bundle, mels=64) <= PARITY_TOLERANCE


@pytest.mark.parametrize("spoil", ["no_weight", "fewer_blocks", "no_cmvn"])
def test_another_graph_is_refused(bundle: Bundle, bundle_info: BundleInfo, spoil: str) -> None:
    model = onnx.load_model_from_string(bundle.data)
    del model.metadata_props[:]
    nodes = model.graph.node
    if spoil == "no_weight":
        next(node for node in nodes if node.op_type == "Conv").input[1] = "features"
    elif spoil == "fewer_blocks":
        nodes.remove([node for node in nodes if node.op_type == "Conv"][3])
    else:
        nodes.remove(next(node for node in nodes if node.op_type == "Sub"))
    strange = make_bundle(model.SerializeToString(), bundle_info, Path("strange.onnx"))
    message = "channels and 11 convolutions" if spoil == "fewer_blocks" else "no weights can be read from its graph"
    with pytest.raises(BundleError, match=rf"strange\.onnx: .*{message}"):
        bundle_weights(strange)
