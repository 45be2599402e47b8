"""Training examples: crops of cached features with a label at every window position.

Longer crops give many windows for little more than the price of one; where they start is `placing`'s business. It
knows nothing of torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from uyan.data.augment import AugmentConfig, Drawn, augment, crop_with_padding
from uyan.data.cache import FeatureCache, HalfFeatures, to_single
from uyan.data.items import Items as Items
from uyan.data.items import Positive as Positive
from uyan.data.items import Segment as Segment
from uyan.data.items import segments as segments
from uyan.data.locate import Span
from uyan.data.mel_warp import warp_matrices
from uyan.data.near_words import near_word
from uyan.data.placing import BACKGROUND, Placing
from uyan.data.sampler import Draw, Source, quotas
from uyan.data.share import WHOLE, Share
from uyan.data.tempo import change_tempo, draw_stretches
from uyan.data.variants import VariantTable
from uyan.errors import ConfigError
from uyan.frontend import seconds_to_frames

VARIANT_SHARE = 0.5
"""Of draws that take a variant, whatever their number: of the keyword and of the rest alike, or else "sounds like a
telephone" would tell them apart."""
PIECE_EXAMPLES = 16
"""Examples computed at once: pieces this small are worked on in memory used before. For a whole batch at once the
allocator takes fresh memory every time, and its page faults cost as much as half of the arithmetic."""


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
    near_word_share: float = 0.08
    """Share of the negatives that are near-words: a positive's first or last part, or it backwards or halves swapped.
    0, none, suits a keyword that is the same backwards or whose halves are alike ("mama")."""
    cut_up_share: float = 0.15
    """Share of the other negatives that are one recording up to a random moment and another from there: sequences of
    sounds that nobody has recorded."""
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
        if not 0 <= self.near_word_share <= 0.5:
            raise ConfigError(f"batches.near_word_share must lie in [0, 0.5], not {self.near_word_share}")
        if not 0 <= self.cut_up_share <= 1:
            raise ConfigError(f"batches.cut_up_share must lie in [0, 1], not {self.cut_up_share}")
        if self.workers < 0 or self.validation_workers < 0 or self.prefetch < 1:
            raise ConfigError("batches: workers cannot be negative and prefetch must be at least 1")


