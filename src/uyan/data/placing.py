"""Where a training crop starts, and how the windows in it are labelled; all in frames.

A positive is placed so that the whole word lies in a window, near its end, with a random shift; positions that hear
at most half of the word are labelled background, so that half a phrase does not fire, and those in between are left
out. It knows nothing of features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uyan.data.locate import Span
from uyan.frontend import seconds_to_frames

BACKGROUND, KEYWORD, IGNORED = 0, 1, -100
VOTED_FRAMES = seconds_to_frames(0.22)
"""Three votes 0.1 s apart: a window is positive for this long after the word, even where its start is lost by then."""
POSITION_FRAMES = 2
"""Frames from one window position to the next: the network's stride."""


@dataclass(frozen=True)
class Placing:
    """Crops of `crop_frames`, in which windows of `window_frames` are positive for `tail_frames` after the word."""

    crop_frames: int
    window_frames: int
    tail_frames: int

    @property
    def positions(self) -> int:
        """Windows of a crop."""
        return (self.crop_frames - self.window_frames) // POSITION_FRAMES + 1

    def labels(self, crop_start: int, word: Span) -> NDArray[np.int64]:
        """Of each window of a crop that starts at frame `crop_start` of the recording, shape (positions,)."""
        return position_labels(crop_start, self.positions, word, self.window_frames, self.tail_frames)

    def of_positive(self, word: Span, rng: np.random.Generator) -> int:
        """The start of a crop of which a random position has the word in its window, ended a random time ago."""
        room = max(VOTED_FRAMES, self.window_frames - word.frames)
        shift = int(rng.integers(0, min(self.tail_frames, room) + 1))
        position = int(rng.integers(0, self.positions))
        return word.end + shift - self.window_frames - POSITION_FRAMES * position

    def of_negative(self, start: int, frames: int, length: int, rng: np.random.Generator) -> int:
        """The start of a crop of `length` frames somewhere around `start`, within the recording's `frames`."""
        slack = length // 2
        moved = start + int(rng.integers(-slack, slack + 1))
        lowest, highest = sorted((0, frames - length))
        return min(max(moved, lowest), highest)

    def of_hard(self, window_start: int, frames: int, length: int, rng: np.random.Generator) -> int:
        """The start of a crop of `length` frames that has the window anywhere in it, or lies in it if that is longer.

        Neither reaches past the recording's `frames` where that can be helped.
        """
        lowest, highest = sorted((0, frames - length))
        first, last = sorted((window_start, window_start + self.window_frames - length))
        if max(first, lowest) <= min(last, highest):
            return int(rng.integers(max(first, lowest), min(last, highest) + 1))
        return int(rng.integers(first, last + 1))

    def at_tempo(self, word: Span, length: int) -> Span:
        """Where a word of the recording is when `length` of its frames have become `crop_frames`."""
        start, end = (round(frame * self.crop_frames / length) for frame in (word.start, word.end))
        return Span(start, max(start + 1, end))

    def as_recorded(self, frame: int, length: int) -> int:
        """A frame of the changed tempo in frames of the recording."""
        return round(frame * length / self.crop_frames)


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
