"""Learn many words before the one: the trunk is trained to tell all words of the training split apart.

Every batch holds every word and the background in equal parts; the head that names the words is dropped afterwards
(after Lin et al. 2020, "Training keyword spotters with limited and synthesized speech data"). A plain loop in this
process, on the CPU, with a checkpoint after every epoch: interrupted, it continues to a bit-equal trunk. It knows
nothing of recipes, or of which recordings may be learnt from.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uyan.data.examples import ExampleMaker
from uyan.data.placing import BACKGROUND, IGNORED, KEYWORD
from uyan.data.sampler import Draw
from uyan.engine.parallel import Progress, silent
from uyan.errors import DataError, TrainingError
from uyan.frontend import Cmvn
from uyan.model.network import Network
from uyan.training.checkpoint import SafetensorsIO
from uyan.training.config import PretrainConfig
from uyan.training.losses import position_cross_entropy
from uyan.training.module import learning_rate_share, make_optimizer
from uyan.training.trunk import TrunkInfo, load_trunk, save_trunk, start_from

PASSES, MAX_STEPS = 3, 150
"""An epoch shows as many examples as three times the recordings, in 150 batches at most: 8 epochs of them, 0.12 s a
step, are two and a half minutes on one core."""
WARMUP_SHARE, WEIGHT_DECAY = 0.1, 1e-2
JUDGED_BATCHES = 8
"""Batches of unseen speakers after every epoch."""
_HEAD_SEED = 1_000_003


class WordExamples:
    """Examples of many words: an ExampleMaker whose positives are recordings of any of them, negatives background."""

    def __init__(self, maker: ExampleMaker, words: Sequence[str], classes: Sequence[str]) -> None:
        """`words` has the word of each of the maker's positives; `classes` are all words there are to tell apart."""
        numbers = {word: number for number, word in enumerate(classes, BACKGROUND + 1)}
        self.maker = maker
        self.classes = tuple(classes)
        self._class_of = np.array([numbers[word] for word in words], np.int64)
        self.items = [np.arange(len(maker.sources["negative"]))]
        """Item numbers of each class; first of the background."""
        self.items += [np.flatnonzero(self._class_of == number) for number in numbers.values()]

    def make(self, draws: Sequence[Draw]) -> tuple[Tensor, Tensor, Tensor]:
        """Features (batch, mels, frames), labels (batch, positions) and classes (batch,).

        A position is labelled with its word's class where the maker says KEYWORD.
        """
        features, labels = self.maker.make(draws)
        classes = np.array([self._class_of[d.item] if d.source == "positive" else BACKGROUND for d in draws], np.int64)
        named = np.where(labels == KEYWORD, classes[:, None], labels)
        return torch.from_numpy(features), torch.from_numpy(named), torch.from_numpy(classes)


