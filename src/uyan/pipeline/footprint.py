"""What a recipe's network costs, before anything is trained: parameters, bytes, and the time of one window.

Untrained weights: neither size nor time depends on what they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from uyan import __version__
from uyan.bundle import BundleInfo
from uyan.evaluation.latency import onnx_times
from uyan.export.onnx import make_bundle, network_to_onnx
from uyan.frontend import Cmvn
from uyan.model.network import Network, Size, parameter_count
from uyan.recipe import Recipe
from uyan.search import Limits

SEED = 42


@dataclass(frozen=True)
class Footprint:
    """Of one network, and what decides it."""

    size: Size
    mels: int
    window_frames: int
    parameters: int
    model_bytes: int
    """As ONNX, without what a bundle holds besides."""
    window_us: float
    """Median of a thousand passes over one window with onnxruntime, one thread, on the machine that searches."""

    def of(self, recipe: Recipe, window_frames: int) -> bool:
        """Whether it is that of this recipe's network."""
        return (self.size, self.mels, self.window_frames) == (recipe.network.size, recipe.frontend.mels, window_frames)

    def exceeds(self, limits: Limits) -> str:
        """What it is too large or too slow for; empty where it keeps to all limits."""
        return "; ".join(self._exceeded(limits))

    def _exceeded(self, limits: Limits) -> Iterator[str]:
        if limits.max_parameters is not None and self.parameters > limits.max_parameters:
            yield f"{self.parameters:,} parameters, more than {limits.max_parameters:,}"
        if limits.max_model_kb is not None and self.model_bytes > 1000 * limits.max_model_kb:
            yield f"a network of {self.model_bytes / 1000:.1f} kB, more than {limits.max_model_kb:g}"
        if limits.max_window_us is not None and self.window_us > limits.max_window_us:
            yield f"{self.window_us:.0f} µs a window, more than {limits.max_window_us:g}"


def footprint(recipe: Recipe, window_frames: int) -> Footprint:
    """Build the network, export it and time it."""
    mels = recipe.frontend.mels
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = Network(recipe.network, mels, window_frames).eval()
    model = network_to_onnx(network, mels)
    info = BundleInfo(
        label=recipe.keyword,
        frontend=recipe.frontend,
        cmvn=Cmvn(1, (0.0,) * mels, (1.0,) * mels, recipe.frontend.digest()),
        window_frames=window_frames,
        temperature=1.0,
        threshold=1.0,
        tta_threshold=1.0,
        detector=recipe.detector,
        config_hash=recipe.digest(),
        version=__version__,
    )
    window = np.random.default_rng(SEED).normal(-5.0, 4.0, (1, mels, window_frames)).astype(np.float32)
    times = onnx_times(make_bundle(model, info, Path("untrained.onnx")), window)
    return Footprint(
        recipe.network.size, mels, window_frames, parameter_count(network), len(model), 1000 * times.median_ms
    )
