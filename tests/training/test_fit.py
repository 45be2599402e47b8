"""Training is repeatable: twice the same, interrupted anywhere and resumed the same, bit for bit.

Run as a script it trains in a folder until it is killed.
"""

import csv
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache, HalfFeatures
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.locate import Span
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.takes import Takes
from uyan.data.sampler import BalancedBatchSampler
from uyan.data.shards.shard_folder import ShardFolder
from uyan.data.variants import VariantConfig, VariantTable
from uyan.errors import TrainingError
from uyan.frontend import Cmvn, FrontendConfig
from uyan.model.network import Network, NetworkConfig
from uyan.ranks import ALONE, Ranks
from uyan.training.config import TrainingConfig
from uyan.training.fit import CHECKPOINT, WEIGHTS, FitData, FitPlan, FitWatch, fit, load_weights, phase_ends
from uyan.training.module import WakeWordModule
from uyan.training.watch import EpochReport

WINDOW_FRAMES, CLIP_FRAMES = 30, 60
POSITIVES, NEGATIVES = 10, 16
HASH = "c0ffee"
BATCHES = BatchConfig(size=8, extra_s=0.1, tail_s=0.1, workers=0, validation_workers=0)
CONFIG, LEARNING_RATE = TrainingConfig(epochs=4, ema_decay=0.8, ema_late_decay=0.8), 3e-3
Weights = dict[str, torch.Tensor]


class Miner:
    """A round of mining: what the network so far scores highest joins the hard negatives; kept like a run keeps it."""

    def __init__(self, train: ExampleMaker, folder: Path) -> None:
        self.train, self.folder = train, folder
        self.mined: list[int] = []
        """Rounds that were not on disk yet."""

    def __call__(self, number: int, network: Network) -> ExampleMaker:
        file = self.folder / f"pool-{number}.json"
        if not file.is_file():
            self.mined.append(number)
            network.eval()
            with torch.inference_mode():
                clips = [self.train.cache.get(clip_name("negative", i)) for i in range(NEGATIVES)]
                logits = network(torch.tensor(np.stack(clips).astype(np.float32)))
            order = (logits[:, 1] - logits[:, 0]).amax(dim=1).argsort(descending=True)
            file.write_text(json.dumps(order[:3].tolist()))
        hard = [Segment(clip_name("negative", i), 0) for i in json.loads(file.read_text())]
        given = self.train
        positives, negatives = list(given.positives), list(given.sources["negative"])
        backgrounds = list(given.backgrounds)
        return ExampleMaker(
            given.cache,
            positives,
            negatives,
            backgrounds,
            BATCHES,
            given.augment,
            WINDOW_FRAMES,
            hard=hard,
            variants=given.variants,
        )


def clip_name(kind: str, number: int) -> str:
    return hashlib.sha1(f"{kind}{number}".encode()).hexdigest()


def make_data(folder: Path, variants: int = 0) -> FitData:
    """A bump in the upper mels is the keyword; clips are shared by training and validation.

    A variant, of each recording so many, is as long as it should be and otherwise as good as another recording.
    """
    config = FrontendConfig()
    cache = FeatureCache(folder, config, max_ram_gb=0.0)
    rng = np.random.default_rng(7)
    table = VariantTable(VariantConfig())
    for kind, count in (("positive", POSITIVES), ("negative", NEGATIVES)):
        for number in range(count):
            for take in (table.take(clip_name(kind, number), variant) for variant in range(1 + variants)):
                frames, word = (round(take.stretch * places) for places in (CLIP_FRAMES, 20))
                features = rng.normal(-8.0, 1.0, (config.mels, frames)).astype(np.float32)
                if kind == "positive":
                    features[40:50, word : 2 * word] += 3.0
                cache.put(take.key, features)
    positives = [Positive(clip_name("positive", i), Span(20, 40), variants) for i in range(POSITIVES)]
    negatives = [Segment(clip_name("negative", i), 0, variants) for i in range(NEGATIVES)]
    backgrounds = negatives[:4]
    train = ExampleMaker(
        cache,
        positives,
        negatives,
        backgrounds,
        BATCHES,
        AugmentConfig(),
        WINDOW_FRAMES,
        variants=table if variants else None,
    )
    validation = ExampleMaker(cache, positives[:4], negatives[:8], [], BATCHES, None, WINDOW_FRAMES)
    cmvn = Cmvn(1000, (-8.0,) * config.mels, (1.0,) * config.mels, config.digest())
    return FitData(train, validation, cmvn)


