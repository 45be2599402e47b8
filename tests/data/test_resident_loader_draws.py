"""What is drawn at random comes as often on the device as from the loader: which recording, variant, kind and place.

Features say themselves what they are: every frame carries the number of its recording or variant, and its own.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.locate import Span
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.resident_loader import ResidentMaker
from uyan.data.resident.takes import Takes
from uyan.data.sampler import Draw, Source
from uyan.frontend import FrontendConfig

WINDOW, MELS, AT_ONCE = 100, 64, 500
OFF = AugmentConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0, 12, 0, 10, 0.0, 0.0)
PLAIN = BatchConfig(near_word_share=0.0, cut_up_share=0.0)
STRETCH = 1.25
"""Of variants with an even number."""
UNLIKELY = 1e-3
WORDS = {10: Span(170, 230), 20: Span(150, 220), 30: Span(180, 220)}
POSITIVES = [
    Positive(f"{code:040x}", word, count) for (code, word), count in zip(WORDS.items(), (3, 0, 2), strict=True)
]
NEGATIVES = [
    Segment(f"{code:040x}", start, count)
    for code, start, count in ((40, 100, 2), (50, 300, 0), (60, 450, 3), (70, 250, 1))
]
HARD = [Segment(f"{code:040x}", start) for code, start in ((40, 200), (50, 0), (60, 480), (40, 350))]
FIRST_NEGATIVE = 40
SHORT, SHORT_WORD, QUIET = 5, Span(20, 80), 90


class Taken(NamedTuple):
    key: str
    stretch: float


class Table:
    """Variant 3 of recording 40 is 43."""

    def take(self, sha1: str, number: int) -> Taken:
        return Taken(f"{int(sha1, 16) + number:040x}", STRETCH if number and number % 2 == 0 else 1.0)


def numbered(code: int, frames: int, level: float = 0.0) -> NDArray[np.float32]:
    """Features (mels, frames): mel 0 is the code, mel 1 the frame, all exact in fp16."""
    features = np.full((MELS, frames), level, np.float32)
    features[0], features[1] = code, np.arange(frames)
    return features


def noise(code: int) -> NDArray[np.float32]:
    """Features (mels, 600): one mel below 20 tells the recording, one above it which score of frames it is."""
    features = np.full((MELS, 600), -20.0, np.float32)
    features[code, :] = 0.0
    features[20 + np.arange(600) // 20, np.arange(600)] = 0.0
    return features


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    cache = FeatureCache(Path(tmp_path_factory.mktemp("cache")), FrontendConfig())
    with cache.writer() as writer:
        for item, frames in [*((p, 400) for p in POSITIVES), *((n, 600) for n in NEGATIVES)]:
            for number in range(1 + item.variants):
                key, stretch = Table().take(item.sha1, number)
                writer.add(key, numbered(int(key, 16), round(frames * stretch)))
        writer.add(f"{SHORT:040x}", numbered(SHORT, 100))
        writer.add(f"{QUIET:040x}", numbered(QUIET, 600, level=-1000.0))
        for code in (1, 2, 3):
            writer.add(f"{code:040x}", noise(code))
        writer.add(f"{4:040x}", np.full((MELS, 400), -10.0, np.float32))
    return cache


def maker_of(
    cache: FeatureCache,
    augment: AugmentConfig = OFF,
    batches: BatchConfig = PLAIN,
    *,
    positives: Sequence[Positive] = POSITIVES,
    negatives: Sequence[Segment] = NEGATIVES,
    backgrounds: Sequence[Segment] = (),
    hard: Sequence[Segment] = (),
) -> ExampleMaker:
    return ExampleMaker(
        cache,
        positives,
        negatives,
        backgrounds,
        batches,
        augment,
        WINDOW,
        hard=hard,
        variants=Table(),  # type: ignore[arg-type]
    )


def of_both(maker: ExampleMaker, source: Source, count: int, mels: int = 2) -> list[NDArray[np.float32]]:
    """`count` crops, each item as often, (crops, mels, frames) of the first mels: on the device, by the loader."""
    items = len(maker.sources[source])
    draws = [Draw(source, number % items, number) for number in range(count)]
    resident = ResidentMaker(maker, ResidentFeatures(maker.cache, Takes([maker]), torch.device("cpu")))
    ways: list[Callable[[list[Draw]], NDArray[np.float32]]] = [
        lambda some: resident.make(some)[0].numpy(),
        lambda some: maker.make(some).features,
    ]
    parts = [draws[start : start + AT_ONCE] for start in range(0, count, AT_ONCE)]
    return [np.concatenate([way(part)[:, :mels].copy() for part in parts]) for way in ways]


def assert_alike(found: Sequence[Hashable], expected: Sequence[Hashable], kinds: int) -> None:
    """So many kinds occur, each as often in both as chance allows."""
    ours, theirs = Counter(found), Counter(expected)
    assert len(ours | theirs) == kinds
    table = np.array([[counts[kind] for kind in ours | theirs] for counts in (ours, theirs)])
    assert chi2_contingency(table).pvalue > UNLIKELY, (ours, theirs)


class Near(NamedTuple):
    """A near-word that was made of a positive."""

    code: int
    kind: int
    """As in `near_words.near_word`."""
    kept: float
    """Share of the word that is heard."""
    other: int
    """Whose the other speech in it is; -1 for none."""


def near(crop: NDArray[np.float32]) -> Near:
    """What a crop (2, frames) is, of positives so long that nothing is padded."""
    codes, frames = crop.astype(int)
    spoken = codes < FIRST_NEGATIVE
    (code,) = set(codes[spoken].tolist())
    stretch = STRETCH if code % 10 and code % 2 == 0 else 1.0
    said = WORDS[code - code % 10]
    start, end = round(said.start * stretch), round(said.end * stretch)
    word = frames[spoken & (frames >= start) & (frames < end)]
    kept = len(word) / (end - start)
    if not spoken.all():
        (other,) = set(codes[~spoken].tolist())
        return Near(code, 2 if spoken[0] else 3, kept, other)
    if len(word) < end - start:
        return Near(code, 0 if word[0] == start else 1, kept, -1)
    return Near(code, 4 if word[0] == end - 1 else 5, kept, -1)


def test_positives_are_of_every_recording_variant_and_place(cache: FeatureCache) -> None:
    """Eight of them; a start differs by the position and by how long ago the word ended."""
    ours, theirs = of_both(maker_of(cache), "positive", 6000)
    for crops in (ours, theirs):
        assert (np.diff(crops[:, 1]) == 1).all() and (np.diff(crops[:, 0]) == 0).all()
    assert_alike(*[crops[:, 0, 0].tolist() for crops in (ours, theirs)], kinds=8)
    places = [[(code, start // 30) for code, start in crops[:, :, 0].tolist()] for crops in (ours, theirs)]
    assert_alike(*places, kinds=len(set(places[1])))


@pytest.mark.parametrize(("source", "codes"), [("negative", 10), ("hard", 3)])
def test_negatives_are_of_every_recording_variant_and_place(cache: FeatureCache, source: Source, codes: int) -> None:
    ours, theirs = of_both(maker_of(cache, hard=HARD), source, 6000)
    assert (np.diff(ours[:, 1]) == 1).all()
    assert_alike(*[crops[:, 0, 0].tolist() for crops in (ours, theirs)], kinds=codes)
    places = [[(code, start // 30) for code, start in crops[:, :, 0].tolist()] for crops in (ours, theirs)]
    assert_alike(*places, kinds=len(set(places[1])))


def test_cut_ups_are_of_any_two_cut_anywhere(cache: FeatureCache) -> None:
    batches = replace(PLAIN, cut_up_share=1.0)
    found = []
    for crops in of_both(maker_of(cache, batches=batches), "negative", 8000):
        jumps = (np.diff(crops[:, 0]) != 0) | (np.diff(crops[:, 1]) != 1)
        assert jumps.sum(axis=1).max() == 1
        ends = [(int(first), int(last)) for first, last in crops[:, 0, [0, -1]]]
        found.append((ends, (jumps.argmax(axis=1) // 15).tolist()))
    (ours, our_cuts), (theirs, their_cuts) = found
    for kinds, some in ((10, slice(0, 1)), (10, slice(1, 2)), (100, slice(2))):
        assert_alike([pair[some] for pair in ours], [pair[some] for pair in theirs], kinds)
    assert_alike(our_cuts, their_cuts, kinds=10)


def test_near_words_are_of_every_positive_kind_and_length(cache: FeatureCache) -> None:
    batches = replace(PLAIN, near_word_share=0.5)
    found = []
    for crops in of_both(maker_of(cache, batches=batches), "negative", 12_000):
        chosen = (crops[:, 0] < FIRST_NEGATIVE).any(axis=1)
        assert chosen.mean() == pytest.approx(0.5, abs=0.02)
        found.append([near(crop) for crop in crops[chosen]])
    ours, theirs = found
    assert_alike([each.kind for each in ours], [each.kind for each in theirs], kinds=6)
    assert_alike([each.code for each in ours], [each.code for each in theirs], kinds=8)
    assert_alike([each.other for each in ours], [each.other for each in theirs], kinds=11)
    kept = [[(each.kind, round(each.kept, 1)) for each in some] for some in found]
    assert_alike(*kept, kinds=4 * 3 + 2)


def test_near_words_are_padded_with_the_room_of_the_keyword(cache: FeatureCache) -> None:
    """However quiet other speech is: what is none of the keyword's is the other half's and nothing around it."""
    batches = replace(PLAIN, near_word_share=0.5)
    maker = maker_of(
        cache,
        batches=batches,
        positives=[Positive(f"{SHORT:040x}", SHORT_WORD)],
        negatives=[Segment(f"{QUIET:040x}", start) for start in (0, 200, 400)],
    )
    shares = []
    for crops in of_both(maker, "negative", 4000):
        codes = crops[(crops[:, 0] == SHORT).any(axis=1)][:, 0]
        assert set(np.unique(codes)) == {SHORT, QUIET}
        assert max((row == QUIET).sum() for row in codes) <= 100
        shares.append((codes == QUIET).mean())
    assert shares[0] == pytest.approx(shares[1], abs=0.01)


def test_background_is_any_recording_from_anywhere_and_as_loud(cache: FeatureCache) -> None:
    config = replace(OFF, background_share=0.6, snr_low_db=-45.0, snr_high_db=-35.0)
    places = [Segment(f"{code:040x}", start) for code, start in ((1, 0), (1, 300), (2, 200), (3, 450))]
    speech = f"{4:040x}"
    maker = maker_of(
        cache, config, positives=[Positive(speech, Span(170, 230))], negatives=[Segment(speech, 0)], backgrounds=places
    )
    found = []
    for crops in of_both(maker, "positive", 4000, MELS):
        mixed = crops[np.ptp(crops, axis=(1, 2)) > 1]
        assert len(mixed) / len(crops) == pytest.approx(0.6, abs=0.02)
        code, score = mixed[:, :20].argmax(axis=1), mixed[:, 20:].argmax(axis=1)
        start = 20 * score[:, 1] - (score == score[:, :1]).argmin(axis=1)
        assert (code == code[:, :1]).all()
        found.append((list(zip(code[:, 0].tolist(), (start // 20).tolist(), strict=True)), mixed.max(axis=(1, 2))))
    (ours, our_levels), (theirs, their_levels) = found
    assert_alike([code for code, _ in ours], [code for code, _ in theirs], kinds=3)
    assert_alike(ours, theirs, kinds=len(set(theirs)))
    for statistic in (np.mean, np.std, np.min, np.max):
        assert statistic(our_levels) == pytest.approx(statistic(their_levels), abs=0.03)
