"""Where a run's batches come from: features that stay on the device where they fit, or else loader processes and files.

The two draw from the same distribution, but not the same numbers: what was decided before the first step is written
beside the checkpoints, and a run that is resumed keeps to it, whatever memory there is by then. What runs side by side
is decided once for all of it (`settle`); the first of processes that train together decides, and each holds all
features.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Literal

import torch

from uyan.data.cache import BYTES, GIB
from uyan.data.examples import ExampleMaker
from uyan.data.machine_memory import machine_memory_bytes
from uyan.data.resident.resident_features import ResidentFeatures
from uyan.data.resident.takes import Takes
from uyan.errors import ConfigError, TrainingError
from uyan.files import replacing
from uyan.pipeline.feature_room import room_bytes
from uyan.pipeline.workspace import Tell, Workspace
from uyan.training.fit import CHECKPOINT

DECISION = "loader.json"
Loader = Literal["resident", "files"]


@dataclass(frozen=True)
class Decision:
    """What was decided, and by which numbers."""

    loader: Loader
    feature_bytes: int
    """What all features would take if every recording trained."""
    budget_bytes: int
    device: str
    sharers: int = 1
    """Among whom the memory was divided: processes that train together, or as many compared runs as there are cores."""
    processes: int = 1
    """That train together, as the run was begun: with others, sums come out in another order."""
    later: tuple[int, ...] = ()
    """Each other number of processes that it went on with."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of processes, in turn."""
        return (self.processes, *self.later)


def resident_features(run: Workspace, train: ExampleMaker, validation: ExampleMaker) -> ResidentFeatures | None:
    """The features of both on the device, or None where loader processes read them; says which, and why.

    Raises ConfigError where `data.loader` asks for features that no memory here can hold.
    """
    taken: list[Takes] = []

    def chosen() -> Loader:
        asked, earlier = run.recipe.data.loader, _earlier(run)
        decided = earlier or replace(_alone(run), processes=run.ranks.count)
        if decided.numbers[-1] != run.ranks.count:
            decided = _went_on(run, decided)
        if asked == "files" or (earlier and earlier.loader == "files"):
            run.tell("features: read from files by loader processes" + _because(asked))
            decided = replace(decided, loader="files")
        elif asked == "resident" or decided.loader == "resident":
            taken.append(Takes([train, validation]))
            size = _resident_size(run, train, taken[0])
            run.tell(f"features: {size}, resident on {device}{', as it began' if earlier else _because(asked)}")
            decided = replace(decided, loader="resident")
        else:
            run.tell(_numbers(decided))
        if not (run.training / DECISION).is_file() or (earlier and decided.numbers != earlier.numbers):
            _write(run, decided)
        return decided.loader

    device = training_device()
    if run.ranks.from_first(chosen) == "files":
        return None
    train.cache.reset()  # what it holds would be here twice
    takes = taken[0] if taken else Takes([train, validation])
    return ResidentFeatures(train.cache, takes, device, _spare_frames(run, train), run.progress)


def _went_on(run: Workspace, decided: Decision) -> Decision:
    """With another number of processes; a run without a checkpoint begins with them."""
    count = run.ranks.count
    if not (run.training / CHECKPOINT).is_file():
        return replace(decided, processes=count)
    run.tell(
        f"processes: {count}, where this training was begun with {decided.processes}; it goes on, to weights that "
        "differ as sums in another order do"
    )
    return replace(decided, later=(*decided.later, count))


def process_numbers(run: Workspace) -> tuple[int, ...]:
    """How many processes trained the run together: at first, and each other number in turn.

    Raises TrainingError where it cannot be read.
    """
    decided = _earlier(run)
    return decided.numbers if decided else (1,)


def _resident_size(run: Workspace, train: ExampleMaker, takes: Takes) -> str:
    """Of the features. Raises ConfigError where the device cannot hold them, once for every process that shares it."""
    needed, device = takes.nbytes + _spare_frames(run, train) * train.cache.config.mels * BYTES, training_device()
    sharers = run.ranks.local_count if device.type == "cpu" else 1
    size = _size(needed)
    if needed * sharers > memory_bytes(device):
        each = f" for each of {sharers} processes" if sharers > 1 else ""
        raise ConfigError(
            f"features: {size}{each}, but {device} has {_size(memory_bytes(device))} of memory in all; set data.loader "
            "to files with another --out, or train where there is more"
        )
    return size


