"""Near-words hold what they should of the word, nothing else of it, and leave the rest of the recording alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.data.locate import Span
from uyan.data.near_words import (
    LEAST_KEPT,
    MOST_KEPT,
    first_part,
    first_part_then,
    last_part,
    last_part_after,
    near_word,
    reversed_word,
    swapped_halves,
)

WORD = Span(10, 20)
SPEECH = np.asfortranarray(np.full((4, 25), 50.0), dtype=np.float16)
"""Of negatives: 50 everywhere."""


def clip(frames: int = 40, word: Span = WORD) -> NDArray[np.float16]:
    """Frames count from 100 in the word; around it -1, but for the quiet frame 0 at -9. Shape (mels, frames)."""
    row = np.full(frames, -1.0)
    row[0] = -9.0
    row[1 : frames // 10] = -9.0
    row[word.start : word.end] = 100 + np.arange(word.frames)
    return np.asfortranarray(np.tile(row, (4, 1)), dtype=np.float16)


def heard(features: NDArray[np.float16]) -> list[float]:
    """What is at the word's place, the same in every mel."""
    assert (features == features[:1]).all()
    return [float(value) for value in features[0, WORD.start : WORD.end]]


def test_known_answers(rng: np.random.Generator) -> None:
    features = clip()
    q = -9.0
    assert heard(first_part(features, WORD, 0.4, rng)) == [100, 101, 102, 103, q, q, q, q, q, q]
    assert heard(last_part(features, WORD, 0.4, rng)) == [q, q, q, q, q, q, 106, 107, 108, 109]
    assert heard(first_part_then(features, WORD, 0.4, SPEECH)) == [100, 101, 102, 103, *[50] * 6]
    assert heard(last_part_after(features, WORD, 0.4, SPEECH)) == [*[50] * 6, 106, 107, 108, 109]
    assert heard(reversed_word(features, WORD)) == [109, 108, 107, 106, 105, 104, 103, 102, 101, 100]
    assert heard(swapped_halves(features, WORD)) == [105, 106, 107, 108, 109, 100, 101, 102, 103, 104]


def test_an_odd_word_loses_no_frame() -> None:
    features = clip(word=Span(10, 13))
    assert swapped_halves(features, Span(10, 13))[0, 10:13].tolist() == [101, 102, 100]
    assert reversed_word(features, Span(10, 13))[0, 10:13].tolist() == [102, 101, 100]


@given(st.integers(0, 10_000))
def test_the_rest_of_the_recording_and_the_recording_itself_stay(seed: int) -> None:
    features = clip()
    near = near_word(features, WORD, SPEECH, np.random.default_rng(seed))
    np.testing.assert_array_equal(features, clip())
    outside = [*range(WORD.start), *range(WORD.end, features.shape[1])]
    theirs, ours = near[:, outside], features[:, outside]
    assert ((theirs == ours) | (theirs == 50)).all()  # other speech may stand before or after, nothing else
    before, after = theirs[:, : WORD.start] != ours[:, : WORD.start], theirs[:, WORD.start :] != ours[:, WORD.start :]
    assert not (before.any() and after.any())
    assert (near.dtype, near.shape) == (features.dtype, features.shape)
    assert near.flags.f_contiguous  # frame by frame, as recordings are cached
    assert heard(near) != heard(features)


def test_the_kinds_are_equally_likely_and_parts_vary() -> None:
    word = Span(100, 200)
    features = clip(400, word)
    kinds: dict[str, list[int]] = {"first": [], "last": [], "order": []}
    for seed in range(1200):
        said = near_word(features, word, SPEECH, np.random.default_rng(seed))[0, word.start : word.end]
        kept = int((said >= 100).sum())
        kinds["order" if kept == 100 else "first" if said[0] == 100 else "last"].append(kept)
    assert [len(kinds[kind]) for kind in ("first", "last", "order")] == pytest.approx([400, 400, 400], abs=70)
    for part in (kinds["first"], kinds["last"]):
        assert (min(part), max(part)) == (100 * LEAST_KEPT, 100 * MOST_KEPT)
        assert np.mean(part) == pytest.approx(42.5, abs=2)


def test_the_draw_decides() -> None:
    features = np.random.default_rng(0).normal(size=(4, 40)).astype(np.float16)
    one, same, other = (near_word(features, WORD, SPEECH, np.random.default_rng(seed)) for seed in (1, 1, 5))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@given(frames=st.integers(1, 30), start=st.integers(-5, 40), length=st.integers(0, 40), seed=st.integers(0, 999))
def test_a_span_may_reach_past_the_recording(frames: int, start: int, length: int, seed: int) -> None:
    features = clip(frames, Span(0, 0))
    near = near_word(features, Span(start, start + length), SPEECH, np.random.default_rng(seed))
    assert near.shape == features.shape
    assert set(near[0].tolist()) <= {-1.0, -9.0, 50.0}


def test_the_part_of_a_word_cut_off_by_the_end_counts(rng: np.random.Generator) -> None:
    """Of ten frames eight are there: half of those is four."""
    cut = clip()[:, :18]
    assert heard(first_part(cut, WORD, 0.5, rng))[:4] == [100, 101, 102, 103]
    assert (first_part(cut, WORD, 0.5, rng)[0, 14:] < 100).all()
    assert reversed_word(cut, WORD)[0, 10:].tolist() == list(range(107, 99, -1))