def balanced_draws(
    items: Sequence[NDArray[np.intp]], steps: int, batch_size: int, seed: int, epoch: int
) -> Iterator[list[Draw]]:
    """Batches of an epoch: classes take turns, each in an order of its own; those without items are left out.

    >>> [[d.item for d in batch] for batch in balanced_draws([np.array([7]), np.array([5])], 2, 4, seed=1, epoch=0)]
    [[7, 5, 7, 5], [7, 5, 7, 5]]
    """
    present = [number for number, own in enumerate(items) if len(own)]
    turns = -(-steps * batch_size // len(present))
    orders = {}
    for number in present:
        rng = np.random.default_rng([seed, epoch, number])
        rounds = -(-turns // len(items[number]))
        orders[number] = np.concatenate([rng.permutation(items[number]) for _ in range(rounds)])
    seeds = np.random.default_rng([seed, epoch, len(items)]).integers(0, 2**62, (steps, batch_size))
    for step in range(steps):
        slots = [divmod(slot, len(present)) for slot in range(step * batch_size, (step + 1) * batch_size)]
        yield [
            Draw("positive" if (number := present[turn_of]) else "negative", int(orders[number][turn]), int(each))
            for (turn, turn_of), each in zip(slots, seeds[step], strict=True)
        ]


def steps_per_epoch(recordings: int, batch_size: int) -> int:
    """Batches of an epoch.

    >>> steps_per_epoch(3000, 96), steps_per_epoch(100_000, 96)
    (94, 150)
    """
    return min(MAX_STEPS, -(-PASSES * recordings // batch_size))


def pretrain(
    network: Network,
    train: WordExamples,
    validation: WordExamples | None,
    config: PretrainConfig,
    batch_size: int,
    seed: int,
    cmvn: Cmvn,
    info: TrunkInfo,
    out: Path,
    progress: Progress = silent,
    tell: Callable[[str], None] = lambda line: None,
) -> Network:
    """Train `network`'s trunk on words and write it to `out`, or read it where that was done before.

    The head stays as it is. `validation` is what accuracy is told of. Raises TrainingError when `out` was made with
    another configuration or the loss is not finite, DataError when `out` learnt from other recordings.
    """
    if not out.is_file():
        with torch.random.fork_rng(devices=[]):
            learner = _Learner(network, train, config, batch_size, seed, cmvn)
            learner.learn(validation, info, out.with_name(f"{out.stem}_checkpoint{out.suffix}"), progress, tell)
        save_trunk(out, learner.network, info)
    trunk = load_trunk(out)
    if trunk.info.config_hash != info.config_hash:
        raise TrainingError(f"{out}: of another configuration; choose another --out, or delete it to start over")
    if trunk.info != info:
        raise DataError(
            f"{out} learnt from other recordings than the manifests list now; choose another --out, or delete it"
        )
    out.with_name(f"{out.stem}_checkpoint{out.suffix}").unlink(missing_ok=True)
    return start_from(network, trunk, info.shape)


class _Learner:
    """A copy of the network with a head for words, and its optimizer."""

    def __init__(
        self, network: Network, train: WordExamples, config: PretrainConfig, batch_size: int, seed: int, cmvn: Cmvn
    ) -> None:
        torch.manual_seed(seed + _HEAD_SEED)
        self.network = copy.deepcopy(network)
        self.network.head = nn.Conv2d(network.head.in_channels, len(train.classes) + 1, 1)
        self.network.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
        self.train, self.config, self.batch_size, self.seed = train, config, batch_size, seed
        self.optimizer = make_optimizer(self.network, config.learning_rate, WEIGHT_DECAY)
        self.steps = steps_per_epoch(sum(map(len, train.items[1:])), batch_size)

    def learn(
        self,
        validation: WordExamples | None,
        info: TrunkInfo,
        checkpoint: Path,
        progress: Progress,
        tell: Callable[[str], None],
    ) -> None:
        """All epochs that are not in the checkpoint."""
        store = SafetensorsIO(hashlib.sha256(info.to_json().encode()).hexdigest())
        for epoch in range(self._resume(store, checkpoint), self.config.epochs):
            loss = self._epoch(epoch, progress)
            state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
            store.save_checkpoint({"epoch": epoch, **state}, checkpoint)
            line = f"words, epoch {epoch + 1:2d}/{self.config.epochs}  loss {loss:.4f}"
            if validation:
                accuracy, clips = word_accuracy(self.network, validation, self.batch_size, self.seed)
                line += f"  validation word accuracy {accuracy:.3f} of {clips} examples"
            tell(line)

    def _resume(self, store: SafetensorsIO, checkpoint: Path) -> int:
        """Epochs done before."""
        if not checkpoint.is_file():
            return 0
        state = store.load_checkpoint(checkpoint)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        return int(state["epoch"]) + 1

    def _epoch(self, epoch: int, progress: Progress) -> float:
        """Mean loss of one epoch. Dropout and order follow from (seed, epoch) alone."""
        torch.manual_seed(self.seed * 1_000_003 + epoch)
        self.network.train()
        total, losses = self.config.epochs * self.steps, 0.0
        batches = balanced_draws(self.train.items, self.steps, self.batch_size, self.seed, epoch)
        for number, draws in enumerate(batches):
            step = epoch * self.steps + number
            for group in self.optimizer.param_groups:
                # In the middle of the step: neither the first nor the last goes nowhere.
                group["lr"] = self.config.learning_rate * learning_rate_share((step + 0.5) / total, WARMUP_SHARE)
            losses += self._step(draws, epoch, number)
            progress("words", step + 1, total)
        return losses / self.steps

    def _step(self, draws: Sequence[Draw], epoch: int, number: int) -> float:
        features, labels, _ = self.train.make(draws)
        loss = position_cross_entropy(self.network(features), labels, IGNORED, label_smoothing=0.0)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} while learning words, in epoch {epoch + 1}, batch {number}; the last "
                "whole epoch is kept. Lower pretrain.learning_rate and run again with another --out"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


def word_accuracy(network: Network, examples: WordExamples, batch_size: int, seed: int) -> tuple[float, int]:
    """Share of examples whose class is the likeliest over the positions that hear it, and how many there were.

    Every class counts the same; `network` has a head for all of them.
    """
    steps = min(JUDGED_BATCHES, -(-sum(map(len, examples.items)) // batch_size))
    right = 0
    network.eval()
    with torch.inference_mode():
        for draws in balanced_draws(examples.items, steps, batch_size, seed, epoch=0):
            features, labels, classes = examples.make(draws)
            likely = network(features).log_softmax(dim=1)
            heard = (labels == classes[:, None]).unsqueeze(1)
            right += int(((likely * heard).sum(dim=2).argmax(dim=1) == classes).sum())
    return right / (steps * batch_size), steps * batch_size
