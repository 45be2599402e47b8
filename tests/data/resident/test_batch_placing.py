"""Many placed at once are placed as one by one."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted

from uyan.data.locate import Span
from uyan.data.placing import Placing
from uyan.data.resident.batch_placing import (
    Spans,
    as_recorded,
    hard_starts,
    negative_starts,
    one_of,
    positive_labels,
    positive_starts,
)

chances = st.floats(0, 1, exclude_max=True)
placings = st.builds(
    lambda window, extra, tail: Placing(window + extra, window, tail),
    st.integers(1, 120),
    st.integers(0, 90),
    st.integers(0, 80),
)
lengths = st.integers(2, 250)


def a(*numbers: float) -> Any:
    return np.array(numbers)


def scripted(*numbers: float) -> np.random.Generator:
    return cast(np.random.Generator, Scripted(*numbers))


@given(placings, st.integers(-20, 500), st.integers(1, 300), lengths, chances, chances)
def test_positives(placing: Placing, start: int, frames: int, length: int, shift: float, position: float) -> None:
    word, words = Span(start, start + frames), Spans(a(start), a(start + frames))
    at_tempo = placing.at_tempo(word, length)
    (first,), (end,) = words.at_tempo(placing, a(length))
    assert (first, end) == (at_tempo.start, at_tempo.end)
    crop_start = placing.of_positive(word, scripted(shift, position))
    assert positive_starts(placing, words, a(shift), a(position)).tolist() == [crop_start]
    assert positive_labels(placing, a(crop_start), words).tolist() == [placing.labels(crop_start, word).tolist()]
    assert as_recorded(placing, a(crop_start), a(length)).tolist() == [placing.as_recorded(crop_start, length)]


@given(placings, st.integers(0, 2000), st.integers(1, 2000), lengths, chances)
def test_negatives(placing: Placing, start: int, frames: int, length: int, chance: float) -> None:
    expected = placing.of_negative(start, frames, length, scripted(chance))
    assert negative_starts(a(start), a(frames), a(length), a(chance)).tolist() == [expected]


@given(placings, st.integers(-60, 2000), st.integers(1, 2000), lengths, chances)
def test_hard_negatives(placing: Placing, window: int, frames: int, length: int, chance: float) -> None:
    expected = placing.of_hard(window, frames, length, scripted(chance))
    assert hard_starts(placing, a(window), a(frames), a(length), a(chance)).tolist() == [expected]


@given(st.integers(0, 400), st.integers(1, 100), st.floats(0.5, 2.0))
def test_stretched_words_are_never_empty(start: int, frames: int, stretch: float) -> None:
    (first,), (end,) = Spans(a(start), a(start + frames)).stretched(a(stretch))
    assert first == round(start * stretch)
    assert end == max(first + 1, round((start + frames) * stretch))


def test_any_number_is_as_likely() -> None:
    found = one_of(7, np.random.default_rng(1).random(70_000))
    assert np.bincount(found, minlength=7).tolist() == pytest.approx([10_000] * 7, rel=0.05)
