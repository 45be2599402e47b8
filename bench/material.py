"""What several benchmarks work on: made-up cached clips of 1.5 s, and the default network.

Clips are numbers with the spread of log-mel features. It knows nothing of what is measured.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.locate import Span
from uyan.data.shards.shard import FrameRows
from uyan.frontend import FrontendConfig, seconds_to_frames
from uyan.model.network import USUAL_WINDOW_S, Network, NetworkConfig, Size

CLIP_FRAMES = 150
"""1.5 s: with 64 mels in fp16, 19.2 kB (MISSION 7.1)."""
WORD = Span(40, 110)
BACKGROUNDS = 1_000
POOL_CLIPS = 64
"""Distinct random clips that made-up ones start anywhere in."""


def write_clips(cache: FeatureCache, clips: int, seed: int = 42) -> list[str]:
    """Put that many clips in the cache; their names."""
    names = [hashlib.sha1(f"{seed} {clip}".encode()).hexdigest() for clip in range(clips)]
    with cache.writer() as writer:
        for name, rows in zip(names, made_up_clips(cache.config.mels, clips, seed), strict=True):
            writer.add(name, rows.T)
    return names


def made_up_clips(mels: int, clips: int, seed: int) -> Iterator[FrameRows]:
    """That many clips of shape (frames, mels)."""
    rng = np.random.default_rng(seed)
    pool = rng.normal(-8.0, 3.0, ((POOL_CLIPS + 1) * CLIP_FRAMES * mels)).astype(np.float16)
    for start in rng.integers(0, POOL_CLIPS * CLIP_FRAMES * mels, clips).tolist():
        yield pool[start : start + CLIP_FRAMES * mels].reshape(CLIP_FRAMES, mels)


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
