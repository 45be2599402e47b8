"""Labels follow the word, every positive can be heard, and a batch is a function of its draws."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment, crop_frames, segments
from uyan.data.locate import Span
from uyan.data.placing import BACKGROUND, KEYWORD, POSITION_FRAMES
from uyan.data.sampler import Draw, Source
from uyan.data.share import Share
from uyan.errors import ConfigError
from uyan.frontend import FrontendConfig

WINDOW, MELS = 100, 64
BATCHES = BatchConfig(extra_s=0.5, tail_s=0.4, near_word_share=0.0, cut_up_share=0.0)
UNCHANGED: dict[str, Any] = {
    "background_share": 0.0,
    "gain_db": 0.0,
    "time_masks": 0,
    "mel_masks": 0,
    "warp_percent": 0.0,
    "tempo_percent": 0.0,
    "tilt_db": 0.0,
}
CROP = crop_frames(BATCHES, WINDOW)
Make = Callable[..., ExampleMaker]


def name(number: int) -> str:
    return f"{number:040x}"


def frame_numbers(frames: int) -> np.ndarray:
    """Features that say which frame they are, shape (mels, frames): exact in fp16."""
    return np.tile(np.arange(frames, dtype=np.float32), (MELS, 1))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """Recordings by their length: 30, 120, 400 and 1000 frames, each frame with its own number; 9 is noise."""
    cache = FeatureCache(tmp_path_factory.mktemp("cache"), FrontendConfig())
    for frames in (30, 120, 400, 1000):
        cache.put(name(frames), frame_numbers(frames))
    cache.put(name(9), np.random.default_rng(9).normal(-8, 2, (MELS, 700)).astype(np.float32))
    return cache


@pytest.fixture(scope="module")
def make(cache: FeatureCache) -> Make:
    def build(
        positives: list[Positive] | None = None,
        negatives: list[Segment] | None = None,
        backgrounds: list[Segment] | None = None,
        augment: AugmentConfig | None = None,
        batches: BatchConfig = BATCHES,
        **more: Any,
    ) -> ExampleMaker:
        positives = positives or [Positive(name(120), Span(30, 90))]
        negatives = negatives or [Segment(name(1000), start) for start in (0, 150, 300)]
        return ExampleMaker(cache, positives, negatives, backgrounds or [], batches, augment, WINDOW, **more)

    return build


@settings(max_examples=60)
@given(
    start=st.integers(0, 119),
    frames=st.integers(1, 200),
    seed=st.integers(0, 10_000),
    tail_s=st.sampled_from([0.0, 0.05, 0.4, 2.0]),
    extra_s=st.sampled_from([0.0, 0.01, 0.5]),
)
def test_every_positive_is_heard_somewhere_in_its_crop(
    make: Make, start: int, frames: int, seed: int, tail_s: float, extra_s: float
) -> None:
    """Words longer than the window too: there its end must be in the window."""
    word = Span(start, start + frames)
    maker = make([Positive(name(120), word)], batches=BatchConfig(tail_s=tail_s, extra_s=extra_s))
    features, labels = maker.make([Draw("positive", 0, seed)])
    assert features.shape == (1, MELS, maker.crop_frames)
    assert labels.shape == (1, maker.positions)
    assert POSITION_FRAMES * (maker.positions - 1) + WINDOW <= maker.crop_frames  # every window lies in the crop
    assert KEYWORD in labels


def test_the_features_under_a_keyword_label_hold_the_word(make: Make) -> None:
    maker = make()
    for seed in range(50):
        features, labels = maker.make([Draw("positive", 0, seed)])
        for position in np.flatnonzero(labels[0] == KEYWORD):
            window = features[0, 0, POSITION_FRAMES * position :][:WINDOW]
            (at,) = np.flatnonzero(window == 30)  # the word's first frame; padding is of the quietest, 0-11
            assert window[at : at + 60].tolist() == list(range(30, 90))
            assert WINDOW - (at + 60) <= maker.placing.tail_frames


def test_positives_differ_in_their_place_and_in_what_follows(make: Make) -> None:
    draws = [Draw("positive", 0, seed) for seed in range(200)]
    no_tail = make(batches=BatchConfig(tail_s=0.0)).make(draws)
    assert {int(place) for place in np.nonzero(no_tail.labels == KEYWORD)[1]} == set(range(26))
    one_window = make(batches=BatchConfig(extra_s=0.0)).make(draws)
    ends = {int(np.flatnonzero(crop[0] == 89)[-1]) for crop in one_window.features}
    assert ends == set(range(WINDOW - 1 - 40, WINDOW))


def test_the_shift_in_time_is_uniform(make: Make) -> None:
    """Which window the word ends in, and how long ago it ended there: 26 positions and 41 shifts, all alike."""
    word, draws = [Positive(name(1000), Span(430, 490))], [Draw("positive", 0, seed) for seed in range(4100)]
    one_window = make(word, batches=replace(BATCHES, extra_s=0.0)).make(draws)
    ended_ago = one_window.features[:, 0, -1].astype(int) - 489
    assert np.bincount(ended_ago).tolist() == pytest.approx([100] * 41, abs=45)
    no_tail = make(word, batches=replace(BATCHES, tail_s=0.0)).make(draws[:2600])
    assert (no_tail.labels == KEYWORD).sum(axis=0).tolist() == pytest.approx([100] * 26, abs=45)


def test_negatives_are_background_everywhere_and_near_their_segment(make: Make) -> None:
    maker = make()
    for seed in range(100):
        features, labels = maker.make([Draw("negative", 1, seed)])
        assert (labels == BACKGROUND).all()
        first = int(features[0, 0, 0])
        assert features[0, 0].tolist() == list(range(first, first + CROP))  # no padding: the recording is long
        assert 150 - CROP // 2 <= first <= 150 + CROP // 2
    firsts = {int(maker.make([Draw("negative", 1, seed)]).features[0, 0, 0]) for seed in range(300)}
    assert len(firsts) > 80


def test_short_recordings_are_padded_with_their_own_quiet(make: Make) -> None:
    maker = make(negatives=[Segment(name(30), 0)])
    for seed in range(30):
        (crop,), labels = maker.make([Draw("negative", 0, seed)])
        assert (labels == BACKGROUND).all()
        (at,) = np.flatnonzero(crop[0] == 10)
        assert crop[0, at - 10 : at + 20].tolist() == list(range(30))  # the whole recording is there
        assert set(crop[0].tolist()) - {0.0, 1.0, 2.0} == set(range(3, 30))


@pytest.mark.parametrize("frames", [1, 75, 149, 150, 151, 225, 226, 299, 300, 374, 376, 1000])
def test_segments_reach_every_frame(frames: int, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, FrontendConfig())
    cache.put(name(1), frame_numbers(frames))
    cut = segments(name(1), frames, CROP)
    assert all(later.start - earlier.start == CROP for earlier, later in pairwise(cut))
    maker = ExampleMaker(cache, [Positive(name(1), Span(0, 1))], cut, [], BATCHES, None, WINDOW)
    reached: set[float] = set()
    for number in range(len(cut)):
        for seed in range(400):
            reached |= set(maker.make([Draw("negative", number, seed)]).features[0, 0].tolist())
    missing = set(range(frames)) - reached
    # A draw's start is random: the last frame or two on either side may just not have come up.
    assert all(frame < 3 or frame >= frames - 3 for frame in missing)


class Taken(NamedTuple):
    key: str
    stretch: float


class Table:
    """Every variant of a recording of 120 frames is the one of 400, stretched; that of 1000 has itself as variants."""

    def __init__(self, stretch: float) -> None:
        self.stretch = stretch
        self.asked: list[int] = []

    def take(self, sha1: str, number: int) -> Taken:
        self.asked.append(number)
        if number == 0:
            return Taken(sha1, 1.0)
        return Taken(name(400) if sha1 == name(120) else sha1, self.stretch)


def test_a_positive_is_drawn_from_its_variants_with_its_word_stretched(make: Make) -> None:
    """Of a word in frames 30-89, stretched by 1.5, it is 45-134 of the variant: the label's place shows it."""
    table = Table(1.5)
    one_window = replace(BATCHES, extra_s=0.0, tail_s=0.0)
    plain = AugmentConfig(**UNCHANGED)
    maker = make([Positive(name(120), Span(30, 90), 3)], augment=plain, batches=one_window, variants=table)
    for seed in range(400):
        features, labels = maker.make([Draw("positive", 0, seed)])
        assert labels.tolist() == [[KEYWORD]]
        last = int(features[0, 0, -1])
        assert last == (89 if table.asked[-1] == 0 else 134)
    # Half of the draws are the recording itself, however many variants it has.
    assert np.bincount(table.asked).tolist() == pytest.approx([200, 67, 67, 67], abs=30)


