"""Calibration once more, for a bundle that is there already: split, statistics, temperature and threshold from scratch.

It says what differs from the bundle; it knows nothing of the test split.
"""

from pathlib import Path

import numpy as np

from uyan.engine.parallel import Progress
from uyan.pipeline.calibrate import Calibrated, calibrate
from uyan.pipeline.prepared_again import prepared_again
from uyan.pipeline.run_folder import RunFolder, Wrong

TOLERANCE = 1e-4
"""Of temperature and threshold: other machines round otherwise."""


def recalibrate(run: RunFolder, base: Path | None, progress: Progress) -> str:
    """What came out, if it is what the bundle has; the recipe's paths are relative to `base`.

    By default that is the nearest folder, from the run's upwards, in which its manifests are. Raises NotThere when the
    recordings or the cache are gone, Wrong when anything comes out otherwise.
    """
    with prepared_again(run, base, progress) as (again, material):
        return _compared(run, calibrate(again, material, run.network))


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
