"""The recordings of a finished run, prepared again: the same split and statistics, or a reason why not.

In a temporary folder, on the recordings the run's manifests name and the features in its cache, which is filled where
some are missing. It changes nothing in the run's folder.
"""

import filecmp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from uyan.data.member import SPLITS_FILE
from uyan.engine.parallel import Progress
from uyan.errors import AudioError, ConfigError, DataError, LeakageError
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.run_folder import STATS, NotThere, RunFolder, Wrong, nearest_base
from uyan.pipeline.workspace import Workspace
from uyan.storage.access import is_file


@contextmanager
def prepared_again(run: RunFolder, base: Path | None, progress: Progress) -> Iterator[tuple[Workspace, Material]]:
    """A workspace in a folder of its own and the run's material; the recipe's paths are relative to `base`.

    By default that is the nearest folder, from the run's upwards, in which its manifests are. Raises NotThere when the
    recordings or the cache are gone, Wrong when the split, the statistics or the window come out otherwise.
    """
    there = Workspace(run.recipe, base or nearest_base(run), run.path)
    _require_manifests(run, there)
    if not there.cache_folder.is_dir():
        raise NotThere(f"the cache {there.cache_folder} is gone; `uyan features` with the run's recipe makes it")
    cache = run.recipe.cache.model_copy(update={"folder": str(there.cache_folder.absolute())})
    with TemporaryDirectory() as folder:
        recipe = run.recipe.model_copy(update={"cache": cache})
        again = Workspace(recipe, there.base, Path(folder), progress)
        material = _prepared(again)
        for name in (SPLITS_FILE, STATS):
            if not filecmp.cmp(again.out / name, run.path / name, shallow=False):
                raise Wrong(f"{name} comes out otherwise from these recordings")
        if again.window_frames != run.bundle.info.window_frames:
            raise Wrong(f"window: {run.bundle.info.window_frames} frames, but {again.window_frames} come out")
        yield again, material


def _require_manifests(run: RunFolder, there: Workspace) -> None:
    missing = next((source for source in there.sources if not is_file(source)), None)
    if missing:
        raise NotThere(f"{missing} is not there")
    if there.manifests_digest() != run.metrics["manifests_sha256"]:
        raise NotThere(f"the manifests in {there.base} are not those of the run: they have another checksum")


def _prepared(again: Workspace) -> Material:
    try:
        return make_features(again, split_recordings(again, check_recordings(again)))
    except LeakageError:
        raise
    except (DataError, AudioError, ConfigError, OSError) as reason:
        raise NotThere(f"the recordings are no longer those of the run ({reason})") from reason
