"""Who speaks, as a vector: the encoder of Wan et al. 2018 (GE2E), with the weights in the package resemblyzer.

Only the weights are taken from there, as plain tensors: the package itself is not imported, and what it depends on is
not needed. It knows nothing of manifests or clusters.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples
from uyan.errors import ConfigError

Embedding = NDArray[np.float32]
"""Of unit length, shape (256,)."""

PACKAGE, WEIGHTS = "resemblyzer", "pretrained.pt"
INSTALL = "pip install --no-deps resemblyzer==0.1.4"
MAX_WEIGHTS_BYTES = 100_000_000

MELS, SIZE, LAYERS = 40, 256, 3
FRAME, HOP = 400, 160
PARTIAL_FRAMES = 160
"""The encoder hears 1.6 s at a time; shorter recordings are repeated, of longer ones the parts are averaged."""
MOST_PARTS = 8
LOUDNESS_DB = -30.0
QUIET_DB = 35.0
"""Frames so far below the loudest are no speech."""


class SpeakerEncoder(torch.nn.Module):
    """Three LSTM layers over a mel spectrogram; the last state, projected, rectified and scaled to unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(MELS, SIZE, LAYERS, batch_first=True)
        self.linear = torch.nn.Linear(SIZE, SIZE)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Embeddings (batch, 256) of mel energies (batch, frames, 40)."""
        _, (hidden, _) = self.lstm(mels)
        return torch.nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


def load_encoder(weights: Path | None = None) -> SpeakerEncoder:
    """The encoder with the weights of that file, by default those of the installed package resemblyzer.

    Nothing in the file is executed. Raises ConfigError where there is none, or none of these shapes.
    """
    path = weights or _installed()
    encoder = SpeakerEncoder()
    try:
        if path.stat().st_size > MAX_WEIGHTS_BYTES:
            raise ConfigError(f"{path}: larger than any weights of this encoder; install them with {INSTALL}")
        found = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        encoder.load_state_dict({name: found[name] for name in encoder.state_dict()})
    except ConfigError:
        raise
    except Exception as reason:  # what unpickling a torn or foreign file raises has no base in common
        first = str(reason).partition("\n")[0]
        raise ConfigError(
            f"{path}: no weights of the speaker encoder ({first}); install them with {INSTALL}"
        ) from reason
    return encoder.eval()


def _installed() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ConfigError(f"no speaker encoder here; install its weights, 17 MB, with {INSTALL}")
    return Path(package.origin).parent / WEIGHTS


def embed(encoder: SpeakerEncoder, samples: Samples) -> Embedding | None:
    """Who speaks in the samples of shape (samples,), 16 kHz; None where nothing is heard."""
    mels = speech_mels(samples)
    if not len(mels):
        return None
    if len(mels) < PARTIAL_FRAMES:
        mels = np.resize(mels, (PARTIAL_FRAMES, MELS))
    count = min(MOST_PARTS, len(mels) // (PARTIAL_FRAMES // 2))
    starts = np.linspace(0, len(mels) - PARTIAL_FRAMES, max(1, count)).round().astype(int)
    with torch.inference_mode():
        parts = encoder(torch.from_numpy(np.stack([mels[at : at + PARTIAL_FRAMES] for at in starts]))).numpy()
    mean: Embedding = parts.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length == 0:
        return None
    unit: Embedding = mean / np.float32(length)
    return unit


def speech_mels(samples: Samples) -> NDArray[np.float32]:
    """Mel energies of the frames in which something is said, at one loudness, shape (frames, 40)."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
    if level == 0.0:
        return np.zeros((0, MELS), np.float32)
    gain = max(1.0, 10 ** (LOUDNESS_DB / 20) / level)
    mels = mel_energies(samples * np.float32(gain))
    energy = mels.sum(axis=1)
    loud: NDArray[np.float32] = mels[energy > energy.max() * 10 ** (-QUIET_DB / 10)]
    return loud


def mel_energies(samples: Samples) -> NDArray[np.float32]:
    """Power in 40 mel bands of frames of 25 ms every 10 ms, each centred on its time, shape (frames, 40)."""
    padded = np.pad(samples, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return (power @ _filters().T).astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float64]:
    """Triangles of equal area on the mel scale of Slaney's Auditory Toolbox (1998), shape (40, bins)."""
    edges = _hz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), MELS + 2))
    bins = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]


_LINEAR_HZ, _BREAK_HZ = 200.0 / 3, 1000.0
_STEP = np.log(6.4) / 27
"""Linear up to 1 kHz, 15 mels there; logarithmic above, 27 mels to 6.4 kHz."""


def _mel(frequency_hz: float) -> float:
    return float(_BREAK_HZ / _LINEAR_HZ + np.log(frequency_hz / _BREAK_HZ) / _STEP)


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = mels - _BREAK_HZ / _LINEAR_HZ
    return np.where(above < 0, mels * _LINEAR_HZ, _BREAK_HZ * np.exp(np.maximum(above, 0) * _STEP))
