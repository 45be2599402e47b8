"""When to go on with the focal loss: validation misses much and alarms little (MISSION 2.5).

Balanced classes and smoothed labels teach both classes quickly; a network that then alarms rarely but misses often has
hard positives left, which the focal loss puts first (Lin et al. 2017). Both rates are of single window positions at an
even threshold, which is no operating point: they say which way the errors lean, not how good the detector is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl

from uyan.training.config import TrainingConfig

HIGH_MISS_RATE = 0.10
"""A tenth of the positions missed: below it little is left that focusing could win."""
LOW_FALSE_ALARM_RATE = 0.01
"""A hundredth: above it the network still confuses the classes, and both should be taught."""
IN_A_ROW = 2
"""Validations: one alone may be a lucky or unlucky epoch."""
EARLIEST_SHARE = 0.3
"""Of the training: before it, positives are missed because nothing has been learnt yet."""

Rates = tuple[float, float]
"""Miss rate and false-alarm rate of one validation."""


def should_switch(history: Sequence[Rates], share_done: float) -> bool:
    """Whether it is time, given all validations so far and the share of the training that is done.

    >>> should_switch([(0.05, 0.005), (0.2, 0.005), (0.15, 0.01)], 0.5)
    True
    >>> should_switch([(0.2, 0.005), (0.2, 0.02)], 0.5), should_switch([(0.2, 0.0), (0.2, 0.0)], 0.2)
    (False, False)
    """
    latest = history[-IN_A_ROW:]
    lean = [misses >= HIGH_MISS_RATE and alarms <= LOW_FALSE_ALARM_RATE for misses, alarms in latest]
    return share_done >= EARLIEST_SHARE and len(lean) == IN_A_ROW and all(lean)


class FocalSwitch(pl.Callback):
    """Watches the validations; when the rule says so it sets the module's `focal`, once and for good, and says why."""

    def __init__(self, config: TrainingConfig, tell: Callable[[str], None]) -> None:
        self.config = config
        self.tell = tell
        self.history: list[Rates] = []
        self.epoch: int | None = None
        """After which the loss was switched (from 0); None where it was not."""
        self.reason = ""

    def on_fit_start(self, trainer: pl.Trainer, module: Any) -> None:
        module.focal = self.epoch is not None

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.sanity_checking or self.config.focal_switch == "never":
            return
        metrics = trainer.callback_metrics
        rates = float(metrics["val_position_miss_rate"]), float(metrics["val_position_false_alarm_rate"])
        self.history.append(rates)
        done = trainer.current_epoch + 1
        if self.epoch is None and (reason := self._reason(done)):
            self.epoch, self.reason = trainer.current_epoch, reason
            module.focal = True
            # Adam's second moments remember larger gradients for thousands of steps: kept, they would cut the learning
            # rate to a fifth.
            for optimizer in trainer.optimizers:
                optimizer.state.clear()
            self.tell(
                f"{self.reason}: going on with the focal loss (alpha {self.config.focal_alpha:g}, gamma "
                f"{self.config.focal_gamma:g}), without smoothing and class weights"
            )

    def _reason(self, done: int) -> str:
        """Why to switch after so many epochs; empty where there is no reason."""
        epochs = self.config.epoch_count
        if self.config.focal_switch == "always":
            return f"after epoch {done} of {epochs}, as the recipe says" if done / epochs >= EARLIEST_SHARE else ""
        return _in_words(self.history[-1], done, epochs) if should_switch(self.history, done / epochs) else ""

    def state_dict(self) -> dict[str, Any]:
        return {"history": [list(rates) for rates in self.history], "epoch": self.epoch, "reason": self.reason}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = [(misses, alarms) for misses, alarms in state_dict["history"]]
        self.epoch, self.reason = state_dict["epoch"], state_dict["reason"]


def _in_words(rates: Rates, done: int, epochs: int) -> str:
    misses, alarms = rates
    return (
        f"after epoch {done} of {epochs}, and for {IN_A_ROW} validations in a row, {100 * misses:.1f} % of the word's "
        f"positions are missed (≥ {100 * HIGH_MISS_RATE:g} %) while {100 * alarms:.2f} % of the others raise an alarm "
        f"(≤ {100 * LOW_FALSE_ALARM_RATE:g} %)"
    )
