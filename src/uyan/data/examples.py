"""Training examples: crops of cached features with a label at every window position.

A positive is cropped so that the whole word lies in a window, near its end, with a random shift; positions that hear
at most half of the word are labelled background, so that half a phrase does not fire, and those in between are left
out. Longer crops give many windows for little more than the price of one. It knows nothing of torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from uyan.data.augment import (
    AugmentConfig,
    apply_gain,
    crop_with_padding,
    draw_snr_db,
    mix_background,
    spec_augment,
)
from uyan.data.cache import FeatureCache, HalfFeatures, to_single
from uyan.data.locate import Span
from uyan.data.sampler import Draw, Source, quotas
from uyan.errors import ConfigError
from uyan.frontend import seconds_to_frames

BACKGROUND, KEYWORD, IGNORED = 0, 1, -100
VOTED_FRAMES = seconds_to_frames(0.22)
"""Three votes 0.1 s apart: a window is positive for this long after the word, even where its start is lost by then."""
POSITION_FRAMES = 2
"""Frames from one window position to the next: the network's stride."""
_NO_WORD = -1


@dataclass(frozen=True)
class BatchConfig:
    """What goes into a minibatch, and how it is loaded."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    size: int = 96
    ratio: tuple[int, int, int] = (1, 1, 1)
    """Positives : negatives : hard negatives."""
    extra_s: float = 0.5
    """Crops are this much longer than the window: more window positions an example."""
    tail_s: float = 0.4
    """A window is positive while the word ended at most this long ago."""
    workers: int = 16
    """Loader processes for training, capped by the machine's cores."""
    validation_workers: int = 8
    prefetch: int = 4
    """Batches each worker keeps ready."""

    def __post_init__(self) -> None:
        if self.size < 2 or self.extra_s < 0 or self.tail_s < 0:
            raise ConfigError("batches: size must be at least 2, extra_s and tail_s not negative")
        if min(self.ratio) < 0 or min(quotas(self.size, self.ratio)[:2]) < 1:
            raise ConfigError(
                f"batches: {self.size} examples at {self.ratio} leave no positive or no negative in a batch"
            )
        if self.workers < 0 or self.validation_workers < 0 or self.prefetch < 1:
            raise ConfigError("batches: workers cannot be negative and prefetch must be at least 1")


class Positive(NamedTuple):
    """One recording of the keyword."""

    sha1: str
    word: Span


class Segment(NamedTuple):
    """A stretch of negative or noise material."""

    sha1: str
    start: int
    """First frame."""


Place = TypeVar("Place", Positive, Segment)


class Items(Generic[Place]):
    """Positives or segments as two arrays.

    Reading a Python object writes to its reference count, so a loader process would soon have copied every page of a
    long list; these pages stay shared.
    """

    def __init__(self, items: Sequence[Place]) -> None:
        spans = [(i.word.start, i.word.end) if isinstance(i, Positive) else (i.start, _NO_WORD) for i in items]
        self._spans = np.array(spans, np.int64).reshape(-1, 2)
        self._names = np.array([item.sha1 for item in items], np.bytes_)

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, number: int) -> Place:
        sha1 = self._names[number].decode()
        start, end = self._spans[number].tolist()
        return cast(Place, Segment(sha1, start) if end == _NO_WORD else Positive(sha1, Span(start, end)))

    def __iter__(self) -> Iterator[Place]:
        return (self[number] for number in range(len(self)))


class Examples(NamedTuple):
    """A minibatch."""

    features: NDArray[np.float32]
    """(batch, mels, frames)."""
    labels: NDArray[np.int64]
    """(batch, positions): KEYWORD, BACKGROUND or IGNORED."""


