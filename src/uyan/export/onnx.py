"""The network as ONNX opset 17, checked against the original before anything is made of it (MISSION 6.4).

CMVN is the graph's first operation and batch norms are folded into their convolutions. It knows nothing of thresholds
or metadata.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import torch

from uyan.bundle import INPUT, MEMORY_IN, MEMORY_OUT, OUTPUT, STRIDE_FRAMES, Bundle, BundleInfo, Logits, Memory
from uyan.container import seal
from uyan.errors import BundleError
from uyan.files import replacing
from uyan.frontend import Features
from uyan.model.network import Network
from uyan.model.streaming import StreamingNetwork

OPSET = 17
PARITY_TOLERANCE = 1e-4
"""Largest difference of a logit between torch and ONNX."""


def network_to_onnx(network: Network, mels: int) -> bytes:
    """Serialized ONNX of the network with its memory; batch and time are dynamic.

    features (batch, mels, time) and memories (batch, channels, 1, remembered) → logits (batch, 2, positions) and the
    next memories: `model.streaming`.
    """
    streaming = StreamingNetwork(network)
    streaming.eval()
    pairs = list(zip(streaming.channels, streaming.frames, strict=True))
    names_in, names_out = ([name.format(n) for n in range(len(pairs))] for name in (MEMORY_IN, MEMORY_OUT))
    remembered = {name: {0: "batch", 3: name} for name in (*names_in, *names_out)}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but the newer one can silently write opset 18.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            streaming,
            (torch.zeros(1, mels, 50), *(torch.zeros(1, channels, 1, frames) for channels, frames in pairs)),
            buffer,  # type: ignore[arg-type]  # the TorchScript exporter does take a file object
            opset_version=OPSET,
            dynamo=False,
            input_names=[INPUT, *names_in],
            output_names=[OUTPUT, *names_out],
            dynamic_axes={INPUT: {0: "batch", 2: "time"}, OUTPUT: {0: "batch", 2: "positions"}, **remembered},
        )
    return buffer.getvalue()


def make_bundle(model: bytes, info: BundleInfo, path: Path) -> Bundle:
    """Seal the metadata into the model and load it as a bundle; nothing is written yet."""
    return Bundle(path, seal(model, info.to_json()))


def check_parity(network: Network, bundle: Bundle, seed: int = 42) -> float:
    """Largest logit difference on random features, whole and as a stream. Raises BundleError above the tolerance."""
    mels, window = bundle.info.frontend.mels, bundle.info.window_frames
    differences: list[float] = []
    for frames in (window, window + 1, 4 * window + 7):
        features = np.random.default_rng(seed + frames).normal(-5.0, 4.0, (mels, frames)).astype(np.float32)
        with torch.inference_mode():
            expected = network.eval()(torch.from_numpy(features[None]))[0].numpy()
        ways = (bundle.logits(features), _streamed(bundle, features))
        differences += [np.abs(found - expected).max() for found in ways]
    worst = float(np.max(differences))  # unlike max(), keeps a NaN
    if not worst <= PARITY_TOLERANCE:
        raise BundleError(f"{bundle.path}: ONNX and torch differ by {worst:.1e}, more than {PARITY_TOLERANCE:.0e}")
    return worst


def _streamed(bundle: Bundle, features: Features) -> Logits:
    """The logits of `Bundle.logits`, a window first and then position by position."""
    window, parts, memory = bundle.info.window_frames, list[Logits](), Memory()
    for stop in range(window, features.shape[1] + 1, STRIDE_FRAMES):
        logits, memory = bundle.step(features[:, stop - (STRIDE_FRAMES if memory else window) : stop], memory)
        parts.append(logits)
    return np.concatenate(parts, axis=1)


def save_bundle(bundle: Bundle) -> None:
    """Write the file, atomically."""
    with replacing(bundle.path) as partial:
        partial.write_bytes(bundle.data)
