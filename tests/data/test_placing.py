"""Labels follow the word by the rule in words; crops start where the word, the window or the segment is in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.data.locate import Span
from uyan.data.placing import (
    BACKGROUND,
    IGNORED,
    KEYWORD,
    POSITION_FRAMES,
    VOTED_FRAMES,
    Placing,
    position_labels,
)

PLACING = Placing(crop_frames=150, window_frames=100, tail_frames=40)


def expected_label(start: int, end: int, word: Span, tail: int) -> int:
    """One window [start, end), by the rule in words: ended at most `tail` ago and all there, or half unheard.

    For the time three votes take, a window counts even where the start of the word is lost.
    """
    heard = [frame for frame in range(word.start, word.end) if start <= frame < end]
    ended_ago = end - word.end
    all_there = len(heard) == word.frames or ended_ago <= VOTED_FRAMES
    if 0 <= ended_ago <= tail and all_there:
        return KEYWORD
    before_the_end = [frame for frame in range(word.start, word.end) if frame < end]
    return BACKGROUND if len(before_the_end) <= word.frames // 2 else IGNORED


@settings(max_examples=200)
@given(
    crop_start=st.integers(-150, 150),
    start=st.integers(0, 100),
    frames=st.integers(1, 60),
    window=st.integers(2, 40),
    tail=st.integers(0, 20),
    positions=st.integers(1, 20),
)
def test_labels_follow_the_word(
    crop_start: int, start: int, frames: int, window: int, tail: int, positions: int
) -> None:
    word = Span(start, start + frames)
    found = position_labels(crop_start, positions, word, window, tail)
    starts = [crop_start + POSITION_FRAMES * position for position in range(positions)]
    assert found.tolist() == [expected_label(s, s + window, word, tail) for s in starts]


def test_labels_worked_by_hand() -> None:
    """A word in frames 20-29, windows of 20, every other frame: from "not yet" over "in part" to "just said"."""
    labels = position_labels(0, 13, Span(20, 30), 20, 4)
    ends = 20 + 2 * np.arange(13)
    assert labels[ends <= 25].tolist() == [BACKGROUND] * 3  # 20, 22, 24: at most half of it was heard
    assert labels[(ends > 25) & (ends < 30)].tolist() == [IGNORED] * 2
    assert labels[(ends >= 30) & (ends <= 34)].tolist() == [KEYWORD] * 3
    assert labels[ends > 34].tolist() == [IGNORED] * 5


@pytest.mark.parametrize("frames", [60, 80, 90, 95, 100, 105, 130])
def test_a_word_of_any_length_is_labelled_long_enough_for_three_votes(frames: int) -> None:
    labels = position_labels(-150, 200, Span(50, 50 + frames), window_frames=100, tail_frames=40)
    assert (labels == KEYWORD).sum() * POSITION_FRAMES >= VOTED_FRAMES


@given(st.integers(0, 300), st.integers(1, 150), st.integers(0, 10_000))
def test_a_positive_is_heard_in_some_window_of_its_crop(start: int, frames: int, seed: int) -> None:
    word = Span(start, start + frames)
    crop_start = PLACING.of_positive(word, np.random.default_rng(seed))
    assert (PLACING.labels(crop_start, word) == KEYWORD).any()


@given(st.integers(0, 900), st.integers(110, 1000), st.integers(80, 190), st.integers(0, 10_000))
def test_a_hard_window_lies_in_its_crop_or_the_crop_in_it(start: int, frames: int, length: int, seed: int) -> None:
    window = min(start, frames - 100)
    crop = PLACING.of_hard(window, frames, length, np.random.default_rng(seed))
    assert (crop <= window and crop + length >= window + 100) or (window <= crop and crop + length <= window + 100)
    if length <= frames:
        assert 0 <= crop <= frames - length


@given(st.integers(0, 900), st.integers(150, 1000), st.integers(100, 150), st.integers(0, 10_000))
def test_a_negative_crop_stays_within_its_recording(start: int, frames: int, length: int, seed: int) -> None:
    crop = PLACING.of_negative(min(start, frames - 1), frames, length, np.random.default_rng(seed))
    assert 0 <= crop <= frames - length


@given(st.integers(0, 300), st.integers(2, 100), st.integers(110, 190))
def test_a_word_at_another_tempo_is_found_again(start: int, frames: int, length: int) -> None:
    changed = PLACING.at_tempo(Span(start, start + frames), length)
    assert abs(PLACING.as_recorded(changed.start, length) - start) <= 1
    assert changed.frames == pytest.approx(frames * PLACING.crop_frames / length, abs=1.01)


def test_a_crop_has_as_many_windows_as_fit() -> None:
    assert PLACING.positions == 26
    assert POSITION_FRAMES * (PLACING.positions - 1) + PLACING.window_frames == PLACING.crop_frames
