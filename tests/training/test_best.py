"""The best epoch's averaged weights are kept, by what they are judged by and not by their loss."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from uyan.model.network import Network, NetworkConfig
from uyan.training.best import BEST, BestWeights, Judgement
from uyan.training.checkpoint import CONFIG_HASH, load_tensors


class Module(SimpleNamespace):
    """A module whose network is told apart by its head's bias."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(network=Network(NetworkConfig(size="small"), 64, 100), logged={})

    def log(self, name: str, value: float) -> None:
        self.logged[name] = value


def validate(best: BestWeights, module: Module, epoch: int, val_loss: float) -> None:
    with torch.no_grad():
        module.network.head.bias.fill_(float(epoch))
    trainer: Any = SimpleNamespace(current_epoch=epoch, callback_metrics={"val_loss": torch.tensor(val_loss)})
    best.on_validation_epoch_end(trainer, module)  # type: ignore[arg-type]


def kept_epoch(folder: Path) -> float:
    tensors, metadata = load_tensors(folder / BEST)
    assert metadata[CONFIG_HASH] == "c0ffee"
    return float(tensors["head.bias"][0])


def judged(keys: list[tuple[float, ...]]) -> Any:
    given = iter(keys)
    return lambda network: Judgement(key := next(given), {"val_miss_rate": key[0]})


def test_the_lowest_judgement_wins_whatever_the_loss(tmp_path: Path) -> None:
    best = BestWeights(judged([(0.5, 0.2), (0.1, 0.3), (0.2, 0.1)]), tmp_path, "c0ffee")
    module = Module()
    for epoch, loss in enumerate((0.9, 0.8, 0.1)):
        validate(best, module, epoch, loss)
    assert kept_epoch(tmp_path) == 1
    assert best.epoch == 1 and best.best == pytest.approx((0.1, 0.3, 0.8))
    assert module.logged == {"val_miss_rate": 0.2}


def test_ties_go_to_the_area_then_to_the_loss_then_to_the_first(tmp_path: Path) -> None:
    best = BestWeights(judged([(0.1, 0.3), (0.1, 0.2), (0.1, 0.2), (0.1, 0.2)]), tmp_path, "c0ffee")
    module = Module()
    for epoch, loss in enumerate((0.1, 0.9, 0.8, 0.8)):
        validate(best, module, epoch, loss)
    assert kept_epoch(tmp_path) == 2


def test_without_a_judge_the_loss_decides(tmp_path: Path) -> None:
    best = BestWeights(None, tmp_path, "c0ffee")
    module = Module()
    for epoch, loss in enumerate((0.5, 0.3, 0.4)):
        validate(best, module, epoch, loss)
    assert kept_epoch(tmp_path) == 1


def test_a_resumed_run_remembers_what_there_is_to_beat(tmp_path: Path) -> None:
    before = BestWeights(judged([(0.1, 0.3)]), tmp_path, "c0ffee")
    validate(before, Module(), 0, 0.5)
    after = BestWeights(judged([(0.2, 0.1), (0.05, 0.9)]), tmp_path, "c0ffee")
    after.load_state_dict(before.state_dict())
    validate(after, Module(), 1, 0.1)
    assert kept_epoch(tmp_path) == 0
    validate(after, Module(), 2, 0.9)
    assert kept_epoch(tmp_path) == 2


def test_nothing_judged_yet_is_a_state_too(tmp_path: Path) -> None:
    fresh = BestWeights(None, tmp_path, "c0ffee")
    fresh.load_state_dict(BestWeights(None, tmp_path, "c0ffee").state_dict())
    assert fresh.best is None
