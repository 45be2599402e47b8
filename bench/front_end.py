"""How fast samples become features, against the way most projects take: `torch.stft`, then a filter bank.

The other way centres its 400-sample window in 512 samples; shifted by that, both give the same features.
"""

import numpy as np
import torch

from bench.measure import Figure, medians_s, speech_like
from uyan.audio import Samples
from uyan.frontend import FFT_SAMPLES, FRAME_SAMPLES, HOP_SAMPLES, Features, FrontendConfig, log_mel, mel_filters

TARGET_REAL_TIMES = 5_000.0
CLIP_S = 3.0


def front_end_speed(seconds: float = 60.0, repeats: int = 21) -> list[Figure]:
    """Real times a core over a recording and over clips, and the ratio to `torch.stft`."""
    config = FrontendConfig()
    samples = speech_like(seconds, np.random.default_rng(42))
    clips = np.array_split(samples, max(1, round(seconds / CLIP_S)))
    ours_s, clips_s, theirs_s = medians_s(
        [
            lambda: log_mel(samples, config),
            lambda: [log_mel(clip, config) for clip in clips],
            lambda: torch_log_mel(samples, config),
        ],
        repeats,
    )
    theirs = torch_log_mel(samples, config)
    ours = log_mel(samples[(FFT_SAMPLES - FRAME_SAMPLES) // 2 :], config)[:, : theirs.shape[1]]
    apart = float(np.abs(ours - theirs).max())
    return [
        Figure("front end, one recording", seconds / ours_s, "× real time", TARGET_REAL_TIMES, note=f"{seconds:.0f} s"),
        Figure("front end, clip by clip", seconds / clips_s, "× real time", note=f"{CLIP_S:.0f} s each"),
        Figure("front end, torch.stft", seconds / theirs_s, "× real time", note=f"features within {apart:.0e} of ours"),
        Figure("front end, ratio to torch.stft", theirs_s / ours_s, "×"),
    ]


def torch_log_mel(samples: Samples, config: FrontendConfig) -> Features:
    """The same features by `torch.stft`, shape (mels, frames)."""
    spectrum = torch.stft(
        torch.from_numpy(samples),
        FFT_SAMPLES,
        HOP_SAMPLES,
        FRAME_SAMPLES,
        torch.hann_window(FRAME_SAMPLES),
        center=False,
        return_complex=True,
    )
    power = torch.from_numpy(mel_filters(config)).T @ spectrum.abs().square()
    features: Features = (power + config.floor_power).log().numpy()
    return features
