"""The network with a memory: what it has computed of the frames before, so that new frames cost only themselves.

Every convolution looks back a fixed number of frames. Given those, a pass over ten new frames gives the logits that a
pass over the whole stream would have given at its end; given none, it is the network itself. One graph for both, so
that streams and files cannot differ. It knows nothing of ONNX.
"""

import torch
from torch import Tensor, nn

from uyan.model.network import Network


class StreamingNetwork(nn.Module):
    """A trained network, its memory in and out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        layers = [network.stem, *(block.depthwise for block in network.residual_blocks())]
        self.channels = [layer.in_channels for layer in layers]
        """Of each memory: normalised mels before the stem, then one a block."""
        self.frames = [layer.kernel_size[1] - layer.stride[1] for layer in layers]
        """Of each memory, once there is one."""

    def forward(self, features: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """Raw log-mel (batch, mels, frames) and memories (batch, channels, 1, remembered) → logits and new memories.

        Memories of no frames begin a stream: then features need a whole window, later `STRIDE` frames at least, and
        always a window or nothing plus a multiple of `STRIDE`. Logits are (batch, 2, positions), one for every
        `STRIDE` frames.
        """
        kept: list[Tensor] = []
        x = self._joined(self.network.normalised(features), memory, kept)
        x = self.network.stem_output(x)
        for block in self.network.residual_blocks():
            x = block(self._joined(x, memory, kept))
        logits: Tensor = self.network.head(x).squeeze(2)
        return (logits, *kept)

    def _joined(self, x: Tensor, memory: tuple[Tensor, ...], kept: list[Tensor]) -> Tensor:
        """What is remembered and what is new of the next layer's input; the end of it is kept for the next pass."""
        joined = torch.cat([memory[len(kept)], x], dim=3)
        kept.append(joined[..., -self.frames[len(kept)] :])
        return joined
