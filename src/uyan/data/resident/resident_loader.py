"""Batches from features that stay on the device, made in one step and without loader processes.

What an `ExampleMaker` does example by example is decided here for a whole batch in arrays, and computed where the
features are. The distribution of batches is the same, the draws are not: randomness comes from the seed of a batch's
first draw, and so from (seed, epoch, batch) alone.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from uyan.data.augment import AugmentConfig, Drawn, draw_snr_db
from uyan.data.examples import VARIANT_SHARE, ExampleMaker
from uyan.data.items import Items, Segment
from uyan.data.loader import TensorBatch
from uyan.data.near_words import KINDS, LEAST_KEPT, MOST_KEPT
from uyan.data.placing import BACKGROUND
from uyan.data.resident.batch_augment import Noise, augment_batch, gather_crops
from uyan.data.resident.batch_placing import (
    Frames,
    Spans,
    as_recorded,
    hard_starts,
    negative_starts,
    one_of,
    positive_labels,
    positive_starts,
    rounded,
)
from uyan.data.resident.frame_maps import FrameMap, crop_map, cut_up_map, near_word_map
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.sampler import SOURCES, Draw, Source
from uyan.data.share import WHOLE, Share

Numbers = NDArray[np.intp]


class BatchSampler(Protocol):
    """Batches of draws, an epoch of them at every iteration."""

    def __iter__(self) -> Iterator[list[Draw]]: ...
    def __len__(self) -> int: ...


class ResidentMaker:
    """Makes the batches that `maker` would, from `features`; the same draws give the same batch."""

    def __init__(self, maker: ExampleMaker, features: ResidentFeatures) -> None:
        """Reads windows of recordings that are not resident; raises DataError where it cannot."""
        self.maker, self.features, self.placing = maker, features, maker.placing
        takes = features.takes
        self._rows = {source: takes.rows(items.names) for source, items in maker.sources.items()}
        self._starts = {source: items.spans[:, 0] for source, items in maker.sources.items()}
        self._backgrounds = takes.rows(maker.backgrounds.names)
        if len(maker.sources["hard"]):
            windows = cast(Items[Segment], maker.sources["hard"])
            held = features.hold(windows, self.placing.window_frames, maker.longest_frames)
            self._rows["hard"], self._starts["hard"] = held
        self._warps = None if maker.warps is None else torch.from_numpy(maker.warps).to(features.device)

    def make(self, draws: Sequence[Draw], share: Share = WHOLE) -> TensorBatch:
        """One batch, in the order of the draws: features (batch, mels, frames) and labels (batch, positions).

        Of a `share`, its examples of that batch.
        """
        rng = np.random.default_rng(draws[0].seed)
        maker, drawn = self.maker, Drawn(len(draws), share.of(len(draws)))
        lengths = maker.lengths(len(draws), rng)
        frames, labels = self._crops(draws, lengths, rng)
        frames, lengths, labels = frames[drawn.own], lengths[drawn.own], labels[drawn.own]
        batch = gather_crops(self.features.features, frames, lengths, self.placing.crop_frames)
        if maker.augment is not None and self._warps is not None:
            noise = self._noise(maker.augment, drawn, rng) if maker.mixes else None
            batch = augment_batch(batch, noise, maker.augment, self._warps, rng, drawn)
        return batch.transpose(1, 2), torch.from_numpy(labels).to(batch.device, non_blocking=True)

    def _crops(
        self, draws: Sequence[Draw], lengths: Frames, rng: np.random.Generator
    ) -> tuple[FrameMap, NDArray[np.int64]]:
        """Frames that each crop is made of, shape (draws, longest), and labels (draws, positions)."""
        source = np.array([SOURCES.index(draw.source) for draw in draws])
        item = np.array([draw.item for draw in draws])
        frames = np.empty((len(draws), int(lengths.max())), np.int64)
        labels = np.full((len(draws), self.placing.positions), BACKGROUND, np.int64)
        chance = rng.random(frames.shape, np.float32)
        positive, negative, hard = (np.flatnonzero(source == number) for number in range(len(SOURCES)))
        frames[positive], labels[positive] = self._positives(item[positive], lengths[positive], chance[positive], rng)
        frames[negative] = self._negatives(item[negative], lengths[negative], chance[negative], rng)
        frames[hard] = self._windows(item[hard], lengths[hard], chance[hard], rng)
        return frames, labels

    def _positives(
        self, items: Numbers, lengths: Frames, chance: NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[FrameMap, NDArray[np.int64]]:
        rows, words = self._spoken(items, rng)
        words = words.at_tempo(self.placing, lengths)
        starts = positive_starts(self.placing, words, rng.random(len(items)), rng.random(len(items)))
        labels = positive_labels(self.placing, starts, words)
        return crop_map(self.features.layout, rows, as_recorded(self.placing, starts, lengths), chance), labels

    def _negatives(
        self, items: Numbers, lengths: Frames, chance: NDArray[np.float32], rng: np.random.Generator
    ) -> FrameMap:
        frames = self._stretches(items, lengths, chance, rng)
        near = rng.random(len(items)) < self.maker.near_word_share
        cut_up = ~near & (rng.random(len(items)) < self.maker.cut_up_share)
        if cut_up.any():
            frames[cut_up] = self._cut_ups(frames[cut_up], lengths[cut_up], rng)
        if near.any():
            frames[near] = self._near_words(frames[near], lengths[near], chance[near], rng)
        return frames

    def _stretches(
        self, items: Numbers, lengths: Frames, chance: NDArray[np.float32], rng: np.random.Generator
    ) -> FrameMap:
        """Crops of negative material, shape of `chance` (crops, longest)."""
        rows, stretch = self._taken("negative", items, rng)
        starts = rounded(self._starts["negative"][items] * stretch)
        starts = negative_starts(starts, self.features.layout.frames[rows], lengths, rng.random(len(items)))
        return crop_map(self.features.layout, rows, starts, chance)

    def _windows(
        self, items: Numbers, lengths: Frames, chance: NDArray[np.float32], rng: np.random.Generator
    ) -> FrameMap:
        """Crops around hard negatives."""
        layout, rows = self.features.layout, self._rows["hard"][items]
        windows, frames = self._starts["hard"][items], layout.frames[rows]
        return crop_map(
            layout, rows, hard_starts(self.placing, windows, frames, lengths, rng.random(len(items))), chance
        )

    def _cut_ups(self, first: FrameMap, lengths: Frames, rng: np.random.Generator) -> FrameMap:
        others = one_of(len(self._rows["negative"]), rng.random(len(first)))
        second = self._stretches(others, lengths, rng.random(first.shape, np.float32), rng)
        return cut_up_map(first, second, 1 + one_of(lengths - 1, rng.random(len(first))))

    def _near_words(
        self, speech: FrameMap, lengths: Frames, chance: NDArray[np.float32], rng: np.random.Generator
    ) -> FrameMap:
        count = len(speech)
        rows, words = self._spoken(one_of(len(self._rows["positive"]), rng.random(count)), rng)
        at_tempo = words.at_tempo(self.placing, lengths)
        starts = positive_starts(self.placing, at_tempo, rng.random(count), rng.random(count))
        starts = as_recorded(self.placing, starts, lengths)
        kinds, kept = rng.integers(0, KINDS, count), rng.uniform(LEAST_KEPT, MOST_KEPT, count)
        return near_word_map(self.features.layout, rows, words, starts, chance, kinds, kept, speech, lengths)

    def _spoken(self, items: Numbers, rng: np.random.Generator) -> tuple[Numbers, Spans]:
        """Rows of positives or of variants of them, and where the words are in those."""
        rows, stretch = self._taken("positive", items, rng)
        spans = self.maker.positives.spans[items]
        return rows, Spans(spans[:, 0], spans[:, 1]).stretched(stretch)

    def _taken(self, source: Source, items: Numbers, rng: np.random.Generator) -> tuple[Numbers, NDArray[np.float64]]:
        """Rows of recordings or of variants of them, and by how much the latter are stretched in time."""
        rows = self._rows[source][items]
        if self.maker.draws_variants:
            variants = self.maker.sources[source].variants[items]
            changed = (rng.random(len(items)) < VARIANT_SHARE) & (variants > 0)
            rows = rows + np.where(changed, 1 + one_of(variants, rng.random(len(items))), 0)
        return rows, self.features.takes.stretches[rows]

    def _noise(self, config: AugmentConfig, drawn: Drawn, rng: np.random.Generator) -> Noise | None:
        """Background for those of our examples that are to have it."""
        snr_db = draw_snr_db(config, drawn.examples, rng)
        mixed = np.flatnonzero(np.isfinite(snr_db))
        if not mixed.size:
            return None
        layout, backgrounds, crop_frames = self.features.layout, self.maker.backgrounds, self.placing.crop_frames
        chosen = one_of(len(backgrounds), rng.random(mixed.size))
        rows, lengths = self._backgrounds[chosen], np.full(mixed.size, crop_frames)
        starts = negative_starts(backgrounds.spans[chosen, 0], layout.frames[rows], lengths, rng.random(mixed.size))
        frames = crop_map(layout, rows, starts, rng.random((mixed.size, crop_frames), np.float32))
        _, ours, places = np.intersect1d(mixed, drawn.own, assume_unique=True, return_indices=True)
        if not ours.size:
            return None
        crops = gather_crops(self.features.features, frames[ours], lengths[ours], crop_frames)
        return Noise(places, crops, snr_db[mixed[ours]])


class ResidentLoader:
    """An epoch of batches at every iteration, in the order of any batch sampler."""

    def __init__(self, maker: ResidentMaker, batch_sampler: BatchSampler, share: Share = WHOLE) -> None:
        self.maker, self.batch_sampler, self.share = maker, batch_sampler, share

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[TensorBatch]:
        return (self.maker.make(draws, self.share) for draws in self.batch_sampler)
