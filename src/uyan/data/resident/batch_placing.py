"""`placing` for all examples of a batch at once: where their crops start, and how the windows in them are labelled.

Randomness comes as numbers in [0, 1), one an example, so that the same numbers give what `Placing` gives one by one.
All arrays are of shape (examples,) and in frames.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.data.placing import BACKGROUND, IGNORED, KEYWORD, POSITION_FRAMES, VOTED_FRAMES, Placing

Frames = NDArray[np.int64]
Chance = NDArray[np.floating]
"""Uniform in [0, 1)."""


class Spans(NamedTuple):
    """`locate.Span` of many recordings."""

    start: Frames
    end: Frames

    @property
    def frames(self) -> Frames:
        """Lengths."""
        return self.end - self.start

    def stretched(self, stretch: NDArray[np.float64]) -> "Spans":
        """Where the words are when everything takes `stretch` times as long."""
        return _spans(self.start * stretch, self.end * stretch)

    def at_tempo(self, placing: Placing, lengths: Frames) -> "Spans":
        """As `Placing.at_tempo`."""
        return _spans(self.start * placing.crop_frames / lengths, self.end * placing.crop_frames / lengths)


def rounded(exact: NDArray[np.float64]) -> Frames:
    """To the nearest, as Python rounds."""
    return np.rint(exact).astype(np.int64)


def one_of(counts: NDArray[np.integer] | int, chance: Chance) -> Frames:
    """A number below each of `counts`, any as likely.

    >>> one_of(np.array([4, 4, 1]), np.array([0.0, 0.99, 0.5])).tolist()
    [0, 3, 0]
    """
    numbers: Frames = (counts * chance).astype(np.int64)
    return numbers


def positive_starts(placing: Placing, words: Spans, shift: Chance, position: Chance) -> Frames:
    """As `Placing.of_positive`."""
    room = np.maximum(VOTED_FRAMES, placing.window_frames - words.frames)
    shifts = one_of(np.minimum(placing.tail_frames, room) + 1, shift)
    starts: Frames = words.end + shifts - placing.window_frames - POSITION_FRAMES * one_of(placing.positions, position)
    return starts


def negative_starts(starts: Frames, frames: Frames, lengths: Frames, chance: Chance) -> Frames:
    """As `Placing.of_negative`, of segments that start there in recordings of so many frames."""
    slack = lengths // 2
    moved = starts + one_of(2 * slack + 1, chance) - slack
    clipped: Frames = np.clip(moved, np.minimum(0, frames - lengths), np.maximum(0, frames - lengths))
    return clipped


def hard_starts(placing: Placing, windows: Frames, frames: Frames, lengths: Frames, chance: Chance) -> Frames:
    """As `Placing.of_hard`, of windows that start there in recordings of so many frames."""
    other = windows + placing.window_frames - lengths
    first, last = np.minimum(windows, other), np.maximum(windows, other)
    lowest, highest = np.minimum(0, frames - lengths), np.maximum(0, frames - lengths)
    inner, outer = np.maximum(first, lowest), np.minimum(last, highest)
    reachable = inner <= outer
    first, last = np.where(reachable, inner, first), np.where(reachable, outer, last)
    starts: Frames = first + one_of(last - first + 1, chance)
    return starts


def as_recorded(placing: Placing, frames: Frames, lengths: Frames) -> Frames:
    """As `Placing.as_recorded`."""
    return rounded(frames * lengths / placing.crop_frames)


def positive_labels(placing: Placing, crop_starts: Frames, words: Spans) -> NDArray[np.int64]:
    """As `Placing.labels`, shape (examples, positions)."""
    starts = crop_starts[:, None] + POSITION_FRAMES * np.arange(placing.positions)
    ends = starts + placing.window_frames
    word_start, word_end = words.start[:, None], words.end[:, None]
    just_ended = (ends >= word_end) & (ends <= word_end + placing.tail_frames)
    whole = (starts <= word_start) | (ends <= word_end + VOTED_FRAMES)
    half_heard = ends <= word_start + (words.frames // 2)[:, None]
    return np.where(half_heard, BACKGROUND, np.where(just_ended & whole, KEYWORD, IGNORED))


def _spans(start: NDArray[np.float64], end: NDArray[np.float64]) -> Spans:
    first = rounded(start)
    return Spans(first, np.maximum(first + 1, rounded(end)))
