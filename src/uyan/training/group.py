"""How Lightning is told of the processes that train together: its DDP strategy, with one sum of all gradients a step.

Torch's own wrapper (`DistributedDataParallel`) sums gradients in buckets that it lays out anew after the first step:
with three processes or more a training that is resumed would then end with other bits. Networks here have a megabyte
of gradients at most, and lose nothing by one sum. It knows nothing of what is trained.
"""

import signal
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy

from uyan.ranks import Ranks, interrupt


def trainer_options(ranks: Ranks) -> dict[str, Any]:
    """Arguments of Lightning's Trainer."""
    if ranks.count == 1:
        return {"devices": 1}
    return {
        "devices": ranks.local_count,
        "num_nodes": -(-ranks.count // ranks.local_count),
        "strategy": _OneSum(cluster_environment=_Started(ranks)),
        "use_distributed_sampler": False,  # batches are shared out by the loaders
    }


class Signals(pl.Callback):
    """Takes back what Lightning does at SIGTERM: a message to the others in the middle of whatever they say."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.ranks.count > 1 and signal.getsignal(signal.SIGINT) in (interrupt, signal.SIG_IGN):
            signal.signal(signal.SIGTERM, interrupt if self.ranks.first else signal.SIG_DFL)


class _OneSum(DDPStrategy):
    """Nothing is wrapped: the module sums its gradients (`WakeWordModule.on_after_backward`)."""

    def configure_ddp(self) -> None:
        """All processes start from the same weights."""


class _Started(ClusterEnvironment):
    """Processes that are there, in a group that is joined."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    creates_processes_externally = True
    main_address, main_port = "", 0

    @staticmethod
    def detect() -> bool:
        """Never by itself."""
        return False

    def world_size(self) -> int:
        """Processes in all."""
        return self.ranks.count

    def set_world_size(self, size: int) -> None:
        """It is what it is."""

    def global_rank(self) -> int:
        """Of all."""
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        """It is what it is."""

    def local_rank(self) -> int:
        """On this computer."""
        return self.ranks.local

    def node_rank(self) -> int:
        """Number of this computer."""
        return self.ranks.rank // self.ranks.local_count
