"""Arithmetic on frame numbers gives the very frames that cutting up features gives."""

from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted

from uyan.data.augment import crop_with_padding, quiet_frames
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.locate import Span
from uyan.data.near_words import (
    first_part,
    first_part_then,
    last_part,
    last_part_after,
    reversed_word,
    swapped_halves,
)
from uyan.data.resident.batch_placing import Spans
from uyan.data.resident.frame_maps import crop_map, cut_up_map, near_word_map
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.takes import Takes
from uyan.frontend import FrontendConfig

MELS, LONGEST = 64, 120
FRAMES = (30, 75, 400)
SPEECH = 2
"""The row that other speech is from."""


class Stored(NamedTuple):
    resident: ResidentFeatures
    clips: list[np.ndarray]
    """Features (mels, frames) by row."""

    def heard(self, frames: np.ndarray) -> list[np.ndarray]:
        """Features (mels, frames) of each crop of a map."""
        return [self.resident.features.numpy()[crop].T for crop in frames]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    cache, rng = FeatureCache(tmp_path_factory.mktemp("cache"), FrontendConfig()), np.random.default_rng(5)
    clips = [rng.normal(-8, 3, (MELS, frames)).astype(np.float16) for frames in FRAMES]
    names = [f"{frames:040x}" for frames in FRAMES]
    for name, clip in zip(names, clips, strict=True):
        cache.put(name, clip.astype(np.float32))
    maker = ExampleMaker(
        cache, [Positive(names[0], Span(0, 1))], [Segment(n, 0) for n in names[1:]], [], BatchConfig(), None, 100
    )
    resident = ResidentFeatures(cache, Takes([maker]), torch.device("cpu"))
    assert [key.decode() for key in resident.takes.keys] == names
    return Stored(resident, clips)


def a(*numbers: float) -> Any:
    return np.array(numbers)


def padding(row: np.ndarray) -> np.random.Generator:
    return cast(np.random.Generator, Scripted(row=row))


def test_what_is_kept_is_what_the_cache_has(stored: Stored) -> None:
    whole = np.concatenate([clip.T for clip in stored.clips])
    np.testing.assert_array_equal(stored.resident.features.numpy(), whole)
    layout = stored.resident.layout
    for row, clip in enumerate(stored.clips):
        start, count = layout.quiet_starts[row], layout.quiet_counts[row]
        every = np.arange(count) / count
        expected = quiet_frames(clip, count, padding(every))
        np.testing.assert_array_equal(clip[:, layout.quiet[start : start + count]], expected)


@given(row=st.integers(0, 2), start=st.integers(-200, 450), frames=st.integers(1, LONGEST), seed=st.integers(0, 99))
def test_crops(stored: Stored, row: int, start: int, frames: int, seed: int) -> None:
    chance = np.random.default_rng(seed).random((1, frames), np.float32)
    places = start + np.arange(frames)
    outside = (places < 0) | (places >= FRAMES[row])
    expected = crop_with_padding(stored.clips[row], start, frames, padding(chance[0, outside]))
    (found,) = stored.heard(crop_map(stored.resident.layout, a(row), a(start), chance))
    np.testing.assert_array_equal(found, expected)


@given(cut=st.integers(1, LONGEST - 1))
def test_cut_ups(stored: Stored, cut: int) -> None:
    chance = np.zeros((1, LONGEST))
    first, second = (crop_map(stored.resident.layout, a(SPEECH), a(start), chance) for start in (0, 200))
    (found,) = stored.heard(cut_up_map(first, second, a(cut)))
    clip = stored.clips[SPEECH]
    np.testing.assert_array_equal(found, np.concatenate([clip[:, :cut], clip[:, 200 + cut : 200 + LONGEST]], axis=1))


@given(
    row=st.integers(0, 1),
    start=st.integers(-30, 60),
    word=st.tuples(st.integers(-5, 90), st.integers(1, 60)),
    kind=st.integers(0, 5),
    kept=st.floats(0.35, 0.5),
    length=st.integers(2, LONGEST),
    seed=st.integers(0, 99),
)
def test_near_words(
    stored: Stored,
    row: int,
    start: int,
    word: tuple[int, int],
    kind: int,
    kept: float,
    length: int,
    seed: int,
) -> None:
    """Within the recording they are those of `near_words`; what is silenced there and padded around is quiet."""
    rng, layout = np.random.default_rng(seed), stored.resident.layout
    clip, said = stored.clips[row], Span(word[0], sum(word))
    chance = rng.random((1, LONGEST), np.float32)
    speech = crop_map(layout, a(SPEECH), a(7), chance)
    other = stored.clips[SPEECH][:, 7 : 7 + length]
    expected = {
        0: lambda: first_part(clip, said, kept, rng),
        1: lambda: last_part(clip, said, kept, rng),
        2: lambda: first_part_then(clip, said, kept, other),
        3: lambda: last_part_after(clip, said, kept, other),
        4: lambda: reversed_word(clip, said),
        5: lambda: swapped_halves(clip, said),
    }[kind]()
    words = Spans(a(said.start), a(said.end))
    (found,) = stored.heard(near_word_map(layout, a(row), words, a(start), chance, a(kind), a(kept), speech, a(length)))
    first, end = (min(max(0, edge), FRAMES[row]) for edge in (said.start, said.end))
    left = round(kept * (end - first))
    silent = {0: range(first + left, end), 1: range(first, end - left)}.get(kind, range(0))
    quiet = layout.quiet[layout.quiet_starts[row] :][: layout.quiet_counts[row]]
    for number, frame in enumerate(found.T):
        place = start + number
        if 0 <= place < FRAMES[row] and place not in silent:
            np.testing.assert_array_equal(frame, expected[:, place])
        else:
            assert (clip[:, quiet] == frame[:, None]).all(axis=0).any()