class Examples(NamedTuple):
    """A minibatch."""

    features: NDArray[np.float32]
    """(batch, mels, frames)."""
    labels: NDArray[np.int64]
    """(batch, positions): KEYWORD, BACKGROUND or IGNORED."""


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
        *,
        hard: Sequence[Segment] = (),
        variants: VariantTable | None = None,
    ) -> None:
        """`augment` None gives plain crops, for validation: without variants and near-words too.

        `hard` are windows: each starts at the first frame of a false alarm. Without `variants` items have none.
        """
        self.cache = cache
        self.positives = Items(positives)
        self.sources: dict[Source, Items[Positive] | Items[Segment]] = {
            "positive": self.positives,
            "negative": Items(negatives),
            "hard": Items(hard),
        }
        self.backgrounds = Items(backgrounds)
        self.augment = augment
        self.variants = variants
        self.near_word_share = batches.near_word_share if augment and positives else 0.0
        self.cut_up_share = batches.cut_up_share if augment else 0.0
        self.warps = warp_matrices(cache.config, augment.warp_percent) if augment else None
        self.crop_frames = crop_frames(batches, window_frames)
        self.placing = Placing(self.crop_frames, window_frames, seconds_to_frames(batches.tail_s))
        self.positions = self.placing.positions
        self.example_bytes = cache.config.mels * self.crop_frames * np.dtype(np.float32).itemsize

    @property
    def draws_variants(self) -> bool:
        """Whether an item is drawn from its variants too."""
        return self.variants is not None and self.augment is not None

    @property
    def mixes(self) -> bool:
        """Whether background is mixed in."""
        return self.augment is not None and self.augment.background_share > 0 and len(self.backgrounds) > 0

    @property
    def longest_frames(self) -> int:
        """Frames of a recording that an example can be made of, at the fastest tempo."""
        percent = self.augment.tempo_percent if self.augment else 0.0
        return math.ceil(self.crop_frames * (1 + percent / 100))

    def make(self, draws: Sequence[Draw], share: Share = WHOLE) -> Examples:
        """One batch, in the order of the draws; of a `share`, its examples of that batch."""
        rng, own = np.random.default_rng([draw.seed for draw in draws]), share.of(len(draws))
        lengths = self.lengths(len(draws), rng)[own]
        # In memory frame by frame: as features are cached and as networks train.
        shape = (len(own), self.crop_frames, self.cache.config.mels)
        crops = np.zeros((len(own), int(lengths.max()), self.cache.config.mels), np.float16)
        noises = np.empty(shape, np.float16)
        labels = np.full((len(own), self.positions), BACKGROUND, np.int64)
        for number, draw in enumerate(draws[example] for example in own):
            chance = np.random.default_rng(draw.seed)
            crops[number, : lengths[number]] = self._crop(draw, int(lengths[number]), chance, labels[number]).T
            if self.mixes:
                noises[number] = self._background(chance).T
        features = np.empty(shape, np.float32)
        for start in range(0, len(draws), PIECE_EXAMPLES):
            piece = slice(*np.searchsorted(own, [start, start + PIECE_EXAMPLES]))
            drawn = Drawn(min(PIECE_EXAMPLES, len(draws) - start), own[piece] - start)
            noise = noises[piece] if self.mixes else None
            features[piece] = self._finished(crops[piece], lengths[piece], noise, rng, drawn)
        return Examples(features.swapaxes(1, 2), labels)

    def lengths(self, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Frames of each example before its tempo is changed, shape (count,)."""
        percent = self.augment.tempo_percent if self.augment else 0.0
        stretches = draw_stretches(percent, count, rng)
        return np.maximum(2, np.rint(self.crop_frames / stretches)).astype(np.intp)

    def _finished(
        self,
        crops: HalfFeatures,
        lengths: NDArray[np.intp],
        noises: HalfFeatures | None,
        rng: np.random.Generator,
        drawn: Drawn,
    ) -> NDArray[np.float32]:
        """The first `lengths` (examples,) frames of crops (examples, longest, mels) in single precision, augmented."""
        batch = to_single(crops)
        if (lengths != self.crop_frames).any():
            batch = change_tempo(batch, lengths, self.crop_frames)
        else:
            batch = batch[:, : self.crop_frames]  # others of the batch may be longer
        if self.augment is None or self.warps is None:
            return batch
        background = None if noises is None else to_single(noises).swapaxes(1, 2)
        return augment(batch.swapaxes(1, 2), background, self.augment, self.warps, rng, drawn).swapaxes(1, 2)

    def _crop(self, draw: Draw, length: int, rng: np.random.Generator, labels: NDArray[np.int64]) -> HalfFeatures:
        """The example's features (mels, length), which its tempo makes `crop_frames`.

        Its `labels` (positions,) are background until written here.
        """
        item = self.sources[draw.source][draw.item]
        if isinstance(item, Positive):
            key, word = self._spoken(item, rng)
            start = self.placing.of_positive(word := self.placing.at_tempo(word, length), rng)
            labels[:] = self.placing.labels(start, word)
            return self._padded(key, self.placing.as_recorded(start, length), length, rng)
        if draw.source == "negative" and self.near_word_share and rng.random() < self.near_word_share:
            return self._near_word(item, length, rng)
        crop = self._stretch(item, draw.source, length, rng)
        if draw.source == "negative" and self.cut_up_share and rng.random() < self.cut_up_share:
            negatives = cast(Items[Segment], self.sources["negative"])
            other = self._stretch(negatives[int(rng.integers(len(negatives)))], "negative", length, rng)
            cut = int(rng.integers(1, length))
            return np.concatenate([crop[:, :cut], other[:, cut:]], axis=1)
        return crop

    def _stretch(self, segment: Segment, source: Source, length: int, rng: np.random.Generator) -> HalfFeatures:
        """A crop of negative material (mels, length)."""
        key, stretch = self._take(segment, rng)
        place = self.placing.of_hard if source == "hard" else self.placing.of_negative
        start = place(round(segment.start * stretch), self.cache.frames(key), length, rng)
        return self._padded(key, start, length, rng)

    def _near_word(self, segment: Segment, length: int, rng: np.random.Generator) -> HalfFeatures:
        """A crop (mels, length) of what almost is the keyword; other speech in it is the segment's.

        It is padded as the keyword itself is, or else its padding would tell it from that.
        """
        key, word = self._spoken(self.positives[int(rng.integers(len(self.positives)))], rng)
        features = self.cache.get(key)
        near = near_word(features, word, self._stretch(segment, "negative", length, rng), rng)
        start = self.placing.of_positive(self.placing.at_tempo(word, length), rng)
        return crop_with_padding(near, self.placing.as_recorded(start, length), length, rng, room=features)

    def _padded(self, key: str, start: int, length: int, rng: np.random.Generator) -> HalfFeatures:
        """As `crop_with_padding`; where nothing is padded, no more of a long recording is read than that."""
        if start >= 0 and start + length <= self.cache.frames(key):
            return self.cache.part(key, start, start + length)
        return crop_with_padding(self.cache.get(key), start, length, rng)

    def _spoken(self, positive: Positive, rng: np.random.Generator) -> tuple[str, Span]:
        """The name of a positive's features or of a variant's, and where the word is in them."""
        key, stretch = self._take(positive, rng)
        start, end = round(positive.word.start * stretch), round(positive.word.end * stretch)
        return key, Span(start, max(start + 1, end))

    def _take(self, item: Positive | Segment, rng: np.random.Generator) -> tuple[str, float]:
        """The name of a recording's features or of a variant's, and by how much the latter is stretched in time."""
        if not item.variants or self.variants is None or not self.draws_variants:
            return item.sha1, 1.0
        changed = rng.random() < VARIANT_SHARE
        take = self.variants.take(item.sha1, int(rng.integers(1, item.variants + 1)) if changed else 0)
        return take.key, take.stretch

    def _background(self, rng: np.random.Generator) -> HalfFeatures:
        place = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        start = self.placing.of_negative(place.start, self.cache.frames(place.sha1), self.crop_frames, rng)
        return self._padded(place.sha1, start, self.crop_frames, rng)


def crop_frames(batches: BatchConfig, window_frames: int) -> int:
    """Frames of a training crop."""
    return window_frames + seconds_to_frames(batches.extra_s)