def new_network() -> Network:
    torch.manual_seed(1)
    return Network(NetworkConfig(size="small", window_s=0.3, dropout=0.5), FrontendConfig().mels, WINDOW_FRAMES)


def train(
    folder: Path,
    batches: BatchConfig = BATCHES,
    config: TrainingConfig = CONFIG,
    on_epoch: EpochReport | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    rounds: int = 0,
    resident: bool = False,
    ranks: Ranks = ALONE,
    variants: int = 0,
) -> Weights:
    """Train in `folder/training` on the data in `folder`, which every run makes alike."""
    data = ranks.from_first(lambda: make_data(folder / "features", variants))
    if resident:
        takes = Takes([data.train, data.validation])
        data = replace(data, resident=ResidentFeatures(data.train.cache, takes, torch.device("cpu")))
    if rounds:
        miner = Miner(data.train, folder)
        data = replace(data, mine=lambda number, network: ranks.from_first(lambda: miner(number, network)))
    plan = FitPlan(batches, config, LEARNING_RATE, rounds, HASH, folder / "training", ranks)
    network = fit(new_network(), data, plan, FitWatch(progress, on_epoch=on_epoch))
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_bit_equal(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    different = [name for name, tensor in found.items() if not torch.equal(tensor, expected[name])]
    assert different == []


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return train(tmp_path_factory.mktemp("uninterrupted"))


class Spy:
    """Notes which features every training step was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[int, torch.Tensor]] = []
        step = WakeWordModule.training_step

        def noting(module: WakeWordModule, batch: Any, batch_index: int) -> torch.Tensor:
            self.seen.append((module.current_epoch, batch[0].clone()))
            return step(module, batch, batch_index)

        monkeypatch.setattr(WakeWordModule, "training_step", noting)

    def epoch(self, number: int) -> list[torch.Tensor]:
        return [features for epoch, features in self.seen if epoch == number]


def sampled(folder: Path, epoch: int) -> list[torch.Tensor]:
    """What the sampler's order for that epoch gives, computed here."""
    sampler = BalancedBatchSampler((POSITIVES, NEGATIVES, 0), BATCHES.size, BATCHES.ratio, CONFIG.seed)
    sampler.set_epoch(epoch)
    maker = make_data(folder / "expected").train
    return [torch.from_numpy(maker.make(draws).features) for draws in sampler]


def assert_same_batches(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(found) == len(expected) > 1
    assert [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if not torch.equal(a, b)] == []


def test_the_word_is_learnt(tmp_path: Path) -> None:
    reports: list[dict[str, float]] = []
    train(tmp_path, config=replace(CONFIG, epochs=10), on_epoch=lambda epoch, values: reports.append(values))
    assert reports[-1]["val_loss"] < 0.6 * reports[0]["val_loss"]
    assert reports[-1]["val_position_miss_rate"] < 0.1
    assert reports[-1]["val_position_false_alarm_rate"] < 0.1


def test_two_runs_give_the_same_weights(tmp_path: Path, uninterrupted: Weights) -> None:
    torch.manual_seed(999)  # whatever happened before in this process makes no difference
    assert_bit_equal(train(tmp_path), uninterrupted)


def test_another_seed_gives_other_weights(tmp_path: Path, uninterrupted: Weights) -> None:
    other = train(tmp_path, config=replace(CONFIG, seed=43))
    assert not torch.equal(other["head.weight"], uninterrupted["head.weight"])


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_has_the_order_of_its_own_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    spy = Spy(monkeypatch)
    train(tmp_path, replace(BATCHES, workers=workers), replace(CONFIG, epochs=2))
    for epoch in range(2):
        assert_same_batches(spy.epoch(epoch), sampled(tmp_path, epoch))
    assert not torch.equal(spy.epoch(0)[0], spy.epoch(1)[0])


def interrupt_in_step(step: int) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


STEPS_AN_EPOCH = 4
"""16 negatives, 5 of them in a batch of 8 (ratio 1:1:1, hard negatives' share included)."""


@pytest.mark.parametrize(
    ("workers", "step"), [(0, 2 * STEPS_AN_EPOCH + 2), (2, 2 * STEPS_AN_EPOCH + 2), (0, 3 * STEPS_AN_EPOCH)]
)
def test_interrupted_and_resumed_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: Weights, workers: int, step: int
) -> None:
    batches = replace(BATCHES, workers=workers)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, batches, progress=interrupt_in_step(step))
    assert (tmp_path / "training" / CHECKPOINT).is_file()
    assert not (tmp_path / "training" / WEIGHTS).exists()
    spy = Spy(monkeypatch)
    epochs: list[int] = []
    resumed = train(tmp_path, batches, on_epoch=lambda epoch, values: epochs.append(epoch))
    assert epochs == [2, 3]
    assert_same_batches(spy.epoch(2), sampled(tmp_path, 2))
    assert_bit_equal(resumed, uninterrupted)