def test_a_negative_is_drawn_from_its_variants_at_the_stretched_place(make: Make) -> None:
    table = Table(2.0)
    maker = make(negatives=[Segment(name(1000), 200, 1)], augment=AugmentConfig(**UNCHANGED), variants=table)
    for seed in range(100):
        first = int(maker.make([Draw("negative", 0, seed)]).features[0, 0, 0])
        assert abs(first - 200 * (1 + table.asked[-1])) <= CROP // 2
    assert set(table.asked) == {0, 1}
    without = make(negatives=[Segment(name(1000), 200, 1)], augment=AugmentConfig(**UNCHANGED))
    assert abs(int(without.make([Draw("negative", 0, 0)]).features[0, 0, 0]) - 200) <= CROP // 2


def test_a_share_of_the_negatives_are_cut_ups(make: Make) -> None:
    """Frames count up by one within a recording: where they jump, two stretches were joined."""
    off = AugmentConfig(**UNCHANGED)
    batches = replace(BATCHES, cut_up_share=0.4)
    some = make(negatives=[Segment(name(1000), 400), Segment(name(120), 0)], augment=off, batches=batches)
    draws = [Draw("negative", 0, seed) for seed in range(800)]
    features, labels = some.make(draws)
    steps = np.diff(features[:, 0], axis=1)
    jumps = (np.abs(steps) > 1).sum(axis=1)
    assert (jumps > 0).mean() == pytest.approx(0.4, abs=0.06)
    assert (labels == BACKGROUND).all()
    plain = make(negatives=[Segment(name(1000), 400)], augment=None, batches=batches).make(draws[:50])
    assert (np.abs(np.diff(plain.features[:, 0], axis=1)) <= 1).all()


