"""All stages in order; each finds what the ones before it left in the run's folder and in the cache.

Where several processes train together, the first does every other stage, for all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from uyan.bundle import Bundle
from uyan.pipeline.calibrate import calibrate
from uyan.pipeline.evaluate import evaluate
from uyan.pipeline.export import export_bundle
from uyan.pipeline.near_test import near_recordings
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.train import train_network
from uyan.pipeline.workspace import Workspace
from uyan.training.fit import WEIGHTS

Stage = Literal["check", "split", "features", "train", "calibrate", "evaluate", "export"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Outcome:
    """What a whole run gives."""

    bundle: Bundle
    metrics: dict[str, Any]


def run_until(
    run: Workspace, last: Stage = "export", elsewhere: Callable[[Workspace], None] | None = None
) -> Outcome | None:
    """Run every stage up to `last`; the outcome after `export`, None before, and in processes that only train.

    `elsewhere` has the network trained in the run's folder by others.
    """
    wanted = STAGES[: STAGES.index(last) + 1]
    run.ranks.from_first(run.open)
    material = shared_material(run, wanted)
    if material is None or "train" not in wanted:
        return None
    if elsewhere and not (run.training / WEIGHTS).is_file():
        elsewhere(run)
    network = train_network(run, material)
    if "calibrate" not in wanted or not run.ranks.first:
        return None
    calibrated = calibrate(run, material, network)
    if "evaluate" not in wanted:
        return None
    metrics = evaluate(run, material, calibrated)
    if "export" not in wanted:
        return None
    return Outcome(export_bundle(run, calibrated, metrics), metrics)


def shared_material(run: Workspace, wanted: Sequence[Stage]) -> Material | None:
    """What the stages before training make, in every process; None where features are not wanted."""
    made: list[Material | None] = []

    def prepare() -> tuple[Any, ...] | None:
        made.append(_prepared(run, wanted))
        found = made[0]
        return None if found is None else (found.members, found.cmvn, found.words, found.variants, run.window_s)

    told = run.ranks.from_first(prepare)
    if made or told is None:
        return made[0] if made else None
    members, cmvn, words, variants, run.window_s = told
    return Material(members, run.cache(), cmvn, words, variants)


def _prepared(run: Workspace, wanted: Sequence[Stage]) -> Material | None:
    near_recordings(run.near_manifests, run.recipe.keyword)  # hours before they judge
    report = check_recordings(run)
    members = split_recordings(run, report) if "split" in wanted else []
    return make_features(run, members) if "features" in wanted else None
