"""Exponential moving average of the weights: what is validated, mined with and exported (MISSION 2.1).

Polyak & Juditsky 1992. Lightning's `WeightAveraging` is not used: at the end of every `fit` it writes the average over
the weights being trained, and a training here is several of them, one a round of mining. Checkpoints are laid out as it
lays them out. It knows nothing of what the weights mean.
"""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from uyan.training.config import TrainingConfig

CURRENT = "current_model_state"
"""Where a checkpoint keeps the weights being trained; under `state_dict` stand the averaged ones."""


class AveragedWeights(pl.Callback):
    """Averages the weights after every step, and puts the average in their place for validation.

    average ← d · average + (1 − d) · weights, where d is `ema_decay`, or `ema_late_decay` in the last
    `ema_late_epochs`, and the bias towards the weights training began with is taken out as in Adam
    (Kingma & Ba 2015): each update counts by its own share of all updates so far, so the first give their plain
    mean. Floating buffers, such as the running statistics of norms, are averaged too; the others are copied.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.seen = 0.0
        """Share of the average that updates make up; the rest, soon nothing, is what training began with."""
        self.weights: dict[str, Tensor] = {}
        """The average by name in the module; empty before the first `fit`."""
        self._trained: dict[str, Tensor] | None = None
        """The weights being trained, while the average is in their place."""

    def current_decay(self, epoch: int) -> float:
        """The decay in that epoch (from 0)."""
        epochs = self.config.epoch_count
        late = epoch >= epochs - min(self.config.ema_late_epochs, epochs // 2)
        return self.config.ema_late_decay if late else self.config.ema_decay

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # After a checkpoint has been read and the module has been moved to its device.
        state = module.state_dict()
        known = {**state, **self.weights}
        self.weights = {name: known[name].detach().to(value, copy=True) for name, value in state.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        decay = self.current_decay(trainer.current_epoch)
        self.seen = decay * self.seen + (1 - decay)
        share = (1 - decay) / self.seen
        with torch.no_grad():
            for name, value in module.state_dict().items():
                if value.is_floating_point():
                    # lerp: what never changes, such as the CMVN, stays the same bit for bit.
                    self.weights[name].lerp_(value, share)
                else:
                    self.weights[name].copy_(value)

    # Around the outer hooks of a validation, so that the average is there in all the inner ones, of everybody.
    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._put_average(module)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._put_back(module)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._put_back(module)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seen = state_dict["seen"]

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[CURRENT] = self._trained or checkpoint["state_dict"]
        checkpoint["state_dict"] = self.weights

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.weights = dict(checkpoint["state_dict"])
        module.load_state_dict(checkpoint[CURRENT])

    def _put_average(self, module: pl.LightningModule) -> None:
        if self._trained is None and self.weights:
            self._trained = {name: value.clone() for name, value in module.state_dict().items()}
            module.load_state_dict(self.weights)

    def _put_back(self, module: pl.LightningModule) -> None:
        if self._trained is not None:
            module.load_state_dict(self._trained)
            self._trained = None
