"""What several benchmarks work on: made-up cached clips of 1.5 s, and the default network.

Clips are numbers with the spread of log-mel features, written as bytes, one file each, where the feature cache expects
them. It knows nothing of what is measured.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import torch

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.locate import Span
from uyan.frontend import FrontendConfig, seconds_to_frames
from uyan.model.network import USUAL_WINDOW_S, Network, NetworkConfig, Size

CLIP_FRAMES = 150
"""1.5 s: with 64 mels in fp16, 19.2 kB (MISSION 7.1)."""
WORD = Span(40, 110)
BACKGROUNDS = 1_000
POOL_CLIPS = 64
"""Distinct random clips that files start anywhere in."""


def write_clips(cache: FeatureCache, clips: int, seed: int = 42) -> list[str]:
    """Put that many clips in the cache; their names."""
    rng = np.random.default_rng(seed)
    shape = (cache.config.mels, CLIP_FRAMES)
    values = rng.normal(-8.0, 3.0, (POOL_CLIPS + 1, *shape)).astype(np.float16)
    header = io.BytesIO()
    np.save(header, np.asfortranarray(values[0]))
    size = values[0].nbytes
    header_bytes, pool = header.getvalue()[:-size], values.tobytes()
    starts = rng.integers(0, POOL_CLIPS * size // 2, clips) * 2
    names = [hashlib.sha1(f"{seed} {clip}".encode()).hexdigest() for clip in range(clips)]
    for folder in {cache.path(name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    for name, start in zip(names, starts.tolist(), strict=True):
        cache.path(name).write_bytes(header_bytes + pool[start : start + size])
    return names


def example_maker(cache: FeatureCache, names: Sequence[str]) -> ExampleMaker:
    """Training examples with the default batches and augmentation: a third of the clips are positives."""
    third = len(names) // 3
    return ExampleMaker(
        cache,
        [Positive(name, WORD) for name in names[:third]],
        [Segment(name, 0) for name in names[third:]],
        [Segment(name, 0) for name in names[-BACKGROUNDS:]],
        BatchConfig(),
        AugmentConfig(),
        seconds_to_frames(USUAL_WINDOW_S),
    )


def default_network(size: Size = NetworkConfig().size) -> Network:
    """The network of a recipe that says nothing more about it, with random weights."""
    torch.manual_seed(42)
    config = NetworkConfig(size)
    return Network(config, FrontendConfig().mels, seconds_to_frames(USUAL_WINDOW_S))
