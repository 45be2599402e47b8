"""Batch norms folded into convolutions."""

import pytest
import torch
from torch import nn

from uyan.model.folding import folded
from uyan.model.network import Network, NetworkConfig


@pytest.fixture
def network() -> Network:
    """A network whose norms have seen something, so that folding them has something to do."""
    torch.manual_seed(7)
    network = Network(NetworkConfig(size="small"), mels=64, window_frames=100)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return network.eval()


def test_the_logits_are_the_same_but_for_rounding(network: Network) -> None:
    features = torch.randn(2, 64, 250)
    with torch.inference_mode():
        wanted, found = network(features), folded(network)(features)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert wanted.std() > 0.1


def test_no_norm_is_left_and_the_original_stays_as_it_was(network: Network) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copy = folded(network.train())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copy.modules())
    assert not copy.training
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
