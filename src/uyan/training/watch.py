"""What a person sees of the training, and what its batches are told: steps, epochs, and which epoch it is.

It changes nothing of the result but the order of the examples, which is the epoch's own.
"""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

from uyan.data.sampler import SOURCES, BalancedBatchSampler
from uyan.engine.parallel import Progress
from uyan.training.ema import AveragedWeights

EpochReport = Callable[[int, dict[str, float]], None]
"""Called after every epoch with its number and the logged values."""


class Order(pl.Callback):
    """Tells the sampler which epoch it is."""

    def __init__(self, sampler: BalancedBatchSampler) -> None:
        self.sampler = sampler

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        # Resumed, Lightning starts the loader, whose workers fetch ahead, before `on_train_epoch_start`.
        self.sampler.set_epoch(checkpoint["epoch"] + 1)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.sampler.set_epoch(trainer.current_epoch)


class Watch(pl.Callback):
    """Reports steps and epochs, and logs what is the same for a whole epoch."""

    def __init__(
        self,
        progress: Progress,
        on_epoch: EpochReport | None,
        averaged: AveragedWeights,
        epochs: int,
        sampler: BalancedBatchSampler,
    ) -> None:
        self.progress = progress
        self.on_epoch = on_epoch
        self.averaged = averaged
        self.epochs = epochs
        self.hard_share = sampler.quotas[SOURCES.index("hard")] / sum(sampler.quotas)
        self.started_s = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started_s = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        batches = int(trainer.num_training_batches)
        self.progress("train", trainer.current_epoch * batches + batch_index + 1, self.epochs * batches)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        module.log("lr", trainer.optimizers[0].param_groups[0]["lr"])
        module.log("ema_decay", self.averaged.current_decay(trainer.current_epoch))
        module.log("hard_share", self.hard_share)
        if self.on_epoch:
            values = {name: float(value) for name, value in trainer.callback_metrics.items()}
            left = self.epochs - 1 - trainer.current_epoch
            values["eta_s"] = left * (time.monotonic() - self.started_s)
            self.on_epoch(trainer.current_epoch, values)
