"""The trunk file or bundle that `training.init` names, read and checked for what it has heard."""

from collections.abc import Sequence
from pathlib import Path

from uyan.bundle import load
from uyan.data.member import Member
from uyan.errors import ConfigError
from uyan.export.onnx_weights import bundle_weights
from uyan.frontend import HOP_S
from uyan.pipeline.heard import heard_in
from uyan.pipeline.run_folder import RunFolder
from uyan.pipeline.workspace import Workspace
from uyan.training.config import START_FILES
from uyan.training.trunk import Shape, Trunk, TrunkInfo, guard_trunk, load_trunk

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
    if run.start_file is None:
        return None
    path = _start_file(run)
    trunk = path.suffix == TRUNK_SUFFIX
    frames = load_trunk(path).info.shape.window_frames if trunk else load(path).info.window_frames
    return round(frames * HOP_S, 2)


def _start_file(run: Workspace) -> Path:
    path = run.start_file
    if path is None or not path.is_file():
        raise ConfigError(f"training.init: {path} does not exist; paths are relative to the recipe")
    return path


def _trunk_of_bundle(run: Workspace, path: Path) -> Trunk:
    bundle = load(path)
    size, weights = bundle_weights(bundle)
    shape = Shape(size, bundle.info.window_frames, bundle.info.frontend.mels, bundle.info.frontend.digest())
    heard = heard_in(RunFolder(bundle, path.parent), {"train"})
    for gap in heard.gaps:
        run.warn(
            f"training.init: {gap}: whether {path.name} has heard this run's validation and test speakers cannot be "
            "checked, and the figures may flatter"
        )
    info = TrunkInfo(shape, (bundle.info.label,), heard.learnt, bundle.info.config_hash)
    return Trunk(path, info, weights, complete=not heard.gaps)