def test_interrupted_in_the_first_epoch_starts_over(tmp_path: Path, uninterrupted: Weights) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt_in_step(2))
    assert not (tmp_path / "training" / CHECKPOINT).exists()
    assert_bit_equal(train(tmp_path), uninterrupted)


def test_interrupt_leaves_the_handler_as_it_was(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt_in_step(1))
    assert signal.getsignal(signal.SIGINT) is before


def test_asked_to_terminate_and_resumed_is_the_same(tmp_path: Path, uninterrupted: Weights) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if done == STEPS_AN_EPOCH + 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=progress)
    assert_bit_equal(train(tmp_path), uninterrupted)


def test_stopped_between_last_epoch_and_weights(tmp_path: Path, uninterrupted: Weights) -> None:
    train(tmp_path)
    (tmp_path / "training" / WEIGHTS).unlink()
    epochs: list[int] = []
    assert_bit_equal(train(tmp_path, on_epoch=lambda epoch, values: epochs.append(epoch)), uninterrupted)
    assert epochs == []


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Two rounds of mining, after epochs 1 and 3."""
    return train(tmp_path_factory.mktemp("mined"), rounds=2)


def test_every_step_trains_in_training_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mining and judging put the network into evaluation mode: norms would stand still and nothing be dropped."""
    modes: list[bool] = []
    step = WakeWordModule.training_step

    def noting(module: WakeWordModule, batch: Any, batch_index: int) -> torch.Tensor:
        modes.append(all(part.training for part in module.modules()))
        return step(module, batch, batch_index)

    monkeypatch.setattr(WakeWordModule, "training_step", noting)
    train(tmp_path, rounds=2)
    assert modes == [True] * (4 + 6 + 6 + 6)


@given(st.integers(1, 200), st.integers(0, 20))
def test_every_phase_has_an_epoch_and_the_last_is_not_mined_for(epochs: int, rounds: int) -> None:
    ends = phase_ends(epochs, rounds)
    assert ends == sorted(set(ends)) and ends[-1] == epochs and ends[0] >= 1
    assert len(ends) <= rounds + 1
    if 0 < rounds <= epochs // 5:
        assert len(ends) == rounds + 1
        assert ends[0] == max(1, round(0.25 * epochs)) and (rounds == 1 or ends[-2] <= 0.9 * epochs)


def test_mining_changes_what_is_learnt(uninterrupted: Weights, mined: Weights) -> None:
    assert not torch.equal(mined["head.weight"], uninterrupted["head.weight"])


# With the pool a batch holds 3 negatives of its own: 16 of them make 6 batches, before it 4.
@pytest.mark.parametrize("step", [4 + 2, 4 + 6, 4 + 6 + 3, 4 + 6 + 6 + 1])
def test_interrupted_between_rounds_of_mining_is_the_same(tmp_path: Path, mined: Weights, step: int) -> None:
    seen = 0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=progress, rounds=2)
    assert_bit_equal(train(tmp_path, rounds=2), mined)


