"""Fit the network: data loaders, Lightning's trainer, logs, and a checkpoint after every epoch.

Interrupted at any moment and called again with the same configuration, it continues from the last whole epoch and ends
with the same weights, bit for bit. It knows nothing of thresholds or detectors.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from uyan.data.examples import BatchConfig, ExampleMaker
from uyan.data.loader import make_loader, worker_count
from uyan.data.parallel import Progress, silent
from uyan.data.sampler import BalancedBatchSampler
from uyan.errors import TrainingError
from uyan.frontend import Cmvn
from uyan.model.network import Network
from uyan.training.checkpoint import CONFIG_HASH, SafetensorsIO, load_tensors, save_tensors
from uyan.training.config import TrainingConfig
from uyan.training.module import WakeWordModule

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "model.safetensors"

EpochReport = Callable[[int, dict[str, float]], None]
"""Called after every epoch with its number and the logged values."""


@dataclass(frozen=True)
class FitData:
    """What there is to learn from, and to watch."""

    train: ExampleMaker
    validation: ExampleMaker
    cmvn: Cmvn


def fit(
    network: Network,
    data: FitData,
    batches: BatchConfig,
    config: TrainingConfig,
    config_hash: str,
    out: Path,
    progress: Progress = silent,
    on_epoch: EpochReport | None = None,
) -> Network:
    """Train in `out`, resuming what is there; returns the network with the weights it also saves."""
    weights = out / WEIGHTS
    if weights.is_file():
        load_weights(network, weights, config_hash)
        return network
    network.set_cmvn(torch.tensor(data.cmvn.mean), torch.tensor(data.cmvn.variance))
    with _quiet_lightning():
        _fit_with_lightning(network, data, batches, config, config_hash, out, _Watch(progress, on_epoch))
    save_weights(network, weights, config_hash)
    return network.eval()


def _fit_with_lightning(
    network: Network,
    data: FitData,
    batches: BatchConfig,
    config: TrainingConfig,
    config_hash: str,
    out: Path,
    watch: "_Watch",
) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    out.mkdir(parents=True, exist_ok=True)
    pl.seed_everything(config.seed, workers=False, verbose=False)
    workers = worker_count(batches.workers), worker_count(batches.validation_workers)
    order = _sampler(data.train, batches, config.seed)
    train = make_loader(data.train, order, workers[0], batches.prefetch, processes=1 + sum(workers))
    judged = _sampler(data.validation, batches, config.seed)
    validation = make_loader(data.validation, judged, workers[1], 2, processes=1 + sum(workers))
    keep = ModelCheckpoint(
        out, Path(CHECKPOINT).stem, every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    keep.FILE_EXTENSION = Path(CHECKPOINT).suffix
    trainer = pl.Trainer(
        max_epochs=config.epochs,
        deterministic=True,
        accelerator="auto",
        devices=1,
        # A folder of CSV for every (re)start: Lightning's logger would delete the rows it finds.
        logger=[CSVLogger(out, "logs"), TensorBoardLogger(out, "tensorboard", "")],
        callbacks=[keep, _Order(order), watch],
        plugins=[SafetensorsIO(config_hash)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    last = out / CHECKPOINT
    with _interruptible():
        trainer.fit(WakeWordModule(network, config), train, validation, ckpt_path=last if last.is_file() else None)
    network.cpu()


def _sampler(maker: ExampleMaker, batches: BatchConfig, seed: int) -> BalancedBatchSampler:
    return BalancedBatchSampler([len(items) for items in maker.sources.values()], batches.size, batches.ratio, seed)


class _Order(pl.Callback):
    """Tells the sampler which epoch it is."""

    def __init__(self, sampler: BalancedBatchSampler) -> None:
        self.sampler = sampler

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        # Resumed, Lightning starts the loader, whose workers fetch ahead, before `on_train_epoch_start`.
        self.sampler.set_epoch(checkpoint["epoch"] + 1)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.sampler.set_epoch(trainer.current_epoch)


class _Watch(pl.Callback):
    """Reports steps and epochs."""

    def __init__(self, progress: Progress, on_epoch: EpochReport | None) -> None:
        self.progress = progress
        self.on_epoch = on_epoch

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        self.progress("train", trainer.global_step, int(trainer.estimated_stepping_batches))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.on_epoch:
            values = {name: float(value) for name, value in trainer.logged_metrics.items()}
            self.on_epoch(trainer.current_epoch, values)


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
