"""Where a run happens: its recipe, its folder, and whom it tells about progress."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from uyan.data.cache import FeatureCache, default_budget_gb
from uyan.engine.given_up import NAME as GIVEN_UP
from uyan.engine.given_up import GivenUp
from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError, DataError
from uyan.evaluation.streams import lead_for
from uyan.files import replacing
from uyan.frontend import seconds_to_frames
from uyan.model.network import USUAL_WINDOW_S
from uyan.pipeline.recipe_changes import training_changes
from uyan.ranks import ALONE, Ranks
from uyan.recipe import Recipe, load_recipe
from uyan.storage.access import read_bytes
from uyan.storage.local_copies import GIB, LocalCopies
from uyan.storage.location import Location, locate
from uyan.training.config import STARTS

Tell = Callable[[str], None]
"""Shows the user a line."""

CONFIG, LOCK = "config.yaml", ".lock"
SHOWN_CHANGES = 5


def say_nothing(line: str) -> None:
    """A Tell that shows nothing."""


def file_sha256(file: Location) -> str:
    """sha256 of a file of any size, 64 hex digits. Raises DataError when it cannot be read, StorageError."""
    if not isinstance(file, Path):
        return hashlib.sha256(read_bytes(file)).hexdigest()
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as reason:
        raise DataError(f"{file}: cannot be read ({reason.strerror})") from reason


@dataclass
class Workspace:
    """One run."""

    recipe: Recipe
    base: Path
    """What the recipe's paths are relative to."""
    out: Path
    """The run's folder."""
    progress: Progress = silent
    tell: Tell = say_nothing
    warnings: list[str] = field(default_factory=list)
    """What the reader of any figure must know; part of every report."""
    window_s: float = USUAL_WINDOW_S
    """Of the sliding window; where the recipe leaves it open, settled with the features (`pipeline.window`)."""
    feature_bytes: int = 0
    """What all features would take if every recording trained (`pipeline.feature_room`); settled with them."""
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason of every recording that cannot be used."""
    ranks: Ranks = ALONE
    """This process among those that train together; the first of them opens the run, tells and writes."""

    _held: BaseFileLock | None = field(default=None, init=False, repr=False)
    """Let go with the workspace, and at the latest with the process."""

    def __post_init__(self) -> None:
        if self.recipe.network.window_s != "auto":
            self.window_s = self.recipe.network.window_s

    def open(self, wait_s: float = 0.0) -> None:
        """Create the folder, keep other processes out of it until this one ends, and pin the configuration.

        A process that leaves it within `wait_s` is waited for. Raises ConfigError if weights of another configuration
        lie there (the threshold and the test may change), or if another process is at work in it.
        """
        self._lock(wait_s)
        pinned = self.out / CONFIG
        trained = self.training.is_dir() and pinned.is_file()
        if trained and load_recipe(pinned).training_digest() != self.recipe.training_digest():
            changes = "; ".join(training_changes(load_recipe(pinned), self.recipe)[:SHOWN_CHANGES])
            raise ConfigError(
                f"{self.out} holds a network trained with another configuration ({changes}); choose another --out or "
                "delete it"
            )
        try:
            with replacing(pinned) as partial:
                partial.write_text(self.recipe.to_yaml(), encoding="utf-8")
        except OSError as reason:
            raise ConfigError(f"--out {self.out}: cannot be written ({reason}); choose another folder") from reason

    def _lock(self, wait_s: float) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._held = FileLock(self.out / LOCK, is_singleton=True)
            self._held.acquire(timeout=wait_s)
        except Timeout as reason:
            raise ConfigError(
                f"--out {self.out}: another process is at work there; wait for it, or choose another folder"
            ) from reason
        except OSError as reason:
            raise ConfigError(f"--out {self.out}: cannot be written ({reason}); choose another folder") from reason

    def warn(self, text: str) -> None:
        """Tell the user now, and every reader of the report later."""
        if text not in self.warnings:
            self.warnings.append(text)
            self.tell(f"warning: {text}")

    @property
    def training(self) -> Path:
        """Checkpoints, weights and logs."""
        return self.out / "training"

    @property
    def manifests(self) -> list[Location]:
        """Absolute paths, or URLs."""
        return self._absolute(self.recipe.data.manifests)

    @property
    def mined_manifests(self) -> list[Location]:
        """Those whose recordings are only scanned; none where nothing is."""
        return self._absolute(self.recipe.mining.manifests) if self.recipe.mining.rounds else []

    @property
    def near_manifests(self) -> list[Location]:
        """Those whose recordings almost are the keyword, and only judge."""
        return self._absolute(self.recipe.evaluation.near_words)

    @property
    def start_file(self) -> Path | None:
        """Absolute path of the trunk file or bundle that `training.init` names; None where it names none."""
        init = self.recipe.training.init
        return None if init in STARTS else Path(os.path.normpath(self.base / init))

    @property
    def sources(self) -> list[Location]:
        """Every file that says what is learnt from: manifests, those that are only mined, and the start file."""
        return [*self.manifests, *self.mined_manifests, *([self.start_file] if self.start_file else [])]

    def _absolute(self, names: Iterable[str]) -> list[Location]:
        copies = LocalCopies(self.cache_folder / "remote", int(self.recipe.cache.remote_gb * GIB))
        return [locate(name, self.base, copies) for name in names]

    def manifests_digest(self) -> str:
        """sha256 over the bytes of `sources`, in order, 64 hex digits. Raises DataError when one cannot be read."""
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(bytes.fromhex(file_sha256(source)))
        return digest.hexdigest()

    @property
    def cache_folder(self) -> Path:
        """Features and probes; absolute, since workers need not be at work where this process is."""
        configured = self.recipe.cache.folder
        return (self.base / configured if configured else self.out.parent / "cache").absolute()

    def cache(self) -> FeatureCache:
        """The feature cache, with the recipe's store and its budget, which the processes of one computer divide."""
        folder, configured = self.cache_folder / "features", self.recipe.cache
        store = self._absolute([configured.read_from])[0] if configured.read_from else None
        budget_gb = default_budget_gb() if configured.max_ram_gb is None else configured.max_ram_gb
        return FeatureCache(folder, self.recipe.frontend, budget_gb / self.ranks.local_count, self.tell, store)

    def given_up(self) -> GivenUp:
        """Recordings that kill whoever reads them. Raises DataError where their list cannot be read."""
        return GivenUp(self.cache_folder / GIVEN_UP)

    @property
    def lead_s(self) -> float:
        """Quiet before a positive that is judged: the detector must have scored whole windows before the word."""
        return lead_for(self.window_s)

    @property
    def window_frames(self) -> int:
        """The sliding window, and so the network's receptive field."""
        return seconds_to_frames(self.window_s)