def test_a_share_of_the_negatives_are_near_words(make: Make) -> None:
    """Negatives are frames above 200 of a long recording; a near-word is of the positive, frames below 120."""
    off = AugmentConfig(**UNCHANGED)
    some = make(negatives=[Segment(name(1000), 400)], augment=off, batches=replace(BATCHES, near_word_share=0.25))
    features, labels = some.make([Draw("negative", 0, seed) for seed in range(800)])
    near = features[:, 0].min(axis=1) < 120
    assert near.mean() == pytest.approx(0.25, abs=0.04)
    assert (labels == BACKGROUND).all()
    for crop in features[near]:
        said = crop[0][(crop[0] >= 30) & (crop[0] < 90)].astype(int).tolist()
        assert said and said != list(range(30, 90))
    positives = some.make([Draw("positive", 0, seed) for seed in range(50)])
    assert all(KEYWORD in row for row in positives.labels)


def test_near_words_need_a_positive(make: Make, cache: FeatureCache) -> None:
    many = replace(BATCHES, near_word_share=0.5)
    maker = ExampleMaker(cache, [], [Segment(name(1000), 400)], [], many, AugmentConfig(**UNCHANGED), WINDOW)
    assert maker.make([Draw("negative", 0, seed) for seed in range(20)]).features.min() > 200


