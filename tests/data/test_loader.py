"""The same batches from any number of processes, within one budget of memory."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from uyan.data.augment import AugmentConfig
from uyan.data.cache import GIB, FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.loader import BATCHES_IN_WORK, ExampleDataset, TensorBatch, make_loader, worker_count
from uyan.data.locate import Span
from uyan.data.sampler import BalancedBatchSampler, Draw
from uyan.data.share import WHOLE, Share
from uyan.frontend import FrontendConfig

WINDOW, FRAMES, ITEMS = 30, 60, 8
ITEM_BYTES = 64 * FRAMES * 2
BATCHES = BatchConfig(size=6, extra_s=0.1, tail_s=0.1)


def name(number: int) -> str:
    return f"{number:040x}"


def maker_in(folder: Path, budget_gb: float = 0.1) -> ExampleMaker:
    cache, rng = FeatureCache(folder, FrontendConfig(), budget_gb), np.random.default_rng(3)
    for number in range(ITEMS):
        if name(number) not in cache:
            cache.put(name(number), rng.normal(-8, 2, (64, FRAMES)).astype(np.float32))
    positives = [Positive(name(number), Span(20, 40)) for number in range(ITEMS // 2)]
    negatives = [Segment(name(number), 0) for number in range(ITEMS // 2, ITEMS)]
    return ExampleMaker(cache, positives, negatives, negatives[:2], BATCHES, AugmentConfig(), WINDOW)


def sampler() -> BalancedBatchSampler:
    return BalancedBatchSampler((ITEMS // 2, ITEMS // 2, 0), BATCHES.size)


class WatchedMaker(ExampleMaker):
    """Makes, instead of examples, one row: the process's budget, what it holds, and how many threads it may use."""

    def make(self, draws: list[Draw], share: Share = WHOLE) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        super().make(draws, share)
        state = [self.cache._budget_bytes, self.cache._held_bytes, torch.get_num_threads(), os.getpid()]
        return np.array([state], np.float64), np.zeros(1, np.int64)


def epoch_of(maker: ExampleMaker, workers: int, epoch: int) -> list[TensorBatch]:
    order = sampler()
    loader = make_loader(maker, order, workers, prefetch=2, processes=1 + workers)
    assert len(loader) == len(order)
    order.set_epoch(epoch)
    return list(loader)


def test_batches_are_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    for epoch in (0, 1):
        here = epoch_of(maker_in(tmp_path), 0, epoch)
        assert here[0][0].shape == (6, 64, 40) and here[0][0].dtype == torch.float32
        assert here[0][1].shape == (6, 6) and here[0][1].dtype == torch.int64
        for workers in (1, 2):
            there = epoch_of(maker_in(tmp_path), workers, epoch)
            assert len(there) == len(here)
            for (features, labels), (other_features, other_labels) in zip(here, there, strict=True):
                assert torch.equal(features, other_features)
                assert torch.equal(labels, other_labels)


def test_workers_share_the_budget_and_start_with_nothing(tmp_path: Path) -> None:
    working_bytes = (2 + BATCHES_IN_WORK) * BATCHES.size * maker_in(tmp_path).example_bytes
    plain = maker_in(tmp_path, (4 * (ITEM_BYTES + working_bytes) + 0.5) / GIB)
    maker = WatchedMaker(
        plain.cache,
        plain.sources["positive"],
        plain.sources["negative"],
        [],
        BATCHES,
        None,
        WINDOW,  # type: ignore[arg-type]
    )
    for number in range(4):
        maker.cache.get(name(number))
    states = torch.cat([features for features, _ in make_loader(maker, sampler(), 1, prefetch=2, processes=4)])
    budget, held, threads, process = states.T.tolist()
    assert set(budget) == {ITEM_BYTES}
    assert set(held) == {ITEM_BYTES}  # one item of its own, none of the four this process had
    assert set(threads) == {1}
    assert os.getpid() not in process
    assert maker.cache._held_bytes == 0  # this process gave its share back too


def test_loading_in_this_process_keeps_what_is_in_memory(tmp_path: Path) -> None:
    maker = maker_in(tmp_path)
    maker.cache.get(name(0))
    make_loader(maker, sampler(), 0, prefetch=2, processes=1)
    assert maker.cache._held_bytes == ITEM_BYTES


def test_loaders_of_two_processes_give_one_batch_between_them(tmp_path: Path) -> None:
    whole = epoch_of(maker_in(tmp_path), 0, 0)
    for number in range(2):
        loader = make_loader(maker_in(tmp_path), sampler(), 0, 2, processes=1, share=Share(number, 2))
        for ours, theirs in zip(loader, whole, strict=True):
            for part, batch in zip(ours, theirs, strict=True):
                torch.testing.assert_close(part, batch[number::2], atol=1e-5, rtol=0)


def test_one_draw_is_a_batch_of_one(tmp_path: Path) -> None:
    maker = maker_in(tmp_path)
    features, labels = ExampleDataset(maker)[Draw("positive", 1, 5)]
    expected = maker.make([Draw("positive", 1, 5)])
    np.testing.assert_array_equal(features.numpy(), expected.features)
    np.testing.assert_array_equal(labels.numpy(), expected.labels)


@pytest.mark.parametrize(("cores", "counts"), [(2, (0, 1, 2, 2)), (64, (0, 1, 2, 16)), (None, (0, 1, 1, 1))])
def test_there_are_never_more_workers_than_cores(
    cores: int | None, counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert tuple(worker_count(wanted) for wanted in (0, 1, 2, 16)) == counts
    assert worker_count(16, 64) == 1
    assert worker_count(64, 2) == max(1, (cores or 1) // 2)
