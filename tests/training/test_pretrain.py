"""Words are told apart, in balanced batches, and an interrupted pre-training ends bit-equal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.augment import AugmentConfig
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker
from uyan.data.items import Positive, Segment
from uyan.data.locate import Span
from uyan.data.placing import IGNORED
from uyan.errors import DataError, TrainingError
from uyan.frontend import Cmvn, FrontendConfig
from uyan.model.network import Network, NetworkConfig
from uyan.training.config import PretrainConfig
from uyan.training.pretrain import WordExamples, balanced_draws, pretrain, steps_per_epoch
from uyan.training.trunk import Learnt, Shape, TrunkInfo, load_trunk

WINDOW_FRAMES, CLIP_FRAMES, SIZE = 30, 60, 12
FRONTEND = FrontendConfig()
BANDS = {"evet": slice(10, 20), "hayır": slice(30, 40), "belki": slice(50, 60)}
"""Mels in which each made-up word is loud, in frames 20 to 40."""
CLASSES = tuple(sorted(BANDS))
TAKES = {"evet": 12, "hayır": 4, "belki": 8}
BATCHES = BatchConfig(size=SIZE, extra_s=0.1, tail_s=0.1, workers=0, validation_workers=0)
CONFIG = PretrainConfig(epochs=4, learning_rate=5e-3, min_recordings=1)
CMVN = Cmvn(1000, (-8.0,) * FRONTEND.mels, (2.0,) * FRONTEND.mels, FRONTEND.digest())
INFO = TrunkInfo(
    Shape("small", WINDOW_FRAMES, FRONTEND.mels, FRONTEND.digest()),
    CLASSES,
    Learnt(frozenset({"ada"}), frozenset({"a" * 40})),
    "c0ffee",
)


def make_examples(folder: Path, augmented: bool) -> WordExamples:
    cache, rng = FeatureCache(folder, FRONTEND, max_ram_gb=0.1), np.random.default_rng(7 + augmented)
    positives, words = [], []
    for word, takes in TAKES.items():
        for take in range(takes):
            features = rng.normal(-8.0, 1.0, (FRONTEND.mels, CLIP_FRAMES)).astype(np.float32)
            features[BANDS[word], 20:40] += 3.0
            sha1 = f"{augmented:d}{CLASSES.index(word)}{take:02d}".ljust(40, "0")
            cache.put(sha1, features)
            positives.append(Positive(sha1, Span(20, 40)))
            words.append(word)
    background = [Segment(f"b{augmented:d}{number}".ljust(40, "0"), 0) for number in range(3)]
    for segment in background:
        cache.put(segment.sha1, rng.normal(-8.0, 1.0, (FRONTEND.mels, CLIP_FRAMES)).astype(np.float32))
    augment = AugmentConfig(time_masks=0, mel_masks=0) if augmented else None
    maker = ExampleMaker(cache, positives, background, background[:1], BATCHES, augment, WINDOW_FRAMES)
    return WordExamples(maker, words, CLASSES)


def new_network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Network(NetworkConfig(size="small", window_s=0.3, dropout=0.3), FRONTEND.mels, WINDOW_FRAMES)


class Stop(Exception):
    pass


def learn(
    folder: Path,
    config: PretrainConfig = CONFIG,
    info: TrunkInfo = INFO,
    stop_at: int | None = None,
    told: list[str] | None = None,
) -> Network:
    """Pre-train in `folder`; stopped before the step numbered `stop_at`."""

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "words" and done == stop_at:
            raise Stop

    train, validation = (make_examples(folder / "features", augmented) for augmented in (True, False))
    tell = (told if told is not None else []).append
    out = folder / "trunk.safetensors"
    return pretrain(new_network(), train, validation, config, SIZE, 42, CMVN, info, out, progress, tell)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return learn(tmp_path_factory.mktemp("uninterrupted")).state_dict()


def assert_bit_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name, tensor in found.items() if not torch.equal(tensor, expected[name])] == []


def test_a_label_is_its_words_class_where_the_word_was_heard(tmp_path: Path) -> None:
    examples = make_examples(tmp_path, augmented=False)
    draws = next(balanced_draws(examples.items, 1, SIZE, seed=1, epoch=0))
    features, labels, classes = examples.make(draws)
    assert features.shape == (SIZE, FRONTEND.mels, 40) and labels.shape == (SIZE, 6)
    assert classes.tolist() == [0, 1, 2, 3] * 3
    for row, own in zip(labels, classes, strict=True):
        assert own in row and set(row.tolist()) <= {0, int(own), IGNORED}
    for number, word in enumerate(CLASSES, 1):
        loud = features[classes == number].mean(dim=(0, 2))
        assert loud[BANDS[word]].mean() > loud.mean() + 0.5


@given(
    sizes=st.lists(st.integers(0, 5), min_size=2, max_size=6).filter(any),
    steps=st.integers(1, 4),
    size=st.integers(1, 20),
    epoch=st.integers(0, 3),
)
def test_every_batch_is_balanced_and_every_item_has_its_turn(
    sizes: list[int], steps: int, size: int, epoch: int
) -> None:
    items = [np.arange(100 * number, 100 * number + count) for number, count in enumerate(sizes)]
    batches = list(balanced_draws(items, steps, size, seed=3, epoch=epoch))
    assert [len(batch) for batch in batches] == [size] * steps
    present = [number for number, count in enumerate(sizes) if count]
    for batch in batches:
        counts = [sum(draw.item // 100 == number for draw in batch) for number in present]
        assert max(counts) - min(counts) <= 1
        assert all((draw.source == "negative") == (draw.item < 100) for draw in batch)
    drawn = [draw.item for batch in batches for draw in batch]
    for number in present:
        counts = [drawn.count(item) for item in items[number].tolist()]
        assert max(counts) - min(counts) <= 1


def test_epochs_and_seeds_differ_and_repeat() -> None:
    items = [np.arange(50), np.arange(50)]

    def order(seed: int, epoch: int) -> list[int]:
        return [draw.seed for batch in balanced_draws(items, 2, 10, seed, epoch) for draw in batch]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_an_epoch_has_a_limit() -> None:
    assert [steps_per_epoch(count, 96) for count in (1, 32, 33, 10**6)] == [1, 1, 2, 150]


def test_words_are_learnt_and_accuracy_is_told_with_its_denominator(tmp_path: Path) -> None:
    told: list[str] = []
    learn(tmp_path, replace(CONFIG, epochs=8), told=told)
    assert len(told) == 8
    assert "of 36 examples" in told[-1]  # 27 recordings and stretches in batches of 12, rounded up
    assert float(told[-1].split("accuracy ")[1].split()[0]) >= 0.9


def test_only_the_trunk_is_changed(uninterrupted: dict[str, torch.Tensor]) -> None:
    fresh = new_network().state_dict()
    same = {name for name, tensor in uninterrupted.items() if torch.equal(tensor, fresh[name])}
    assert same == {"head.weight", "head.bias"}
    assert torch.allclose(uninterrupted["mean"], torch.tensor(-8.0))


@pytest.mark.parametrize("stop_at", [1, 7, 13, 24])
def test_interrupted_anywhere_it_ends_bit_equal(
    tmp_path: Path, uninterrupted: dict[str, torch.Tensor], stop_at: int
) -> None:
    with pytest.raises(Stop):
        learn(tmp_path, stop_at=stop_at)
    told: list[str] = []
    torch.manual_seed(99)  # whatever happened before in this process makes no difference
    assert_bit_equal(learn(tmp_path, told=told).state_dict(), uninterrupted)
    assert len(told) == CONFIG.epochs - (stop_at - 1) // 6
    assert sorted(file.name for file in tmp_path.iterdir()) == ["features", "trunk.safetensors"]


def test_finished_it_is_read_back(tmp_path: Path, uninterrupted: dict[str, torch.Tensor]) -> None:
    learn(tmp_path)
    assert load_trunk(tmp_path / "trunk.safetensors").info == INFO
    assert_bit_equal(learn(tmp_path, stop_at=1).state_dict(), uninterrupted)


def test_the_random_state_of_the_process_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    learn(tmp_path, replace(CONFIG, epochs=1))
    assert torch.equal(torch.rand(1), expected)


def test_a_trunk_of_another_configuration_or_other_recordings_is_refused(tmp_path: Path) -> None:
    learn(tmp_path, replace(CONFIG, epochs=1))
    with pytest.raises(TrainingError, match="of another configuration; choose another --out"):
        learn(tmp_path, info=replace(INFO, config_hash="decaf"))
    with pytest.raises(DataError, match="learnt from other recordings than the manifests list now"):
        learn(tmp_path, info=replace(INFO, learnt=Learnt(frozenset(), frozenset())))


def test_a_checkpoint_of_other_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        learn(tmp_path, stop_at=8)
    with pytest.raises(TrainingError, match="of another configuration"):
        learn(tmp_path, info=replace(INFO, learnt=Learnt(frozenset(), frozenset())))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop):
        learn(tmp_path, stop_at=8)
    nothing = torch.tensor(torch.nan, requires_grad=True)
    with monkeypatch.context() as patched:
        patched.setattr("uyan.training.pretrain.position_cross_entropy", lambda *args, **kwargs: nothing)
        with pytest.raises(TrainingError, match="became nan while learning words, in epoch 2, batch 0"):
            learn(tmp_path)
    learn(tmp_path)
