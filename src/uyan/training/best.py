"""Keeps the averaged weights of the best epoch, judged by what matters and not by the loss.

A judgement comes from outside: events on continuous validation audio. It knows nothing of how they are counted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from uyan.model.network import Network
from uyan.ranks import ALONE, Ranks
from uyan.training.checkpoint import CONFIG_HASH, save_tensors


@dataclass(frozen=True)
class Judgement:
    """How good a network is."""

    key: tuple[float, ...]
    """Compared in order, lower is better."""
    values: Mapping[str, float]
    """To be logged, by name."""


Judge = Callable[[Network], Judgement]

BEST = "best.safetensors"


class BestWeights(pl.Callback):
    """Judges the network at each validation, while the averaged weights are in it (`ema`), and keeps the best.

    The first process judges, for all.
    """

    def __init__(self, judge: Judge | None, out: Path, config_hash: str, ranks: Ranks = ALONE) -> None:
        self.judge, self.ranks = judge, ranks
        self.out = out
        self.config_hash = config_hash
        self.best: tuple[float, ...] | None = None
        self.epoch = -1

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        network: Network = module.network  # type: ignore[assignment]
        judgement = self.ranks.from_first(lambda: self.judge(network) if self.judge else Judgement((), {}))
        for name, value in judgement.values.items():
            module.log(name, value)
        key = (*judgement.key, float(trainer.callback_metrics["val_loss"]))
        if self.best is None or key < self.best:
            self.best, self.epoch = key, trainer.current_epoch
            if self.ranks.first:
                save_tensors(self.out / BEST, network.state_dict(), {CONFIG_HASH: self.config_hash})

    def state_dict(self) -> dict[str, Any]:
        return {"best": list(self.best or ()), "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.epoch = tuple(state_dict["best"]) or None, state_dict["epoch"]
