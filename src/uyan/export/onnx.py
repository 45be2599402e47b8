"""The network as ONNX opset 17, checked against the original before anything is made of it (MISSION 6.4).

CMVN is the graph's first operation and batch norms are folded into their convolutions. It knows nothing of thresholds
or metadata.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import torch

from uyan.bundle import INPUT, OUTPUT, Bundle, BundleInfo
from uyan.container import seal
from uyan.errors import BundleError
from uyan.files import replacing
from uyan.model.network import Network

OPSET = 17
PARITY_TOLERANCE = 1e-4
"""Largest difference of a logit between torch and ONNX."""


def network_to_onnx(network: Network, mels: int) -> bytes:
    """Serialized ONNX, batch and time dynamic: features (batch, mels, time) → logits (batch, 2, positions)."""
    network.eval()
    buffer = io.BytesIO()
    example = torch.zeros(1, mels, network.window_frames + 50)
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but the newer one can silently write opset 18.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (example,),
            buffer,  # type: ignore[arg-type]  # the TorchScript exporter does take a file object
            opset_version=OPSET,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch", 2: "time"}, OUTPUT: {0: "batch", 2: "positions"}},
        )
    return buffer.getvalue()


def make_bundle(model: bytes, info: BundleInfo, path: Path) -> Bundle:
    """Seal the metadata into the model and load it as a bundle; nothing is written yet."""
    return Bundle(path, seal(model, info.to_json()))


def check_parity(network: Network, bundle: Bundle, seed: int = 42) -> float:
    """Largest logit difference on random features. Raises BundleError above the tolerance."""
    mels, window = bundle.info.frontend.mels, bundle.info.window_frames
    differences = []
    for frames in (window, window + 1, 4 * window + 7):
        features = np.random.default_rng(seed + frames).normal(-5.0, 4.0, (mels, frames)).astype(np.float32)
        with torch.inference_mode():
            expected = network.eval()(torch.from_numpy(features[None]))[0].numpy()
        differences.append(np.abs(bundle.logits(features) - expected).max())
    worst = float(np.max(differences))  # unlike max(), keeps a NaN
    if not worst <= PARITY_TOLERANCE:
        raise BundleError(f"{bundle.path}: ONNX and torch differ by {worst:.1e}, more than {PARITY_TOLERANCE:.0e}")
    return worst


def save_bundle(bundle: Bundle) -> None:
    """Write the file, atomically."""
    with replacing(bundle.path) as partial:
        partial.write_bytes(bundle.data)
