"""The LightningModule: loss, optimizer and learning-rate schedule of the network.

Everything random in a step comes from (seed, epoch), so that a resumed run continues bit for bit. It knows nothing of
where batches come from or where checkpoints go.
"""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from uyan.data.examples import IGNORED, KEYWORD
from uyan.data.loader import TensorBatch
from uyan.errors import TrainingError
from uyan.model.network import Network
from uyan.training.config import TrainingConfig
from uyan.training.losses import position_cross_entropy


class WakeWordModule(pl.LightningModule):
    """A network being trained."""

    def __init__(self, network: Network, config: TrainingConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def on_train_epoch_start(self) -> None:
        """Seed dropout for the epoch."""
        torch.manual_seed(self.config.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: TensorBatch, batch_index: int) -> Tensor:
        """Loss of one batch. Raises TrainingError when it is not finite."""
        features, labels = batch
        loss = position_cross_entropy(self.network(features), labels, IGNORED, self.config.label_smoothing)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss.item()} in epoch {self.current_epoch}, batch {batch_index}; the last whole "
                "epoch is kept. Lower training.learning_rate and run again with another --out"
            )
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(features))
        return loss

    def validation_step(self, batch: TensorBatch, batch_index: int) -> None:
        """Loss and accuracy by class over validation positions."""
        features, labels = batch
        logits = self.network(features)
        loss = position_cross_entropy(logits, labels, IGNORED, self.config.label_smoothing)
        heard, keyword = logits.argmax(dim=1) == KEYWORD, labels == KEYWORD
        background = ~keyword & (labels != IGNORED)
        count = len(features)
        self.log("val_loss", loss, batch_size=count)
        self.log("val_position_miss_rate", 1 - _share(heard, keyword), batch_size=count)
        self.log("val_position_false_alarm_rate", _share(heard, background), batch_size=count)

    def configure_optimizers(self) -> Any:
        """AdamW with weight decay on convolutions only; warm-up then cosine, stepped every batch."""
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.config.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.config.learning_rate)
        total = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_share(step, total, self.config.warmup_share)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def learning_rate_share(step: int, total: int, warmup_share: float) -> float:
    """Share of the peak learning rate at a step.

    >>> [round(learning_rate_share(s, 100, 0.1), 3) for s in (0, 9, 10, 55, 100)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = max(1, round(total * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def _share(heard: Tensor, among: Tensor) -> Tensor:
    return (heard & among).sum() / among.sum().clamp_min(1)
