"""What is made in one step on the device is what an ExampleMaker makes: crops, labels, shares and spread."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.loader import TensorBatch
from uyan.data.locate import Span
from uyan.data.placing import BACKGROUND, IGNORED, KEYWORD
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.resident_loader import ResidentLoader, ResidentMaker
from uyan.data.resident.takes import Takes
from uyan.data.sampler import BalancedBatchSampler, Draw, Source
from uyan.data.share import Share
from uyan.errors import DataError
from uyan.frontend import FrontendConfig

WINDOW, MELS, CROP = 100, 64, 150
OFF = AugmentConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0, 12, 0, 10, 0.0, 0.0)
PLAIN = BatchConfig(near_word_share=0.0, cut_up_share=0.0)
CPU = torch.device("cpu")
Make = Callable[..., ExampleMaker]


def name(number: int) -> str:
    return f"{number:040x}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """Recordings by their length, each frame with its own number, exact in fp16; 9 is noise."""
    cache = FeatureCache(tmp_path_factory.mktemp("cache"), FrontendConfig())
    for frames in (30, 120, 150, 400, 1000, 1800):
        cache.put(name(frames), np.tile(np.arange(frames, dtype=np.float32), (MELS, 1)))
    cache.put(name(9), np.random.default_rng(9).normal(-8, 2, (MELS, 700)).astype(np.float32))
    return cache


@pytest.fixture(scope="module")
def make(cache: FeatureCache) -> Make:
    def build(augment: AugmentConfig | None = OFF, batches: BatchConfig = PLAIN, **more: Any) -> ExampleMaker:
        given: dict[str, Any] = {
            "positives": [Positive(name(1000), Span(400, 460))],
            "negatives": [Segment(name(1000), 500)],
            "backgrounds": [],
        } | more
        places = [given.pop(which) for which in ("positives", "negatives", "backgrounds")]
        return ExampleMaker(cache, *places, batches, augment, WINDOW, **given)

    return build


def on_device(maker: ExampleMaker, spare_frames: int = 0) -> ResidentMaker:
    return ResidentMaker(maker, ResidentFeatures(maker.cache, Takes([maker]), CPU, spare_frames))


def draws_of(source: Source, count: int) -> list[Draw]:
    return [Draw(source, 0, seed) for seed in range(count)]


def both(maker: ExampleMaker, draws: list[Draw]) -> tuple[TensorBatch, TensorBatch]:
    """Batches as they are made on the device, and one by one."""
    theirs = maker.make(draws)
    return on_device(maker).make(draws), (torch.from_numpy(theirs.features), torch.from_numpy(theirs.labels))


@pytest.mark.parametrize("augment", [None, OFF], ids=["validation", "training"])
def test_where_nothing_is_left_to_chance_batches_are_equal(make: Make, augment: AugmentConfig | None) -> None:
    """One window a crop and no tail leave a word one place, a recording as long as the crop has one place as well."""
    draws = [*draws_of("positive", 3), *draws_of("negative", 3), *draws_of("hard", 3)]
    batches = replace(PLAIN, extra_s=0.0, tail_s=0.0)
    for batch in (batches, replace(batches, extra_s=0.5)):
        whole = {"negatives": [Segment(name(150), 0)], "hard": [Segment(name(150), 7)]} if batch.extra_s else {}
        chosen = draws if batch is batches else draws[3:]
        whole = whole or {"negatives": [Segment(name(120), 0)], "hard": [Segment(name(1000), 220)]}
        chosen = chosen if batch.extra_s else [draw for draw in chosen if draw.source != "negative"]
        (features, labels), (their_features, their_labels) = both(make(augment, batch, **whole), chosen)
        assert torch.equal(features, their_features)
        assert torch.equal(labels, their_labels)
        assert features.dtype == torch.float32 and labels.dtype == torch.int64


@pytest.mark.parametrize("tempo_percent", [0.0, 25.0])
@pytest.mark.parametrize("length", [120, 1000])
def test_words_are_placed_alike(make: Make, tempo_percent: float, length: int) -> None:
    word = Span(30, 90) if length == 120 else Span(400, 460)
    maker = make(replace(OFF, tempo_percent=tempo_percent), positives=[Positive(name(length), word)])
    (features, labels), (their_features, their_labels) = both(maker, draws_of("positive", 4000))
    for label in (KEYWORD, BACKGROUND, IGNORED):
        found, expected = ((each == label).float().mean(dim=0) for each in (labels, their_labels))
        torch.testing.assert_close(found, expected, atol=0.04, rtol=0)
    assert (labels == KEYWORD).any(dim=1).all()
    # Where in the recording each moment of a crop is, and how different crops are there.
    for statistic in (torch.mean, torch.std):
        found, expected = (statistic(each[:, 0], dim=0) for each in (features, their_features))
        torch.testing.assert_close(found, expected, atol=3.5, rtol=0)


def test_the_frames_under_a_keyword_label_hold_the_word(make: Make) -> None:
    maker = make(positives=[Positive(name(120), Span(30, 90))])
    features, labels = on_device(maker).make(draws_of("positive", 200))
    for crop, row in zip(features[:, 0], labels, strict=True):
        for position in torch.nonzero(row == KEYWORD).ravel().tolist():
            window = crop[2 * position :][:WINDOW]
            (at,) = torch.nonzero(window == 30).ravel().tolist()
            assert window[at : at + 60].tolist() == list(range(30, 90))


@pytest.mark.parametrize(
    ("source", "more"),
    [
        ("negative", {"negatives": [Segment(name(1000), 500)]}),
        ("negative", {"negatives": [Segment(name(30), 0)]}),
        ("hard", {"hard": [Segment(name(1000), 300)]}),
        ("hard", {"hard": [Segment(name(1000), 890)]}),
        ("hard", {"hard": [Segment(name(120), -15)], "negatives": [Segment(name(120), 0)]}),
    ],
)
@pytest.mark.parametrize("tempo_percent", [0.0, 25.0])
def test_negatives_are_placed_alike(make: Make, source: Source, more: dict[str, Any], tempo_percent: float) -> None:
    maker = make(replace(OFF, tempo_percent=tempo_percent), **more)
    (features, labels), (their_features, _) = both(maker, draws_of(source, 4000))
    assert (labels == BACKGROUND).all()
    for statistic in (torch.mean, torch.std):
        found, expected = (statistic(each[:, 0], dim=0) for each in (features, their_features))
        torch.testing.assert_close(found, expected, atol=3.0, rtol=0.02)


class Taken(NamedTuple):
    key: str
    stretch: float


class Table:
    """Every variant of a recording of 120 frames is the one of 400, stretched by 1.5."""

    def take(self, sha1: str, number: int) -> Taken:
        return Taken(sha1, 1.0) if number == 0 else Taken(name(400), 1.5)


def test_variants_come_as_often_and_with_their_words_stretched(make: Make) -> None:
    """Of a word in frames 30-89, stretched by 1.5, it is 45-134 of the variant."""
    batches = replace(PLAIN, extra_s=0.0, tail_s=0.0)
    maker = make(OFF, batches, positives=[Positive(name(120), Span(30, 90), 3)], variants=Table())
    features, labels = on_device(maker).make(draws_of("positive", 2000))
    assert (labels == KEYWORD).all()
    last = features[:, 0, -1]
    assert set(last.tolist()) == {89, 134}
    assert (last == 89).float().mean().item() == pytest.approx(0.5, abs=0.04)
    plain, _ = on_device(make(None, batches, positives=[Positive(name(120), Span(30, 90), 3)])).make(
        draws_of("positive", 50)
    )
    assert set(plain[:, 0, -1].tolist()) == {89}


def test_shares_of_cut_ups_and_near_words(make: Make) -> None:
    """Negatives are frames above 800 of a long recording; a near-word is of the positive, frames below 120."""
    given = {"positives": [Positive(name(120), Span(30, 90))], "negatives": [Segment(name(1800), 1200)]}
    batches = replace(PLAIN, near_word_share=0.25, cut_up_share=0.4)
    (features, labels), (their_features, _) = both(make(OFF, batches, **given), draws_of("negative", 3000))
    assert (labels == BACKGROUND).all()
    for found in (features, their_features):
        near = found[:, 0].amin(dim=1) < 120
        assert near.float().mean().item() == pytest.approx(0.25, abs=0.03)
        jumps = (found[~near][:, 0].diff(dim=1) != 1).any(dim=1)
        assert jumps.float().mean().item() == pytest.approx(0.4, abs=0.04)
    for crop in features[features[:, 0].amin(dim=1) < 120]:
        said = crop[0][(crop[0] >= 30) & (crop[0] < 90)].int().tolist()
        assert said and said != list(range(30, 90))
    validation, _ = on_device(make(None, batches, **given)).make(draws_of("negative", 100))
    assert (validation[:, 0].diff(dim=1) == 1).all()


def test_everything_together_has_the_same_spread(make: Make, cache: FeatureCache) -> None:
    places = [Segment(name(9), start) for start in (0, 150, 300, 450)]
    maker = make(
        AugmentConfig(),
        BatchConfig(),
        positives=[Positive(name(9), Span(300, 360))],
        negatives=places,
        backgrounds=places[2:],
        hard=[Segment(name(9), 200)],
    )
    draws = [Draw(source, 0, seed) for seed in range(400) for source in ("positive", "negative", "hard")]  # type: ignore[arg-type]
    (features, labels), (their_features, their_labels) = both(maker, draws)
    assert torch.isfinite(features).all()
    for statistic in (torch.mean, torch.std):
        found, expected = (statistic(each, dim=(0, 2)) for each in (features, their_features))
        torch.testing.assert_close(found, expected, atol=0.12, rtol=0)
    between = [each.mean(dim=(1, 2)).std() for each in (features, their_features)]
    torch.testing.assert_close(*between, atol=0.1, rtol=0)
    torch.testing.assert_close(
        (labels == KEYWORD).float().mean(), (their_labels == KEYWORD).float().mean(), atol=0.02, rtol=0
    )


def test_a_batch_is_a_function_of_its_draws(make: Make) -> None:
    options: dict[str, Any] = {"negatives": [Segment(name(9), 0), Segment(name(9), 300)], "hard": [Segment(name(9), 5)]}
    options |= {"backgrounds": options["negatives"], "positives": [Positive(name(9), Span(300, 360))]}
    draws = [Draw("hard", 0, 11), Draw("negative", 1, 12), Draw("positive", 0, 14), Draw("negative", 0, 13)]
    maker = on_device(make(AugmentConfig(), BatchConfig(), **options))
    first = maker.make(draws)
    maker.make(draws[1:])
    elsewhere = on_device(make(AugmentConfig(), BatchConfig(), **options))
    for again in (maker.make(draws), elsewhere.make(draws)):
        assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    reseeded = maker.make([draw._replace(seed=draw.seed + 1) for draw in draws])
    assert not torch.equal(first[0], reseeded[0])


def test_windows_of_recordings_that_are_only_mined_are_read_around(make: Make) -> None:
    """Of 1800 frames no more than crops around the window can hear; another pool takes the place of the one before."""
    hard = [Segment(name(1800), 700), Segment(name(1000), 300), Segment(name(30), -40)]
    maker = make(replace(OFF, tempo_percent=25.0), hard=hard)
    resident = ResidentFeatures(maker.cache, Takes([maker]), CPU, spare_frames=400)
    made = ResidentMaker(maker, resident)
    assert resident.layout.frames.tolist() == [1000, 2 * maker.longest_frames - WINDOW, 30]
    draws = [Draw("hard", item, seed) for item in (0, 1, 2) for seed in range(1000)]
    found, expected = made.make(draws)[0][:, 0], torch.from_numpy(maker.make(draws).features)[:, 0]
    for part in (slice(0, 1000), slice(1000, 2000), slice(2000, 3000)):
        for statistic in (torch.mean, torch.std):
            ours, theirs = (statistic(crops[part], dim=0) for crops in (found, expected))
            torch.testing.assert_close(ours, theirs, atol=3.0, rtol=0)
    before = resident.layout.frames
    ResidentMaker(make(hard=[Segment(name(400), 100)]), resident)
    assert resident.layout.frames.tolist() == [1000, 200]  # of a crop of 150, without changes of tempo
    ResidentMaker(maker, resident)
    assert resident.layout.frames.tolist() == before.tolist()
    with pytest.raises(DataError, match="no room for 3 windows"):
        ResidentMaker(make(hard=[Segment(name(1800), 300 * number) for number in range(3)]), resident)


def test_the_loader_goes_by_any_sampler(make: Make) -> None:
    maker = on_device(make(hard=[Segment(name(9), 0)], negatives=[Segment(name(9), 0)] * 30))
    order = BalancedBatchSampler((1, 30, 1), 6)
    loader = ResidentLoader(maker, order)
    assert len(loader) == len(order)
    epochs = []
    for epoch in (0, 1, 0):
        order.set_epoch(epoch)
        epochs.append([features for features, _ in loader])
        expected = [maker.make(draws)[0] for draws in order]
        assert all(torch.equal(*pair) for pair in zip(epochs[-1], expected, strict=True))
    assert torch.equal(epochs[0][0], epochs[2][0]) and not torch.equal(epochs[0][0], epochs[1][0])


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_shares_are_the_batch_of_one_process(make: Make, processes: int) -> None:
    """Everything that is drawn at random is at work; the last shares of 20 are smaller."""
    noise = [Segment(name(9), 200)]
    more = {"positives": [Positive(name(9), Span(300, 360))], "negatives": noise, "backgrounds": noise, "hard": noise}
    maker = on_device(make(AugmentConfig(), BatchConfig(cut_up_share=0.5, near_word_share=0.3), **more))
    draws = [*draws_of("positive", 7), *draws_of("negative", 7), *draws_of("hard", 6)]
    whole = maker.make(draws)
    for number in range(processes):
        part = maker.make(draws, Share(number, processes))
        for ours, all_of_it in zip(part, whole, strict=True):
            torch.testing.assert_close(ours, all_of_it[number::processes], atol=1e-5, rtol=0)


def test_features_that_are_missing_are_named(make: Make) -> None:
    with pytest.raises(DataError, match=name(77)):
        Takes([make(negatives=[Segment(name(77), 0)])])
