from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.model.network import Network, NetworkConfig, Size
from uyan.model.streaming import StreamingNetwork

SIZES: tuple[Size, ...] = get_args(Size)


def made(size: Size, window_frames: int) -> StreamingNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Network(NetworkConfig(size=size), 8, window_frames).eval()
        network.set_cmvn(torch.randn(8), torch.rand(8) + 0.5)
    return StreamingNetwork(network).eval()


@settings(deadline=None, max_examples=30)
@given(
    window_frames=st.integers(50, 130),
    first=st.integers(0, 20),
    pushes=st.lists(st.integers(1, 30), max_size=8),
)
def test_a_stream_in_pieces_gives_what_the_network_gives_of_it_whole(
    window_frames: int, first: int, pushes: list[int]
) -> None:
    streaming = made("small", window_frames)
    ends = [window_frames + 2 * first]
    for push in pushes:
        ends.append(ends[-1] + 2 * push)
    features = torch.randn(2, 8, ends[-1], generator=torch.Generator().manual_seed(window_frames))
    memory = [torch.zeros(2, channels, 1, 0) for channels in streaming.channels]
    with torch.inference_mode():
        expected = streaming.network(features)
        parts = []
        for start, stop in pairwise([0, *ends]):
            logits, *memory = streaming(features[..., start:stop], *memory)
            parts.append(logits)
            assert [each.shape[3] for each in memory] == streaming.frames
    torch.testing.assert_close(torch.cat(parts, dim=2), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window_frames", [100, 121])
def test_what_is_remembered_is_the_window_but_for_the_newest_frames(size: Size, window_frames: int) -> None:
    """Each layer looks back as far as its kernel; together that is the window, less the stride of the stem."""
    streaming = made(size, window_frames)
    stem, *blocks = streaming.frames
    assert stem + 2 * sum(blocks) == window_frames - 2
    assert len(streaming.channels) == len(streaming.frames) == len(streaming.network.blocks) + 1
