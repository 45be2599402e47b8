"""Fit the network: phases of training with a round of mining between them, logs, and a checkpoint after every epoch.

Interrupted at any moment and called again with the same configuration, it continues from the last whole epoch and ends
with the same weights, bit for bit. Several processes that train together go through the same batches, each with a share
of every one; the first of them keeps the files. What comes out are the averaged weights of the epoch that was judged
best. It knows nothing of thresholds or detectors.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from uyan.data.examples import BatchConfig, ExampleMaker
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.sampler import BalancedBatchSampler
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError, TrainingError
from uyan.frontend import Cmvn
from uyan.model.network import Network
from uyan.ranks import ALONE, Ranks
from uyan.training.best import BEST, BestWeights, Judge
from uyan.training.checkpoint import CONFIG_HASH, SafetensorsIO, load_tensors, save_tensors
from uyan.training.config import TrainingConfig
from uyan.training.ema import AveragedWeights
from uyan.training.focal_switch import FocalSwitch
from uyan.training.gradient_norm import GradientNorm
from uyan.training.group import Signals, trainer_options
from uyan.training.loaders import make_loaders
from uyan.training.module import WakeWordModule
from uyan.training.watch import EpochReport, Order, Watch
from uyan.training.whole_batches import whole_batches

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "model.safetensors"

Mine = Callable[[int, Network], ExampleMaker]
"""Round number (from 1) and the network so far → what to train on from there; the same again for the same arguments."""

FIRST_ROUND, LAST_ROUND = 0.25, 0.85
"""Shares of the training after which the first and the last round of mining come."""


@dataclass(frozen=True)
class FitData:
    """What there is to learn from, and to watch."""

    train: ExampleMaker
    validation: ExampleMaker
    cmvn: Cmvn
    mine: Mine | None = None
    judge: Judge | None = None
    resident: ResidentFeatures | None = None
    """Of both splits, where batches are made on the device."""


@dataclass(frozen=True)
class FitPlan:
    """How to learn, and where the state of it lies."""

    batches: BatchConfig
    config: TrainingConfig
    learning_rate: float
    """Peak; the config's, or the LR finder's."""
    rounds: int
    """Of mining."""
    config_hash: str
    out: Path
    ranks: Ranks = ALONE
    """This process among those that train together."""


@dataclass(frozen=True)
class FitWatch:
    """Whom to tell."""

    progress: Progress = silent
    tell: Callable[[str], None] = lambda line: None
    on_epoch: EpochReport | None = None


def phase_ends(epochs: int, rounds: int) -> list[int]:
    """Epochs after which a phase ends: a round of mining follows each but the last.

    >>> phase_ends(20, 4), phase_ends(20, 1), phase_ends(3, 4), phase_ends(20, 0)
    ([5, 9, 13, 17, 20], [5, 20], [1, 2, 3], [20])
    """
    step = (LAST_ROUND - FIRST_ROUND) / max(1, rounds - 1)
    ends = {max(1, round(epochs * (FIRST_ROUND + step * number))) for number in range(rounds)}
    return sorted({end for end in ends if end < epochs} | {epochs})


def fit(network: Network, data: FitData, plan: FitPlan, watch: FitWatch | None = None) -> Network:
    """Train in `plan.out`, resuming what is there; returns the network with the weights it also saves.

    All of `plan.ranks` call it with the same network and data. Raises ConfigError where batches are too small for them,
    TrainingError where training cannot go on.
    """
    weights = plan.out / WEIGHTS
    if weights.is_file():
        load_weights(network, weights, plan.config_hash)
        return network
    if plan.batches.size < plan.ranks.count:
        raise plan.ranks.agreed(
            ConfigError(
                f"batches.size {plan.batches.size} is too small for {plan.ranks.count} processes: each needs an example"
            )
        )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    plan.out.mkdir(parents=True, exist_ok=True)
    network.set_cmvn(torch.tensor(data.cmvn.mean), torch.tensor(data.cmvn.variance))
    _fit_phases(network, data, plan, watch or FitWatch())
    load_weights(network, plan.out / BEST, plan.config_hash)
    if plan.ranks.first:
        save_weights(network, weights, plan.config_hash)
    return network


def _fit_phases(network: Network, data: FitData, plan: FitPlan, watch: FitWatch) -> None:
    ends = phase_ends(plan.config.epoch_count, plan.rounds if data.mine else 0)
    done = finished_epochs(plan.out / CHECKPOINT, plan.config_hash)
    train = data.train
    for number, end in enumerate(ends):
        if done >= end:
            continue
        if number and data.mine:
            load_averaged(network, plan.out / CHECKPOINT, plan.config_hash)
            train = data.mine(number, network)
        with _quiet_lightning(), _interruptible(), whole_batches(network, plan.ranks, plan.batches.size):
            _fit_phase(network, train, data, plan, end, watch)


def _fit_phase(network: Network, train: ExampleMaker, data: FitData, plan: FitPlan, end: int, watch: FitWatch) -> None:
    """Epochs up to `end`."""
    config = plan.config
    network.train()  # mining has put it into evaluation mode, and Lightning leaves it as it is
    pl.seed_everything(config.seed, workers=False, verbose=False)
    order = batch_sampler(train, plan.batches, config.seed)
    judged = batch_sampler(data.validation, plan.batches, config.seed)
    keep = ModelCheckpoint(
        plan.out, Path(CHECKPOINT).stem, every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    keep.FILE_EXTENSION = Path(CHECKPOINT).suffix
    averaged = AveragedWeights(config)
    trainer = pl.Trainer(
        max_epochs=end,
        deterministic=True,
        accelerator="auto",
        **trainer_options(plan.ranks),
        # A folder of CSV for every (re)start: Lightning's logger would delete the rows it finds.
        logger=[CSVLogger(plan.out, "logs"), TensorBoardLogger(plan.out, "tensorboard", "")],
        callbacks=[
            keep,
            Order(order),
            BestWeights(data.judge, plan.out, plan.config_hash, plan.ranks),
            averaged,
            GradientNorm(config.clip_factor, config.clip_norm, plan.ranks),
            FocalSwitch(config, watch.tell),
            Watch(watch.progress, watch.on_epoch, averaged, config.epoch_count, order),
            Signals(plan.ranks),
        ],
        plugins=[SafetensorsIO(plan.config_hash)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    last = plan.out / CHECKPOINT
    trainer.fit(
        WakeWordModule(network, config, plan.learning_rate, plan.ranks),
        *make_loaders((train, order), (data.validation, judged), plan.batches, data.resident, plan.ranks),
        ckpt_path=last if last.is_file() else None,
    )
    network.cpu()


def batch_sampler(maker: ExampleMaker, batches: BatchConfig, seed: int, hard: int = 0) -> BalancedBatchSampler:
    """Batches of what the maker has; `hard` is the least number of hard negatives to reckon with."""
    sizes, weights = zip(*((len(items), items.weights) for items in maker.sources.values()), strict=True)
    reckoned = [*sizes[:2], max(sizes[2], hard)]
    known = weights if reckoned[2] == sizes[2] else ()  # of hard negatives that are yet to be found
    return BalancedBatchSampler(reckoned, batches.size, batches.ratio, seed, weights=known)


def finished_epochs(checkpoint: Path, config_hash: str) -> int:
    """Whole epochs behind a checkpoint; 0 where there is none."""
    if not checkpoint.is_file():
        return 0
    return int(SafetensorsIO(config_hash).load_checkpoint(checkpoint)["epoch"]) + 1


@dataclass(frozen=True)
class TrainingState:
    """What a report needs to know of a training that is over."""

    best_epoch: int
    """From 0."""
    epochs: int
    focal_reason: str
    """Why and when the loss was changed; empty where it was not."""


def training_state(checkpoint: Path, config_hash: str) -> TrainingState:
    """Read from the last checkpoint. Raises TrainingError when it is missing or of another configuration."""
    state = SafetensorsIO(config_hash).load_checkpoint(checkpoint)
    callbacks = state["callbacks"]
    return TrainingState(callbacks["BestWeights"]["epoch"], state["epoch"] + 1, callbacks["FocalSwitch"]["reason"])


def load_averaged(network: Network, checkpoint: Path, config_hash: str) -> None:
    """The averaged weights of a checkpoint, which is what Lightning's `WeightAveraging` stores as its state."""
    state = SafetensorsIO(config_hash).load_checkpoint(checkpoint)["state_dict"]
    network.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    network.eval()


def save_weights(network: Network, path: Path, config_hash: str) -> None:
    """Write the network's weights with the hash of the configuration they belong to."""
    save_tensors(path, network.state_dict(), {CONFIG_HASH: config_hash})


def load_weights(network: Network, path: Path, config_hash: str) -> None:
    """Read weights back. Raises TrainingError when they are of another configuration."""
    tensors, metadata = load_tensors(path)
    if metadata.get(CONFIG_HASH) != config_hash:
        raise TrainingError(f"{path}: of another configuration; choose another --out, or delete the folder")
    network.load_state_dict(tensors)
    network.eval()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning turns Ctrl-C and SIGTERM into SystemExit and leaves SIGINT ignored; undo both."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from leaving


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's banners and tips say nothing a user of uyan can act on."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
