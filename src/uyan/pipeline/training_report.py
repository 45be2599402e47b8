"""What happened in the training of a run, for its report: rate, best epoch, change of loss, hard negatives."""

from typing import Any

from uyan.data.pool import pool_warnings
from uyan.evaluation.pool_figure import pool_figure
from uyan.pipeline.learning_rate import load_sweep
from uyan.pipeline.loading import process_numbers
from uyan.pipeline.mine import last_pool, mining_summary
from uyan.pipeline.mine_audio import warn_of_unscanned
from uyan.pipeline.workspace import Workspace
from uyan.training.fit import CHECKPOINT, training_state

PICTURE = "hard_negatives.png"


def training_report(run: Workspace) -> dict[str, Any]:
    """Of a run whose training is over; draws the hard-negative pool and warns of what is wrong with it.

    Of training by several numbers of processes it warns, too.
    """
    state = training_state(run.training / CHECKPOINT, run.recipe.training_digest())
    mined = mining_summary(run)
    if mined:
        pool_figure(mined, run.out / PICTURE)
        for warning in pool_warnings(last_pool(run)):
            run.warn(warning)
        warn_of_unscanned(run)
    numbers = process_numbers(run)
    if len(numbers) > 1:
        run.warn(
            f"trained by {', then '.join(map(str, numbers))} processes: sums in another order differ in their last "
            "digits, and a training by any one of these numbers will not end with the same bits"
        )
    sweep = load_sweep(run)
    return {
        "best_epoch": state.best_epoch + 1,
        "epochs": state.epochs,
        "loss_changed": state.focal_reason or None,
        "learning_rate": sweep,
        "hard_negatives": mined,
    }
