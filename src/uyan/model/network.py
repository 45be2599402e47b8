"""A temporal convolutional network without padding, whose receptive field is exactly the window.

One-dimensional convolutions over time with the mels as channels (TC-ResNet, Choi et al. 2019, in depthwise
separable form). Every convolution is "valid" and the total stride is 2, so one pass over a long recording gives
the logits of every sliding window, 20 ms apart, equal to those of each window alone (ARCHITECTURE decision 2).
Written as 2-D convolutions of height 1 in channels-last order, which CPUs run faster than `Conv1d`, in training
and in ONNX alike. It knows nothing of files, audio or optimisation.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from uyan.errors import ConfigError

STRIDE = 2
"""Frames between two output positions."""
CLASSES = 2
"""Logits per position: background, keyword."""

USUAL_WINDOW_S = 1.0
"""MISSION 6.1."""
SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 0.3, 10.0
"""Of windows that a word can be heard in and a stream can be scored by."""

Size = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class Dial:
    """One setting of the width/depth dial."""

    channels: int
    blocks: int


DIALS: dict[Size, Dial] = {
    "small": Dial(channels=48, blocks=6),
    "medium": Dial(channels=80, blocks=6),
    "large": Dial(channels=160, blocks=8),
}


@dataclass(frozen=True)
class NetworkConfig:
    """What shapes the network."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    size: Size = "medium"
    """small ≈ 30 k, medium ≈ 65 k, large ≈ 260 k parameters at a 1.0 s window."""
    window_s: float | Literal["auto"] = "auto"
    """Length of the sliding window, and so the receptive field; auto: 1.0 s (MISSION 6.1), or as much longer as the
    recordings of the keyword need (`pipeline.window`)."""
    dropout: float = 0.2
    """Share of channels dropped before the logits while training."""

    def __post_init__(self) -> None:
        if self.window_s != "auto" and not SHORTEST_WINDOW_S <= self.window_s <= LONGEST_WINDOW_S:
            raise ConfigError(
                f"network.window_s must lie in [{SHORTEST_WINDOW_S:g}, {LONGEST_WINDOW_S:g}], not {self.window_s}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"network.dropout must lie in [0, 1), not {self.dropout}")


def kernel_sizes(window_frames: int, blocks: int) -> tuple[int, list[int]]:
    """Stem kernel and one kernel a block such that the receptive field is `window_frames`.

    The stem (stride 2) takes 4 or 5 frames, by parity; each block of kernel k then adds 2·(k − 1) frames, and
    the remainder is spread as evenly as it goes, the first blocks taking more.

    >>> kernel_sizes(100, 6)
    (4, [9, 9, 9, 9, 9, 9])
    >>> kernel_sizes(101, 5)
    (5, [11, 11, 11, 10, 10])
    """
    stem = 4 + window_frames % STRIDE
    context = (window_frames - stem) // STRIDE
    if context < blocks:
        raise ConfigError(f"a window of {window_frames} frames is too short; {stem + STRIDE * blocks} at least")
    share, extra = divmod(context, blocks)
    return stem, [1 + share + (block < extra) for block in range(blocks)]


class ResidualBlock(nn.Module):
    """Depthwise then pointwise convolution, added to the input cropped to the same positions."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.crop_left = (kernel - 1) // 2
        self.crop_right = kernel - 1 - self.crop_left
        self.depthwise = nn.Conv2d(channels, channels, (1, kernel), groups=channels, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, 1, time) → (batch, channels, 1, time − kernel + 1)."""
        y = self.depthwise_norm(self.depthwise(x))
        y = self.pointwise_norm(self.pointwise(torch.relu(y)))
        kept = x[..., self.crop_left : -self.crop_right]
        return torch.relu(kept + y)


class Network(nn.Module):
    """Normalised log-mel features to logits at every window position."""

    def __init__(self, config: NetworkConfig, mels: int, window_frames: int) -> None:
        super().__init__()
        dial = DIALS[config.size]
        stem, kernels = kernel_sizes(window_frames, dial.blocks)
        self.window_frames = window_frames
        self.register_buffer("mean", torch.zeros(mels, 1))
        self.register_buffer("inverse_deviation", torch.ones(mels, 1))
        self.stem = nn.Conv2d(mels, dial.channels, (1, stem), stride=(1, STRIDE), bias=False)
        self.stem_norm = nn.BatchNorm2d(dial.channels)
        self.blocks = nn.Sequential(*(ResidualBlock(dial.channels, kernel) for kernel in kernels))
        self.dropout = nn.Dropout2d(config.dropout)
        self.head = nn.Conv2d(dial.channels, CLASSES, 1)

    mean: Tensor
    inverse_deviation: Tensor

    def set_cmvn(self, mean: Tensor, variance: Tensor) -> None:
        """Fold corpus statistics, each of shape (mels,), into the first operation."""
        self.mean.copy_(mean.unsqueeze(1))
        self.inverse_deviation.copy_(variance.clamp_min(1e-6).rsqrt().unsqueeze(1))

    def residual_blocks(self) -> list[ResidualBlock]:
        """In order."""
        return [block for block in self.blocks if isinstance(block, ResidualBlock)]

    def forward(self, features: Tensor) -> Tensor:
        """Raw log-mel (batch, mels, frames) → logits (batch, 2, positions).

        positions = (frames − window_frames) // 2 + 1; position p sees frames [2p, 2p + window_frames).
        """
        x = self.normalised(features)
        if self.training:
            x = x.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.head(self.dropout(self.blocks(self.stem_output(x))))
        return logits.squeeze(2)

    def normalised(self, features: Tensor) -> Tensor:
        """(batch, mels, frames) → (batch, mels, 1, frames), by the corpus' mean and variance."""
        return ((features - self.mean) * self.inverse_deviation).unsqueeze(2)

    def stem_output(self, x: Tensor) -> Tensor:
        """(batch, mels, 1, frames) → (batch, channels, 1, positions): what the first block takes."""
        return torch.relu(self.stem_norm(self.stem(x)))


def parameter_count(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
