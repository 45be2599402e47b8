"""How fast cached features become scores: one dense pass, against one run of the network a window.

The network is the default one, untrained: its speed does not depend on its weights.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.material import default_network
from bench.measure import Figure, medians_s, speech_like
from uyan.bundle import STRIDE_FRAMES, Bundle, BundleInfo, Logits
from uyan.data.cache import FeatureCache
from uyan.decision import DetectorConfig
from uyan.export.onnx import make_bundle, network_to_onnx
from uyan.frontend import HOP_S, Cmvn, FrontendConfig, log_mel, seconds_to_frames
from uyan.model.network import Network, NetworkConfig, Size

TARGET_REAL_TIMES = 5_000.0
TARGET_RATIO = 5.0
BATCH_WINDOWS = 64
NAME = f"{0:040x}"
SPEECH_S = 60.0
"""Made-up speech is repeated after this long."""


def dense_scoring_speed(seconds: float = 600.0, repeats: int = 9) -> list[Figure]:
    """Real times a core of the dense pass, of windows one at a time and in batches, and how far scores are apart."""
    speech = log_mel(speech_like(min(seconds, SPEECH_S), np.random.default_rng(42)), FrontendConfig())
    features = np.tile(speech, (1, max(1, round(seconds / SPEECH_S))))
    bundle = default_bundle(Cmvn.of(speech, FrontendConfig()))
    hop = seconds_to_frames(bundle.info.detector.hop_s)
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        cache = FeatureCache(Path(folder), FrontendConfig(), 0.0)
        cache.put(NAME, features)
        cached = cache.get(NAME)
    windows = np.lib.stride_tricks.sliding_window_view(cached, bundle.info.window_frames, axis=1)[:, ::hop]
    ways: list[Callable[[], Logits]] = [
        lambda: bundle.logits(cached),  # type: ignore[arg-type]  # fp16 is converted chunk by chunk
        lambda: naive_logits(bundle, windows, 1),
        lambda: naive_logits(bundle, windows, BATCH_WINDOWS),
    ]
    dense_s, naive_s, batched_s = medians_s(ways, repeats)
    dense, naive, batched = (bundle.scores(way()) for way in ways)
    apart = max(float(np.abs(dense[:: hop // STRIDE_FRAMES] - other).max()) for other in (naive, batched))
    length_s = features.shape[1] * HOP_S
    return [
        Figure(
            "dense scoring", length_s / dense_s, "× real time", TARGET_REAL_TIMES, note=f"{length_s:.0f} s, 20 ms hop"
        ),
        Figure("naive windows, one at a time", length_s / naive_s, "× real time", note="0.1 s hop"),
        Figure(f"naive windows, {BATCH_WINDOWS} at a time", length_s / batched_s, "× real time", note="0.1 s hop"),
        Figure("dense scoring, ratio to one at a time", naive_s / dense_s, "×", TARGET_RATIO),
        Figure("dense scoring, ratio to batches", batched_s / dense_s, "×"),
        Figure("dense scoring, largest difference of a score", apart, "", 1e-6, at_most=True),
    ]


def naive_logits(bundle: Bundle, windows: NDArray[np.float16], batch: int) -> Logits:
    """Logits (2, windows) of windows (mels, windows, frames), `batch` at a time."""
    parts = []
    for start in range(0, windows.shape[1], batch):
        some = np.ascontiguousarray(windows[:, start : start + batch].swapaxes(0, 1), np.float32)
        parts.append(bundle.run(some, [])[0][:, :, 0])
    return np.concatenate(parts).T


def default_bundle(cmvn: Cmvn, size: Size = NetworkConfig().size) -> Bundle:
    """The default network, or one of another size, exported."""
    network = default_network(size)
    network.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
    return bundle_of(network, cmvn)


def bundle_of(network: Network, cmvn: Cmvn) -> Bundle:
    """A network with the default front end and detector, exported."""
    frontend = FrontendConfig()
    info = BundleInfo("bench", frontend, cmvn, network.window_frames, 1.0, 0.5, 0.5, DetectorConfig(), "", "bench")
    return make_bundle(network_to_onnx(network, frontend.mels), info, Path("bench.onnx"))