def training_device() -> torch.device:
    """Where batches are made: the GPU that trains, or else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def memory_bytes(device: torch.device) -> int:
    """All memory of a device that this process may take."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine_memory_bytes()


def _spare_frames(run: Workspace, train: ExampleMaker) -> int:
    """Room for windows of recordings that are only mined, each with what a crop around it can hear."""
    around = 2 * train.longest_frames - run.window_frames
    return run.recipe.mining.max_windows * around if run.mined_manifests else 0


def _size(count: int) -> str:
    """Bytes for people.

    >>> _size(2_400_000_000), _size(300_000)
    ('2.2 GB', '0.3 MB')
    """
    return f"{count / GIB:.1f} GB" if count >= GIB // 10 else f"{count / 1024**2:.1f} MB"


def _because(asked: str) -> str:
    return "" if asked == "auto" else f", as data.loader: {asked} asks"


def _earlier(run: Workspace) -> Decision | None:
    """What was decided when this run began; None for one that begins now."""
    file = run.training / DECISION
    if not file.is_file():
        # Begun before there was a choice.
        began = (run.training / CHECKPOINT).is_file()
        return replace(_alone(run), loader="files") if began else None
    try:
        found = Decision(**json.loads(file.read_text(encoding="utf-8")))
        return replace(found, later=tuple(found.later))
    except (OSError, ValueError, TypeError) as reason:
        raise TrainingError(f"{file}: not readable ({reason}); delete {file.parent} to train again") from reason


def _write(run: Workspace, decision: Decision) -> None:
    with replacing(run.training / DECISION) as partial:
        partial.write_text(json.dumps(asdict(decision), indent=1), encoding="utf-8")


def settle(runs: Sequence[Workspace], feature_bytes: int, tell: Tell) -> None:
    """Decide once for runs that are compared, before they start; `feature_bytes` is what the largest of them takes.

    Those whose recipe leaves it open and that have not begun go the way of the first that has, or else of the numbers.
    Raises TrainingError where an earlier decision cannot be read.
    """
    undecided = [run for run in runs if run.recipe.data.loader == "auto"]
    earlier = [_earlier(run) for run in undecided]
    if all(earlier):
        return
    decided = _decided(feature_bytes, undecided, os.cpu_count() or 1)
    begun = next(filter(None, earlier), None)
    if begun:
        decided = replace(decided, loader=begun.loader)
    else:
        tell(_numbers(decided))
    for run, found in zip(undecided, earlier, strict=True):
        if not found:
            _write(run, decided)


def _alone(run: Workspace) -> Decision:
    """For a run beside which nothing else is compared; its processes on one computer without a GPU share the memory."""
    return _decided(run.feature_bytes, [run], run.ranks.local_count if training_device().type == "cpu" else 1)


def _decided(feature_bytes: int, runs: Sequence[Workspace], sharers: int) -> Decision:
    """By the numbers, of which the recipes may name the room."""
    device = training_device()
    gpu_bytes = memory_bytes(device) if device.type == "cuda" else None
    room = min(room_bytes(run.recipe, gpu_bytes, sharers) for run in runs)
    return Decision("resident" if feature_bytes <= room else "files", feature_bytes, room, str(device), sharers)


def _numbers(decided: Decision) -> str:
    """The decision for people."""
    size = _size(decided.feature_bytes)
    share = f"one of {decided.sharers} shares of" if decided.sharers > 1 else "theirs on"
    room = f"{_size(decided.budget_bytes)} that are {share} {decided.device}"
    if decided.loader == "resident":
        return f"features: {size} at most, within the {room}; resident"
    return f"features: up to {size}, more than the {room}; read by loader processes, or set data.loader to resident"


@contextmanager
def naming_full_gpu() -> Iterator[None]:
    """Where the memory of a GPU runs out, say what to do: raises TrainingError."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as reason:
        raise TrainingError(
            f"the GPU's memory ran out ({str(reason).splitlines()[0]}); use fewer jobs, lower batches.size, or set "
            "data.loader to files with another --out"
        ) from reason
