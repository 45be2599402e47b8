"""The K-fold of a recipe for its report: means with intervals, and the pooled curves where the folds' tracks are there.

Each fold counts the same in the mean, whose interval is Student's over folds; the pooled figures count every recording
once. It knows nothing of runs.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from uyan.evaluation.metrics import det_curve
from uyan.evaluation.pooling import Pool, pool
from uyan.evaluation.scores import loudest, stretch_scores, strict_curve
from uyan.evaluation.track_file import load_tracks
from uyan.report.curves import det_picture, fah_picture, furthest_fah
from uyan.report.kfold_contents import KFold
from uyan.report.svg import Picture

TRACKS = "tracks.npz"


@dataclass(frozen=True)
class Mean:
    """Of the folds' rates."""

    mean: float
    margin: float
    """Half of the 95 % interval."""


def mean_of(rates: list[float], confidence: float = 0.95) -> Mean:
    """Mean of at least two folds' rates, with Student's interval.

    >>> found = mean_of([0.1, 0.2, 0.3])  # standard error 0.0577, t(0.975; 2) = 4.303
    >>> round(found.mean, 3), round(found.margin, 4)
    (0.2, 0.2484)
    """
    error = float(np.std(rates, ddof=1)) / math.sqrt(len(rates))
    return Mean(float(np.mean(rates)), float(student.ppf((1 + confidence) / 2, len(rates) - 1)) * error)


def pooled_pictures(kfold: KFold, beside: Path) -> list[Picture]:
    """Pooled miss rate against FAH, and DET, from the folds' tracks below the folder `beside`; none where one lacks.

    Raises EvaluationError for damaged tracks.
    """
    files = [beside / Path(fold.out).name / TRACKS for fold in kfold.folds]
    if not all(file.is_file() for file in files):
        return []
    pooled = pool([load_tracks(file) for file in files])
    positives = {name: [t for f in pooled.folds for t in f.conditions[name]] for name in pooled.folds[0].conditions}
    negatives = [track for fold in pooled.folds for track in fold.negatives]
    furthest = furthest_fah(pooled.hours, [kfold.false_alarms.fah])
    curves = {name: strict_curve(heard, negatives, pooled.detector, furthest) for name, heard in positives.items()}
    shipped = {
        name: (kfold.false_alarms.fah, condition.shipped.miss_rate)
        for name, condition in kfold.conditions.items()
        if name in curves
    }
    return [fah_picture(curves, shipped), _det(pooled)]


def _det(pooled: Pool) -> Picture:
    """Of the first condition, all folds together."""
    first = next(iter(pooled.folds[0].conditions))
    heard = np.concatenate([loudest(fold.conditions[first], fold.detector) for fold in pooled.folds])
    other = np.concatenate([stretch_scores(fold.negatives, fold.detector) for fold in pooled.folds])
    return det_picture(det_curve(heard, other))
