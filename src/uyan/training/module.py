"""The LightningModule: loss, optimizer and learning-rate schedule of the network.

Everything random in a step comes from (seed, epoch), so that a resumed run continues bit for bit. It knows nothing of
where batches come from or where checkpoints go.
"""

import math

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from uyan.data.loader import TensorBatch
from uyan.data.placing import IGNORED, KEYWORD
from uyan.errors import TrainingError
from uyan.model.network import Network
from uyan.training.config import TrainingConfig
from uyan.training.losses import position_cross_entropy, position_focal


class WakeWordModule(pl.LightningModule):
    """A network being trained."""

    def __init__(self, network: Network, config: TrainingConfig, learning_rate: float) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.peak = learning_rate
        self.focal = False
        """Whether the loss has been switched (`focal_switch`)."""

    def on_train_epoch_start(self) -> None:
        """Seed dropout for the epoch."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.current_epoch)

    def on_train_batch_start(self, batch: TensorBatch, batch_index: int) -> None:
        """Set the learning rate: a function of the epoch and the share of it that is done.

        Not of a count of steps: with each round of mining an epoch gets longer.
        """
        done = (self.current_epoch + batch_index / self.trainer.num_training_batches) / self.config.epoch_count
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.peak * learning_rate_share(done, self.config.warmup_share)

    def training_step(self, batch: TensorBatch, batch_index: int) -> Tensor:
        """Loss of one batch. Raises TrainingError when it is not finite."""
        features, labels = batch
        loss = self._loss(self.network(features), labels)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}; the last "
                "whole epoch is kept. Lower training.learning_rate and run again with another --out"
            )
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(features))
        return loss

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.focal:
            return position_focal(logits, labels, IGNORED, self.config.focal_alpha, self.config.focal_gamma)
        return position_cross_entropy(logits, labels, IGNORED, self.config.label_smoothing)

    def validation_step(self, batch: TensorBatch, batch_index: int) -> None:
        """Loss and accuracy by class over validation positions; the loss is the first one, to compare all epochs by."""
        features, labels = batch
        logits = self.network(features)
        loss = position_cross_entropy(logits, labels, IGNORED, self.config.label_smoothing)
        heard, keyword = logits.argmax(dim=1) == KEYWORD, labels == KEYWORD
        background = ~keyword & (labels != IGNORED)
        count = len(features)
        self.log("val_loss", loss, batch_size=count)
        self.log("val_position_miss_rate", 1 - _share(heard, keyword), batch_size=count)
        self.log("val_position_false_alarm_rate", _share(heard, background), batch_size=count)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with weight decay on convolutions only."""
        return make_optimizer(self.network, self.peak, self.config.weight_decay)


def make_optimizer(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over all parameters; biases and norms are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate)


def learning_rate_share(done: float, warmup_share: float) -> float:
    """Share of the peak learning rate when a share `done` of the training is over: linear warm-up, then a cosine.

    >>> [round(learning_rate_share(done, 0.1), 3) for done in (0.0, 0.05, 0.1, 0.55, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < warmup_share:
        return done / warmup_share
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup_share) / (1 - warmup_share))))


def _share(heard: Tensor, among: Tensor) -> Tensor:
    return (heard & among).sum() / among.sum().clamp_min(1)
