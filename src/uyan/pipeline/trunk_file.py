"""The trunk file or bundle that `training.init` names, read and checked for what it has heard."""

from collections.abc import Sequence
from pathlib import Path

from uyan.bundle import load
from uyan.data.split import SPLITS_FILE, Member
from uyan.errors import ConfigError
from uyan.export.onnx_weights import bundle_weights
from uyan.frontend import HOP_S
from uyan.pipeline.heard import heard_in
from uyan.pipeline.workspace import CONFIG, Workspace
from uyan.recipe import load_recipe
from uyan.training.config import START_FILES, STARTS
from uyan.training.trunk import Learnt, Shape, Trunk, TrunkInfo, guard_trunk, load_trunk

TRUNK_SUFFIX, BUNDLE_SUFFIX = START_FILES


def checked_trunk(run: Workspace, members: Sequence[Member]) -> Trunk:
    """The file that `training.init` names.

    Raises ConfigError when there is none, LeakageError when it has heard what judges this run.
    """
    path = _start_file(run)
    trunk = load_trunk(path) if path.suffix == TRUNK_SUFFIX else _trunk_of_bundle(run, path)
    if trunk.info.learnt:
        guard_trunk(trunk.info.learnt, members, path)
    return trunk


def start_window_s(run: Workspace) -> float | None:
    """The window of the file that `training.init` names; None where it names none. Raises as `checked_trunk`."""
    if run.recipe.training.init in STARTS:
        return None
    path = _start_file(run)
    trunk = path.suffix == TRUNK_SUFFIX
    frames = load_trunk(path).info.shape.window_frames if trunk else load(path).info.window_frames
    return round(frames * HOP_S, 2)


def _start_file(run: Workspace) -> Path:
    path = run.base / run.recipe.training.init
    if not path.is_file():
        raise ConfigError(f"training.init: {path} does not exist; paths are relative to the recipe")
    return path


def _trunk_of_bundle(run: Workspace, path: Path) -> Trunk:
    bundle = load(path)
    size, weights = bundle_weights(bundle)
    shape = Shape(size, bundle.info.window_frames, bundle.info.frontend.mels, bundle.info.frontend.digest())
    learnt = _learnt_beside(run, path)
    return Trunk(path, TrunkInfo(shape, (bundle.info.label,), learnt, bundle.info.config_hash), weights)


def _learnt_beside(run: Workspace, bundle: Path) -> Learnt | None:
    """What a bundle learnt from, by the `splits.csv` of its run's folder; a bundle itself does not say."""
    learnt = heard_in(bundle.parent, {"train"})
    if learnt is None:
        run.warn(
            f"{bundle.name} does not say who it learnt from, and no {SPLITS_FILE} lies beside it: whether it has heard "
            "this run's validation and test speakers cannot be checked, and the figures may flatter"
        )
    elif _start_of(bundle.with_name(CONFIG)) not in STARTS:
        run.warn(
            f"{bundle.name} may have been made from yet another trunk or bundle: only what its own run trained on is "
            "checked against this run's validation and test speakers"
        )
    return learnt


def _start_of(config: Path) -> str:
    """What the run of a `config.yaml` started from; empty where that file is none of ours."""
    try:
        return load_recipe(config).training.init
    except ConfigError:
        return ""