@pytest.mark.parametrize(
    ("frames", "window", "firsts"),
    [
        (1000, 300, range(250, 301)),  # anywhere in the crop of 150 frames
        (1000, 900, range(850, 851)),  # the recording's last window: no padding
        (1000, 880, range(830, 851)),
        (1000, 20, range(0, 21)),
        (120, 10, range(-30, 1)),  # a recording shorter than the crop is all in it
        (120, -40, range(-90, -39)),  # a window that reaches past the recording, as a padded scan finds
    ],
)
def test_a_hard_negatives_window_lies_anywhere_in_its_crop(make: Make, frames: int, window: int, firsts: range) -> None:
    maker = make(hard=[Segment(name(frames), window)])
    found: list[int] = []
    for seed in range(60 * len(firsts)):
        features, labels = maker.make([Draw("hard", 0, seed)])
        assert (labels == BACKGROUND).all()
        row = features[0, 0].astype(int)
        marker = 25  # a frame that is no padding, which is of the quietest tenth, and lies in every crop here
        at, value = (0, row[0]) if frames == 1000 else (int(np.flatnonzero(row == marker)[0]), marker)
        found.append(value - at)
    counts = np.bincount(np.array(found) - firsts.start, minlength=len(firsts))
    assert counts.size == len(firsts)  # nowhere else
    assert counts.tolist() == pytest.approx([60] * len(firsts), abs=32)


DRAWS = [Draw("positive", 0, 11), Draw("negative", 2, 12), Draw("negative", 0, 13), Draw("positive", 0, 14)]


def test_a_batch_is_a_function_of_its_draws(make: Make, cache: FeatureCache) -> None:
    places = segments(name(9), 700, CROP)
    options: dict[str, Any] = {"negatives": places, "backgrounds": places[2:], "augment": AugmentConfig()}
    options["positives"] = [Positive(name(9), Span(300, 360))]
    maker = make(**options)
    first = maker.make(DRAWS)
    for seed in range(5):
        maker.make([Draw("negative", 1, seed)])
    again = maker.make(DRAWS)
    cache.reset()  # whether features come from memory or from disk
    elsewhere = make(**options).make(DRAWS)
    for other in (again, elsewhere):
        np.testing.assert_array_equal(first.features, other.features)
        np.testing.assert_array_equal(first.labels, other.labels)
    reseeded = maker.make([draw._replace(seed=draw.seed + 100) for draw in DRAWS])
    assert (reseeded.features != first.features).any()
    assert first.features.dtype == np.float32 and first.labels.dtype == np.int64
    assert np.isfinite(first.features).all()


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_shares_are_the_batch_of_one_process(make: Make, processes: int) -> None:
    """More examples than are computed at once, in shares that are not all as large."""
    places = segments(name(9), 700, CROP)
    maker = make([Positive(name(9), Span(300, 360))], negatives=places, backgrounds=places, augment=AugmentConfig())
    draws = [Draw("positive" if seed % 3 else "negative", 0, seed) for seed in range(37)]
    whole = maker.make(draws)
    for number in range(processes):
        part = maker.make(draws, Share(number, processes))
        np.testing.assert_array_equal(part.labels, whole.labels[number::processes])
        np.testing.assert_allclose(part.features, whole.features[number::processes], atol=1e-5, rtol=0)


def test_validation_is_left_as_it_is(make: Make) -> None:
    plain = make(backgrounds=[Segment(name(9), 0)]).make(DRAWS)
    assert (plain.features == np.round(plain.features)).all()  # the frame numbers themselves
    off = AugmentConfig(**UNCHANGED)
    np.testing.assert_array_equal(make(augment=off).make(DRAWS).features, plain.features)
    many = replace(BATCHES, near_word_share=0.5)
    np.testing.assert_array_equal(make(batches=many, variants=Table(0.8)).make(DRAWS).features, plain.features)


