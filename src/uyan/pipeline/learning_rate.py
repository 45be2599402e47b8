"""The peak learning rate of a run: a sweep says what suits this network and data, the recipe decides (MISSION 2.3)."""

import json
from typing import Any

from torch import Tensor

from uyan.data.loader import make_loader
from uyan.data.placing import IGNORED
from uyan.errors import TrainingError
from uyan.model.network import Network
from uyan.pipeline.workspace import Workspace
from uyan.training.fit import FitData, batch_sampler
from uyan.training.losses import position_cross_entropy
from uyan.training.lr_finder import find_learning_rate, save_sweep, sweep_figure

REPORT, FIGURE = "learning_rate.json", "learning_rate.png"
STEPS = 100
"""Of the sweep: as few as MISSION 2.3 allows, about ten seconds."""


def peak_learning_rate(run: Workspace, network: Network, data: FitData) -> float:
    """The recipe's learning rate, after a sweep has judged it; the sweep's own suggestion where it is auto.

    The sweep is made once a run and kept in `training/`, with its picture.
    """
    config = run.recipe.training
    report = run.training / REPORT
    if not report.is_file():
        sampler = batch_sampler(data.train, run.recipe.batches, config.seed)
        configured = None if config.learning_rate == "auto" else config.learning_rate

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return position_cross_entropy(logits, labels, IGNORED, config.label_smoothing)

        loader = make_loader(data.train, sampler, 0, 1, 1)
        sweep = find_learning_rate(network, loader, loss, config.weight_decay, config.seed, configured, STEPS)
        run.tell(f"learning rate: {'; '.join(filter(None, (sweep.verdict, sweep.note)))}")
        sweep_figure(sweep, run.training / FIGURE)
        save_sweep(sweep, report)
    return float(load_sweep(run)["suggestion"]) if config.learning_rate == "auto" else config.learning_rate


def load_sweep(run: Workspace) -> dict[str, Any]:
    """Suggestion, verdict and note of a run's sweep. Raises TrainingError when its file is not what was written."""
    report = run.training / REPORT
    try:
        sweep: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return {"suggestion": float(sweep["suggestion"]), "verdict": sweep["verdict"], "note": sweep["note"]}
    except (OSError, ValueError, KeyError, TypeError) as reason:
        raise TrainingError(
            f"{report}: not a readable sweep ({reason!r}); delete {run.training} to train again"
        ) from reason
