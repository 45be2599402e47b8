"""The ratio holds in every batch, an epoch covers the largest class, and (seed, epoch) say it all."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from uyan.data.sampler import SOURCES, BalancedBatchSampler, Draw, quotas
from uyan.errors import ConfigError, DataError

RATIOS = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 4))
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60))


def batches_of(sampler: BalancedBatchSampler, epoch: int = 0) -> list[list[Draw]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def items(batches: list[list[Draw]], source: str) -> Counter[int]:
    return Counter(draw.item for draw in chain(*batches) if draw.source == source)


@given(st.integers(0, 300), RATIOS)
def test_quotas_fill_the_batch_and_are_the_nearest_whole_numbers(batch_size: int, ratio: tuple[int, ...]) -> None:
    found = quotas(batch_size, ratio)
    assert sum(found) == batch_size
    exact = [batch_size * share / sum(ratio) for share in ratio]
    assert all(abs(count - value) < 1 for count, value in zip(found, exact, strict=True))
    rounded_up = [value % 1 for count, value in zip(found, exact, strict=True) if count > value]
    rounded_down = [value % 1 for count, value in zip(found, exact, strict=True) if count < value]
    assert min(rounded_up, default=1.0) >= max(rounded_down, default=0.0) - 1e-9  # to the largest fractions


@pytest.mark.parametrize(
    ("batch_size", "ratio", "found"),
    [
        (96, (1, 1, 1), (32, 32, 32)),
        (100, (1, 1, 1), (34, 33, 33)),
        (101, (1, 1, 1), (34, 34, 33)),
        (10, (1, 2, 1), (3, 5, 2)),  # 2.5, 5, 2.5: of equal fractions the first
        (96, (1, 2, 0), (32, 64, 0)),
    ],
)
def test_quotas_worked_by_hand(batch_size: int, ratio: tuple[int, ...], found: tuple[int, ...]) -> None:
    assert quotas(batch_size, ratio) == found


@settings(max_examples=50)
@given(SIZES, st.integers(3, 40), RATIOS, st.integers(0, 99), st.integers(0, 9))
def test_every_batch_has_the_ratio_and_the_epoch_covers_the_largest_class(
    sizes: tuple[int, ...], batch_size: int, ratio: tuple[int, ...], seed: int, epoch: int
) -> None:
    positive, negative, hard = ratio
    wanted = quotas(batch_size, ratio if sizes[2] else (positive, negative + hard, 0))
    assume(min(wanted[:2]) > 0)
    sampler = BalancedBatchSampler(sizes, batch_size, ratio, seed)
    batches = batches_of(sampler, epoch)
    assert len(batches) == len(sampler)
    for batch in batches:
        assert tuple(Counter(draw.source for draw in batch)[source] for source in SOURCES) == wanted
    used = {source: size for source, size, quota in zip(SOURCES, sizes, wanted, strict=True) if quota}
    for source, size in used.items():
        drawn = items(batches, source)
        counts = [drawn[item] for item in range(size)]
        assert sum(counts) == drawn.total()  # no item that is not there
        assert max(counts) - min(counts) <= 1
    largest = max(used, key=lambda source: used[source])
    quota = wanted[SOURCES.index(largest)]
    assert len(batches) == -(-used[largest] // quota)  # the whole class, and not a batch more
    assert set(items(batches, largest)) == set(range(used[largest]))


def test_without_hard_negatives_the_negatives_have_their_share() -> None:
    (batch, *_) = batches_of(BalancedBatchSampler((100, 100, 0), 96, (1, 1, 1)))
    assert Counter(draw.source for draw in batch) == {"positive": 32, "negative": 64}


def test_a_class_no_batch_has_room_for_does_not_lengthen_the_epoch() -> None:
    assert len(BalancedBatchSampler((10, 10, 1000), 20, (1, 1, 0))) == 1


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int = 1, epoch: int = 0) -> list[list[Draw]]:
        return batches_of(BalancedBatchSampler((30, 50, 20), 12, seed=seed), epoch)

    assert order() == order()
    others = [order(seed=2), order(epoch=1)]
    first = order()
    for other in others:
        assert [[draw.item for draw in batch] for batch in other] != [[draw.item for draw in batch] for batch in first]
        assert not {draw.seed for draw in chain(*other)} & {draw.seed for draw in chain(*first)}


def test_iterating_again_gives_the_same_epoch_and_a_new_epoch_another() -> None:
    sampler = BalancedBatchSampler((30, 50, 20), 12)
    first, again = list(sampler), list(sampler)
    assert first == again
    assert batches_of(sampler, 1) != first
    assert batches_of(sampler, 0) == first


def test_every_draw_has_a_seed_of_its_own() -> None:
    draws = list(chain(*batches_of(BalancedBatchSampler((200, 500, 100), 60))))
    assert len({draw.seed for draw in draws}) == len(draws)


@settings(max_examples=50)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), min_size=2, max_size=60), st.integers(0, 9))
def test_items_are_drawn_by_their_weights(weights: list[float], epoch: int) -> None:
    assume(any(weights))
    positive = np.array(weights, np.float32)
    sampler = BalancedBatchSampler(
        (len(weights), 300, 0), 30, weights=[positive, np.ones(300, np.float32), positive[:0]]
    )
    batches = batches_of(sampler, epoch)
    drawn = items(batches, "positive")
    total = drawn.total()
    assert total == sum(sampler.quotas[:1]) * len(batches)
    for weight in set(weights):
        alike = [i for i, each in enumerate(weights) if each == weight]
        counts = [drawn[i] for i in alike]
        assert max(counts) - min(counts) <= 1
        assert abs(sum(counts) - total * weight * len(alike) / sum(weights)) < 1


def test_equal_weights_change_nothing() -> None:
    weights = [np.full(size, 0.3, np.float32) for size in (30, 50, 20)]
    assert list(BalancedBatchSampler((30, 50, 20), 12, weights=weights)) == list(BalancedBatchSampler((30, 50, 20), 12))


def test_what_cannot_be_balanced_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights of all positives, or of all negatives, are 0"):
        BalancedBatchSampler((5, 5, 0), 4, weights=[np.ones(5, np.float32), np.zeros(5, np.float32), np.ones(0)])
    for sizes in ((0, 10, 0), (10, 0, 10)):
        with pytest.raises(DataError, match=f"there are {sizes[0]} positives and {sizes[1]} negatives"):
            BalancedBatchSampler(sizes, 12)
    for ratio in ((0, 1, 1), (1, 0, 1), (1, 1, -1)):
        with pytest.raises(ConfigError, match=r"batches\.ratio needs positives and negatives"):
            BalancedBatchSampler((10, 10, 10), 12, ratio)
    with pytest.raises(ConfigError, match="seed cannot be negative, as -1 is"):
        BalancedBatchSampler((10, 10, 10), 12, seed=-1)
    with pytest.raises(ConfigError, match="size 3 is too small"):
        BalancedBatchSampler((10, 10, 10), 3, (1, 9, 1))