def test_augmentation_moves_features_and_not_labels(make: Make) -> None:
    plain = make().make(DRAWS)
    for change in ({"gain_db": 6.0}, {"time_masks": 3}, {"mel_masks": 3}, {"tilt_db": 6.0}):
        augmented = make(augment=AugmentConfig(**(UNCHANGED | change))).make(DRAWS)
        assert (augmented.features != plain.features).any()
        np.testing.assert_array_equal(augmented.labels, plain.labels)


def test_background_is_added_to_some_of_the_examples(cache: FeatureCache) -> None:
    """A silent negative under noise becomes the noise, at the ratio of 0 dB."""
    cache.put(name(5), np.full((MELS, 400), -8.0, np.float32))
    mixing = AugmentConfig(**(UNCHANGED | {"background_share": 0.5}), snr_low_db=0.0, snr_high_db=0.0)
    silent = [Segment(name(5), 0)]
    maker = ExampleMaker(cache, [], silent, [Segment(name(9), 0)], BATCHES, mixing, WINDOW)
    features = maker.make([Draw("negative", 0, seed) for seed in range(200)]).features
    mixed = features.std(axis=(1, 2)) > 0.1
    assert 0.3 < mixed.mean() < 0.7
    np.testing.assert_allclose(features[~mixed], -8.0, atol=1e-5)
    assert features[mixed].min() >= -8.0 - 1e-5


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"size": 1}, "size must be at least 2"),
        ({"extra_s": -0.1}, "not negative"),
        ({"tail_s": -0.1}, "not negative"),
        ({"near_word_share": 0.6}, r"near_word_share must lie in \[0, 0.5\], not 0.6"),
        ({"near_word_share": -0.1}, "near_word_share"),
        ({"workers": -1}, "cannot be negative"),
        ({"validation_workers": -1}, "cannot be negative"),
        ({"prefetch": 0}, "prefetch must be at least 1"),
    ],
)
def test_the_configuration_is_validated(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        BatchConfig(**changes)


@pytest.mark.parametrize("source", ["positive", "negative", "hard"])
def test_examples_have_a_tempo_of_their_own_with_the_labels_at_the_word(make: Make, source: Source) -> None:
    """Features say which frame they are: their slope is the tempo; the first window that counts ends with the word."""
    options: dict[str, Any] = {"negatives": [Segment(name(1000), 400)], "hard": [Segment(name(1000), 400)]}
    maker = make(augment=AugmentConfig(**(UNCHANGED | {"tempo_percent": 25.0})), **options)
    features, labels = maker.make([Draw(source, 0, seed) for seed in range(200)])
    slopes = []
    for frames, label in zip(features[:, 0], labels, strict=True):
        inside = np.flatnonzero(np.diff(frames) > 0.5) if source == "positive" else np.arange(10, 100)
        slopes.append(float(np.median(np.diff(frames[inside]))))
        if source == "positive" and label[0] != KEYWORD and (label == KEYWORD).any():
            end = POSITION_FRAMES * int(np.argmax(label == KEYWORD)) + WINDOW - 1
            assert frames[end] == pytest.approx(89, abs=4)
    assert 0.79 <= min(slopes) < 0.86 and 1.17 < max(slopes) <= 1.26
    assert np.mean(np.array(slopes) > 1) == pytest.approx(0.5, abs=0.15)


def test_the_tempo_is_a_function_of_the_draws(make: Make) -> None:
    maker = make(augment=AugmentConfig())
    draws = [Draw("positive", 0, seed) for seed in range(20)]
    np.testing.assert_array_equal(maker.make(draws).features, maker.make(draws).features)
