"""The LightningModule: loss, optimizer and learning-rate schedule of the network.

Everything random in a step comes from (seed, epoch), so that a resumed run continues bit for bit. Where several
processes train together, each has a share of the batch; losses and gradients are sums over them, those of the whole
batch. It knows nothing of where batches come from or where checkpoints go.
"""

import math

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from uyan.data.loader import TensorBatch
from uyan.data.placing import IGNORED, KEYWORD
from uyan.errors import TrainingError
from uyan.model.network import CLASSES, Network
from uyan.ranks import ALONE, Ranks
from uyan.training.config import TrainingConfig
from uyan.training.losses import class_counts, position_cross_entropy, position_focal


class WakeWordModule(pl.LightningModule):
    """A network being trained."""

    def __init__(self, network: Network, config: TrainingConfig, learning_rate: float, ranks: Ranks = ALONE) -> None:
        super().__init__()
        self.ranks = ranks
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
        """Loss of one batch, or this share's part of it. Raises TrainingError when it is not finite."""
        features, labels = batch
        loss = self._loss(self.network(features), labels)
        whole = self.ranks.total(loss)
        if not torch.isfinite(whole):
            raise self.ranks.agreed(
                TrainingError(
                    f"the loss became {whole.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}; the "
                    "last whole epoch is kept. Lower training.learning_rate and run again with another --out"
                )
            )
        self._note("loss", whole)
        return loss

    def on_after_backward(self) -> None:
        """Gradients of the whole batch."""
        self.ranks.sum_in_place([p.grad for p in self.network.parameters() if p.grad is not None])

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        counts = self.ranks.total(class_counts(labels, CLASSES))
        if self.focal:
            return position_focal(logits, labels, IGNORED, self.config.focal_alpha, self.config.focal_gamma, counts)
        return position_cross_entropy(logits, labels, IGNORED, self.config.label_smoothing, counts)

    def validation_step(self, batch: TensorBatch, batch_index: int) -> None:
        """Loss and accuracy by class over validation positions; the loss is the first one, to compare all epochs by."""
        features, labels = batch
        logits = self.network(features)
        counts = self.ranks.total(class_counts(labels, CLASSES))
        loss = position_cross_entropy(logits, labels, IGNORED, self.config.label_smoothing, counts)
        heard, keyword = logits.argmax(dim=1) == KEYWORD, labels == KEYWORD
        hits, alarms = (heard & keyword).sum(), (heard & ~keyword & (labels != IGNORED)).sum()
        loss, hits, alarms = self.ranks.total(torch.stack([loss, hits.float(), alarms.float()]))
        positives = counts[KEYWORD]
        self._note("val_loss", loss)
        self._note("val_position_miss_rate", 1 - hits / positives.clamp_min(1))
        self._note("val_position_false_alarm_rate", alarms / (counts.sum() - positives).clamp_min(1))

    def _note(self, name: str, value: Tensor) -> None:
        """The mean over an epoch's batches, which are all as large; to the same bit in every process."""
        self.log(name, value, on_step=False, on_epoch=True, batch_size=1)

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
