from collections.abc import Iterator
from typing import get_args

import pytest
import torch

from uyan.errors import ConfigError
from uyan.model.network import DIALS, Network, NetworkConfig, Size, kernel_sizes, parameter_count

SIZES: tuple[Size, ...] = get_args(Size)
WINDOWS = [50, 51, 64, 75, 99, 100, 101, 150, 199, 300]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These inputs are too small to share: on a busy machine a second thread is only waited for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(size: Size = "small", window_frames: int = 100, mels: int = 64) -> Network:
    """Untrained but for batch-norm statistics as a trained network has them."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(42)
        network = Network(NetworkConfig(size=size), mels, window_frames).eval()
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return network


def features(frames: int, batch: int = 1, mels: int = 64) -> torch.Tensor:
    return torch.randn(batch, mels, frames, generator=torch.Generator().manual_seed(frames))


def test_the_kernels_span_exactly_the_window_for_every_size_and_window() -> None:
    for dial in DIALS.values():
        for window_frames in range(50, 301):
            stem, kernels = kernel_sizes(window_frames, dial.blocks)
            assert len(kernels) == dial.blocks
            assert stem + 2 * sum(kernel - 1 for kernel in kernels) == window_frames
            assert kernels == sorted(kernels, reverse=True)
            assert kernels[0] - kernels[-1] <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window_frames", WINDOWS)
@torch.inference_mode()
def test_the_window_gives_one_position_and_a_frame_less_none(size: Size, window_frames: int) -> None:
    network = make(size, window_frames)
    assert network.window_frames == window_frames
    for more, count in ((0, 1), (1, 1), (2, 2), (3, 2), (20, 11)):
        assert network(features(window_frames + more)).shape == (1, 2, count)
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
        network(features(window_frames - 1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window_frames", [50, 75, 100])
def test_position_p_depends_on_all_of_frames_2p_to_2p_plus_window_and_no_other(size: Size, window_frames: int) -> None:
    network = make(size, window_frames)
    # Positive weights and input: every ReLU is open, so a gradient is zero only where there is no path at all.
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.abs_().add_(1e-3 if "norm" in name else 0.0)
        for name, statistic in network.named_buffers():
            if name.endswith("running_mean"):
                statistic.zero_()
    frames = window_frames + 21
    for position in (0, 1, 4, 10):
        varied = features(frames).abs().add(0.1).requires_grad_()
        network(varied)[0, 1, position].backward()
        assert varied.grad is not None
        reached = varied.grad[0].abs().sum(dim=0).nonzero().flatten().tolist()
        assert reached == list(range(2 * position, 2 * position + window_frames))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window_frames", [50, 101, 128])
@torch.inference_mode()
def test_one_dense_pass_is_every_window_alone(size: Size, window_frames: int) -> None:
    network = make(size, window_frames)
    long = features(window_frames + 61)
    dense = network(long)[0]
    alone = torch.cat([long[..., 2 * p : 2 * p + window_frames] for p in range(dense.shape[1])])
    torch.testing.assert_close(dense, network(alone)[..., 0].T, atol=1e-5, rtol=0)
    assert dense.std() > 1e-3


@torch.inference_mode()
def test_recordings_in_a_batch_do_not_disturb_each_other() -> None:
    network, batch = make(), features(130, batch=3)
    together = network(batch)
    for row in range(3):
        torch.testing.assert_close(network(batch[row : row + 1])[0], together[row], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_cmvn_is_the_first_operation() -> None:
    network, raw = make(), features(120) * 3 - 6
    mean, variance = torch.linspace(-8, -2, 64), torch.linspace(0.5, 9, 64)
    expected = network((raw - mean[:, None]) / variance[:, None].sqrt())
    network.set_cmvn(mean, variance)
    torch.testing.assert_close(network(raw), expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_mel_that_never_varies_does_not_divide_by_zero() -> None:
    network = make()
    network.set_cmvn(torch.zeros(64), torch.zeros(64))
    assert network(torch.zeros(1, 64, 100)).isfinite().all()


def test_statistics_travel_with_the_weights_and_are_not_trained() -> None:
    network, other = make(), make()
    network.set_cmvn(torch.full((64,), -6.0), torch.full((64,), 4.0))
    other.load_state_dict(network.state_dict())
    assert other.mean.flatten().tolist() == [-6.0] * 64
    assert other.inverse_deviation.flatten().tolist() == [0.5] * 64
    assert not {"mean", "inverse_deviation"} & {name for name, _ in network.named_parameters()}


def test_dropout_is_for_training_alone() -> None:
    network = make()
    raw = features(110)
    with torch.no_grad():
        assert torch.equal(network(raw), network(raw))
        network.train()
        assert not torch.equal(network(raw), network(raw))


@pytest.mark.parametrize(("size", "documented"), [("small", 30_000), ("medium", 65_000), ("large", 260_000)])
def test_parameter_counts_are_the_documented_ones(size: Size, documented: int) -> None:
    assert parameter_count(make(size)) == pytest.approx(documented, rel=0.02)


def test_the_dial_goes_up() -> None:
    counts = [parameter_count(make(size)) for size in SIZES]
    assert counts == sorted(counts)
    assert len(set(counts)) == len(SIZES)


@pytest.mark.parametrize("window_frames", [0, 1, 10, 15])
def test_a_window_too_short_for_the_blocks_is_refused(window_frames: int) -> None:
    with pytest.raises(ConfigError, match="too short"):
        Network(NetworkConfig(size="small"), 64, window_frames)


def test_the_shortest_window_works() -> None:
    assert kernel_sizes(16, 6) == (4, [2] * 6)
    assert make("small", 16)(features(16)).shape == (1, 2, 1)
    assert kernel_sizes(17, 6) == (5, [2] * 6)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_dropout_must_be_a_share(dropout: float) -> None:
    with pytest.raises(ConfigError, match=r"network\.dropout"):
        NetworkConfig(dropout=dropout)