def test_stopped_in_the_middle_of_mining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mined: Weights) -> None:
    call = Miner.__call__

    def stop(self: Miner, number: int, network: Network) -> ExampleMaker:
        if number == 2:
            raise KeyboardInterrupt
        return call(self, number, network)

    monkeypatch.setattr(Miner, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, rounds=2)
    monkeypatch.undo()
    epochs: list[int] = []
    assert_bit_equal(train(tmp_path, rounds=2, on_epoch=lambda epoch, values: epochs.append(epoch)), mined)
    assert epochs == [3]


def test_resident_features_train_alike_and_are_resumed_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rounds of mining, interrupted in each phase."""
    for folder in ("once", "again"):
        (tmp_path / folder).mkdir()
    spy = Spy(monkeypatch)
    once = train(tmp_path / "once", rounds=2, resident=True)
    batches = list(spy.seen)
    monkeypatch.undo()
    for step in (3, 4 + 4, 4 + 6 + 6 + 2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "again", rounds=2, resident=True, progress=interrupt_in_step(step))
    assert_bit_equal(train(tmp_path / "again", rounds=2, resident=True), once)
    assert {features.shape for _, features in batches} == {(BATCHES.size, FrontendConfig().mels, 40)}
    assert [sum(number == epoch for number, _ in batches) for epoch in range(4)] == [4, 6, 6, 6]


def test_the_word_is_learnt_from_resident_features(tmp_path: Path) -> None:
    reports: list[dict[str, float]] = []
    config = replace(CONFIG, epochs=12)
    train(tmp_path, config=config, on_epoch=lambda epoch, values: reports.append(values), resident=True)
    assert reports[-1]["val_loss"] < 0.6 * reports[0]["val_loss"]
    assert reports[-1]["val_position_miss_rate"] < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.02, 0.2])
def test_killed_and_resumed_is_the_same(tmp_path: Path, uninterrupted: Weights, delay_s: float) -> None:
    child = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "epoch 1 is over\n"
    time.sleep(delay_s)  # wherever it is by then: in an epoch, in the middle of a checkpoint
    child.kill()
    assert child.wait(30) == -signal.SIGKILL
    child.stdout.close()
    epochs: list[int] = []
    assert_bit_equal(train(tmp_path, on_epoch=lambda epoch, values: epochs.append(epoch)), uninterrupted)
    assert epochs in ([1, 2, 3], [2, 3], [3])


def test_finished_training_is_not_repeated(tmp_path: Path, uninterrupted: Weights) -> None:
    train(tmp_path)
    written = (tmp_path / "training" / WEIGHTS).stat().st_mtime_ns
    epochs: list[int] = []
    again = train(tmp_path, on_epoch=lambda epoch, values: epochs.append(epoch))
    assert epochs == []
    assert (tmp_path / "training" / WEIGHTS).stat().st_mtime_ns == written
    assert_bit_equal(again, uninterrupted)


def test_the_network_comes_back_ready_to_judge(tmp_path: Path) -> None:
    data = make_data(tmp_path / "features")
    for _ in ("trained", "loaded"):
        plan = FitPlan(BATCHES, replace(CONFIG, epochs=1), LEARNING_RATE, 0, HASH, tmp_path / "training")
        network = fit(new_network(), data, plan)
        assert not network.training
        assert network.mean[:, 0].tolist() == list(data.cmvn.mean)


@pytest.mark.filterwarnings("ignore:.* encountered in exp:RuntimeWarning")  # from the poison
def test_a_loss_that_is_not_a_number_names_the_batch_and_keeps_the_epoch(
    tmp_path: Path, uninterrupted: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned, read = 5, ShardFolder.read

    def spoilt(folder: ShardFolder, sha1: str, start: int = 0, stop: int | None = None) -> HalfFeatures:
        found = read(folder, sha1, start, stop)
        return np.full_like(found, np.nan) if sha1 == clip_name("negative", poisoned) else found

    def poison(epoch: int, values: dict[str, float]) -> None:
        if epoch == 1:
            monkeypatch.setattr(ShardFolder, "read", spoilt)

    sampler = BalancedBatchSampler((POSITIVES, NEGATIVES, 0), BATCHES.size, BATCHES.ratio, CONFIG.seed)
    sampler.set_epoch(2)
    drawn = [any(draw.source == "negative" and draw.item == poisoned for draw in draws) for draws in sampler]
    with pytest.raises(TrainingError, match=f"the loss became nan in epoch 3, batch {drawn.index(True) + 1};"):
        train(tmp_path, on_epoch=poison)
    assert not (tmp_path / "training" / WEIGHTS).exists()
    monkeypatch.undo()
    epochs: list[int] = []
    assert_bit_equal(train(tmp_path, on_epoch=lambda epoch, values: epochs.append(epoch)), uninterrupted)
    assert epochs == [2, 3]


def test_logs_for_people_and_for_tensorboard(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt_in_step(2 * STEPS_AN_EPOCH + 2))
    train(tmp_path)
    rows: list[dict[str, str]] = []
    for file in sorted((tmp_path / "training" / "logs").rglob("metrics.csv")):
        with file.open(newline="") as table:
            rows += csv.DictReader(table)
    # Nothing that was logged before the interruption is lost.
    assert {int(row["epoch"]) for row in rows if row["val_loss"]} == {0, 1, 2, 3}
    assert all(float(row["loss"]) > 0 for row in rows if row["loss"])
    named = {name for row in rows for name, value in row.items() if value}
    assert {"lr", "grad_norm", "clipped", "ema_decay", "hard_share", "val_position_miss_rate"} <= named
    events = list((tmp_path / "training" / "tensorboard").rglob("events.out.tfevents.*"))
    assert len(events) == 2
    assert all(file.stat().st_size > 0 for file in events)


def test_every_epoch_is_reported_with_what_a_person_watches(tmp_path: Path) -> None:
    reports: list[dict[str, float]] = []
    train(tmp_path, on_epoch=lambda epoch, values: reports.append(values), rounds=1)
    assert [report["hard_share"] for report in reports] == [0.0, *[pytest.approx(2 / 8)] * 3]
    assert [report["ema_decay"] for report in reports] == pytest.approx([0.8] * 4)
    rates = [report["lr"] for report in reports]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < rates[0] < LEARNING_RATE
    assert reports[-1]["eta_s"] == 0 < reports[0]["eta_s"]
    assert all(report["grad_norm"] > 0 and report["clipped"] >= 0 for report in reports)


def test_steps_are_counted_over_the_whole_training(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    train(tmp_path, progress=lambda stage, done, total: steps.append((done, total)))
    assert steps == [(step, 4 * STEPS_AN_EPOCH) for step in range(1, 4 * STEPS_AN_EPOCH + 1)]


def test_weights_name_their_configuration(tmp_path: Path) -> None:
    train(tmp_path, config=replace(CONFIG, epochs=1))
    for name in (WEIGHTS, CHECKPOINT):
        raw = (tmp_path / "training" / name).read_bytes()
        header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
        assert header["__metadata__"]["config_hash"] == HASH
    with pytest.raises(TrainingError, match="of another configuration"):
        load_weights(new_network(), tmp_path / "training" / WEIGHTS, "decaf")


def test_nothing_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("pickled")

    for name in ("save", "load"):
        monkeypatch.setattr(torch, name, refuse)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=interrupt_in_step(STEPS_AN_EPOCH + 1))
    train(tmp_path)


def train_until_killed() -> None:
    """Train in the folder given, say when the second epoch is over, and never finish the last."""

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        if epoch == 1:
            print("epoch 1 is over", flush=True)
        elif epoch == CONFIG.epochs - 1:
            time.sleep(60)

    train(Path(sys.argv[1]), on_epoch=on_epoch)


if __name__ == "__main__":
    train_until_killed()
