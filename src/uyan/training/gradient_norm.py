"""The norm of all gradients together: logged, and clipped where it is far from the usual (MISSION 2.2).

The usual is the running median (Seetharaman et al. 2020 clip at a percentile of the norms so far): one outlier does not
move it, and nobody has to know the scale of the loss. It knows nothing of the loss.
"""

import math
import statistics
from collections import deque
from typing import Any

import lightning.pytorch as pl
import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from uyan.errors import TrainingError
from uyan.ranks import ALONE, Ranks

REMEMBERED = 200
"""Norms the median is taken of: a few epochs of a small data set, and short enough to follow a change of the loss."""
FEWEST = 20
"""Norms before there is a median to go by; the first steps of a network are unlike the rest."""


class GradientNorm(pl.Callback):
    """Before every optimizer step: logs `grad_norm` (mean of the epoch), clips outliers, logs `clipped` (their number).

    A norm above `factor` times the median of the norms before it is an outlier, and brought down to `norm` (one that is
    not above `norm` stays as it is). Raises TrainingError when the norm is not finite.
    """

    def __init__(self, factor: float, norm: float, ranks: Ranks = ALONE) -> None:
        self.ranks = ranks
        self.factor = factor
        self.norm = norm
        self.norms: deque[float] = deque(maxlen=REMEMBERED)
        """Before clipping, oldest first."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        parameters = [parameter for parameter in module.parameters() if parameter.grad is not None]
        total = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        norm = float(total)
        if not math.isfinite(norm):
            raise self.ranks.agreed(
                TrainingError(
                    f"the gradient norm became {norm} in epoch {trainer.current_epoch + 1}, batch "
                    f"{trainer.fit_loop.batch_idx + 1}; the last whole epoch is kept. Lower training.learning_rate and "
                    "run again with another --out"
                )
            )
        clipped = norm > max(self.norm, self.limit())
        if clipped:
            clip_grads_with_norm_(parameters, self.norm, total)
        self.norms.append(norm)
        module.log("grad_norm", norm, on_step=False, on_epoch=True, batch_size=1)
        module.log("clipped", float(clipped), on_step=False, on_epoch=True, batch_size=1, reduce_fx="sum")

    def limit(self) -> float:
        """The norm above which the next gradient is an outlier."""
        return self.factor * statistics.median(self.norms) if len(self.norms) >= FEWEST else math.inf

    def state_dict(self) -> dict[str, Any]:
        return {"norms": list(self.norms)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.norms = deque(state_dict["norms"], maxlen=REMEMBERED)
