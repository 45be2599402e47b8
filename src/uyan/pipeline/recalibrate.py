"""Calibration once more, for a bundle that is there already: split, statistics, temperature and threshold from scratch.

In a temporary folder, on the recordings the run's manifests name and the features in its cache, which is filled where
some are missing. It says what differs from the bundle; it knows nothing of the test split.
"""

import filecmp
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from uyan.data.parallel import Progress
from uyan.data.split import SPLITS_FILE
from uyan.errors import AudioError, ConfigError, DataError, LeakageError
from uyan.pipeline.calibrate import Calibrated, calibrate
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.run_folder import STATS, NotThere, RunFolder, Wrong, nearest_base
from uyan.pipeline.workspace import Workspace

TOLERANCE = 1e-4
"""Of temperature and threshold: other machines round otherwise."""


def recalibrate(run: RunFolder, base: Path | None, progress: Progress) -> str:
    """What came out, if it is what the bundle has; the recipe's paths are relative to `base`.

    By default that is the nearest folder, from the run's upwards, in which its manifests are. Raises NotThere when the
    recordings or the cache are gone, Wrong when anything comes out otherwise.
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
        calibrated = calibrate(again, material, run.network)
    return _compared(run, calibrated)


def _require_manifests(run: RunFolder, there: Workspace) -> None:
    missing = next((source for source in there.sources if not source.is_file()), None)
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


def _compared(run: RunFolder, calibrated: Calibrated) -> str:
    info, claimed, point = run.bundle.info, run.metrics["calibration"]["operating_point"], calibrated.point
    temperature = calibrated.bundle.info.temperature
    for what, said, found in (
        ("temperature", info.temperature, temperature),
        ("threshold", info.threshold, point.threshold),
        ("averaged threshold", info.tta_threshold, calibrated.tta_point.threshold),
    ):
        if not np.isclose(said, found, rtol=0, atol=TOLERANCE):
            raise Wrong(f"{what}: {said:.6f}, but {found:.6f} comes out on the validation split")
    counted = {"false_alarms": point.false_alarms, "misses": point.misses, "positives": point.positives}
    said_counts = {name: claimed[name] for name in counted}
    if said_counts != counted:
        raise Wrong(f"on the validation split: {said_counts}, but {counted} come out")
    return (
        f"split, statistics, temperature {temperature:.4f} and threshold {point.threshold:.4f} come out again: "
        f"{point.misses} of {point.positives} missed, {point.false_alarms} false alarms in {point.hours:.2f} h"
    )
