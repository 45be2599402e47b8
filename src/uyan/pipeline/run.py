"""All stages in order; each finds what the ones before it left in the run's folder and in the cache."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from uyan.bundle import Bundle
from uyan.pipeline.calibrate import calibrate
from uyan.pipeline.evaluate import evaluate
from uyan.pipeline.export import export_bundle
from uyan.pipeline.prepare import check_recordings, make_features, split_recordings
from uyan.pipeline.train import train_network
from uyan.pipeline.workspace import Workspace

Stage = Literal["check", "split", "features", "train", "calibrate", "evaluate", "export"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Outcome:
    """What a whole run gives."""

    bundle: Bundle
    metrics: dict[str, Any]


def run_until(run: Workspace, last: Stage = "export") -> Outcome | None:
    """Run every stage up to `last`; the outcome after `export`, None before."""
    run.open()
    wanted = STAGES[: STAGES.index(last) + 1]
    report = check_recordings(run)
    if "split" not in wanted:
        return None
    members = split_recordings(run, report)
    if "features" not in wanted:
        return None
    material = make_features(run, members)
    if "train" not in wanted:
        return None
    network = train_network(run, material)
    if "calibrate" not in wanted:
        return None
    calibrated = calibrate(run, material, network)
    if "evaluate" not in wanted:
        return None
    metrics = evaluate(run, material, calibrated)
    if "export" not in wanted:
        return None
    return Outcome(export_bundle(run, calibrated, metrics), metrics)