def segments(sha1: str, frames: int, crop_frames: int) -> list[Segment]:
    """A recording cut into stretches one crop apart; a short one gives a single stretch.

    Draws move a stretch by up to half a crop, so that a rest shorter than that needs none of its own.

    >>> [s.start for s in segments("a", 320, 150)], [s.start for s in segments("a", 98, 150)]
    ([0, 150], [0])
    """
    return [Segment(sha1, start) for start in range(0, max(1, frames - crop_frames // 2), crop_frames)]


def position_labels(
    crop_start: int, positions: int, word: Span, window_frames: int, tail_frames: int
) -> NDArray[np.int64]:
    """The label of each window position of a crop that starts at frame `crop_start` of the clip, shape (positions,)."""
    starts = crop_start + POSITION_FRAMES * np.arange(positions)
    ends = starts + window_frames
    just_ended = (ends >= word.end) & (ends <= word.end + tail_frames)
    whole = (starts <= word.start) | (ends <= word.end + VOTED_FRAMES)
    half_heard = ends <= word.start + word.frames // 2
    labels = np.full(positions, IGNORED, np.int64)
    labels[just_ended & whole] = KEYWORD
    labels[half_heard] = BACKGROUND
    return labels


class ExampleMaker:
    """Makes batches of examples from draws; the same draws give the same batch in any process."""

    def __init__(
        self,
        cache: FeatureCache,
        positives: Sequence[Positive],
        negatives: Sequence[Segment],
        backgrounds: Sequence[Segment],
        batches: BatchConfig,
        augment: AugmentConfig | None,
        window_frames: int,
    ) -> None:
        """`augment` None gives plain crops, for validation."""
        self.cache = cache
        self.sources: dict[Source, Items[Positive] | Items[Segment]] = {
            "positive": Items(positives),
            "negative": Items(negatives),
            "hard": Items[Segment](()),
        }
        self.backgrounds = Items(backgrounds)
        self.augment = augment
        self.window_frames = window_frames
        self.crop_frames = crop_frames(batches, window_frames)
        self.tail_frames = seconds_to_frames(batches.tail_s)
        self.positions = (self.crop_frames - window_frames) // POSITION_FRAMES + 1
        self.example_bytes = cache.config.mels * self.crop_frames * np.dtype(np.float32).itemsize

    def make(self, draws: Sequence[Draw]) -> Examples:
        """One batch, in the order of the draws."""
        crops, labels, noises, rngs = [], [], [], []
        for draw in draws:
            rng = np.random.default_rng(draw.seed)
            crop, label = self._crop(draw, rng)
            crops.append(crop)
            labels.append(label)
            rngs.append(rng)
            if self.augment and self.backgrounds:
                noises.append(self._background(rng))
        batch = _stacked(crops)
        if self.augment:
            batch = self._augmented(batch, _stacked(noises) if noises else None, self.augment, rngs[0])
        return Examples(batch, np.stack(labels))

    def _crop(self, draw: Draw, rng: np.random.Generator) -> tuple[HalfFeatures, NDArray[np.int64]]:
        item = self.sources[draw.source][draw.item]
        features: HalfFeatures = self.cache.get(item.sha1)
        if isinstance(item, Positive):
            start = self._positive_start(item.word, rng)
            label = position_labels(start, self.positions, item.word, self.window_frames, self.tail_frames)
        else:
            start = self._negative_start(item.start, features.shape[1], rng)
            label = np.full(self.positions, BACKGROUND, np.int64)
        return crop_with_padding(features, start, self.crop_frames, rng), label

    def _positive_start(self, word: Span, rng: np.random.Generator) -> int:
        """A random position of the crop has the word in its window, ended `shift` ago."""
        room = max(VOTED_FRAMES, self.window_frames - word.frames)
        shift = int(rng.integers(0, min(self.tail_frames, room) + 1))
        position = int(rng.integers(0, self.positions))
        return word.end + shift - self.window_frames - POSITION_FRAMES * position

    def _negative_start(self, start: int, frames: int, rng: np.random.Generator) -> int:
        slack = self.crop_frames // 2
        moved = start + int(rng.integers(-slack, slack + 1))
        lowest, highest = sorted((0, frames - self.crop_frames))
        return min(max(moved, lowest), highest)

    def _background(self, rng: np.random.Generator) -> HalfFeatures:
        place = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        features = self.cache.get(place.sha1)
        start = self._negative_start(place.start, features.shape[1], rng)
        return crop_with_padding(features, start, self.crop_frames, rng)

    def _augmented(
        self,
        batch: NDArray[np.float32],
        noise: NDArray[np.float32] | None,
        config: AugmentConfig,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        count = len(batch)
        if noise is not None:
            batch = mix_background(batch, noise, draw_snr_db(config, count, rng))
        gain_db = rng.uniform(-config.gain_db, config.gain_db, count).astype(np.float32)
        return spec_augment(apply_gain(batch, gain_db), config, rng)


def crop_frames(batches: BatchConfig, window_frames: int) -> int:
    """Frames of a training crop."""
    return window_frames + seconds_to_frames(batches.extra_s)


def _stacked(crops: Sequence[HalfFeatures]) -> NDArray[np.float32]:
    """Crops as one batch (batch, mels, frames), in memory frame by frame: as they are cached and as networks train."""
    return to_single(np.stack([crop.T for crop in crops])).swapaxes(1, 2)
