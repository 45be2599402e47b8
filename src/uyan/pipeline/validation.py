"""What a trained network misses on the validation split, with its denominators: how trials of a search are judged.

The streams, the decision rule and the figure are those that choose the epoch (`selection`). The test split has no part
in it: no features are made of it, and nothing of it is scored.
"""

import json
from typing import Any

import numpy as np

from uyan import __version__
from uyan.evaluation.intervals import poisson_rate
from uyan.evaluation.metrics import area_over_fah
from uyan.evaluation.pooling import misses_by_speaker
from uyan.evaluation.scores import missed
from uyan.files import replacing
from uyan.pipeline.prepare import check_recordings, make_features, split_recordings
from uyan.pipeline.selection import MAX_FAH, ValidationStreams, heard_on_validation, missed_at
from uyan.pipeline.train import train_network
from uyan.pipeline.workspace import Workspace

VALIDATION = "validation.json"


def train_and_validate(run: Workspace) -> dict[str, Any]:
    """Train, or resume, and write `validation.json`; returns what it holds."""
    run.open()
    material = make_features(run, split_recordings(run, check_recordings(run)))
    network = train_network(run, material)
    detector, target_fah = run.recipe.detector, run.recipe.calibration.target_fah
    heard = heard_on_validation(network, ValidationStreams(run, material), detector, target_fah)
    conditions = {}
    for name, (tracks, curve) in heard.items():
        at_target = missed_at(curve, target_fah)
        lost = missed(tracks, at_target.threshold, detector) if at_target.met else [True] * len(tracks)
        conditions[name] = {
            **{key: getattr(at_target, key) for key in ("misses", "positives", "miss_rate", "met", "false_alarms")},
            "area": area_over_fah(curve, MAX_FAH),
            "per_speaker": misses_by_speaker(tracks, map(bool, lost)),
        }
    hours = next(iter(heard.values()))[1].hours
    figures = {
        "keyword": run.recipe.keyword,
        "uyan": __version__,
        "config_hash": run.recipe.digest(),
        "manifests_sha256": run.manifests_digest(),
        "target_fah": target_fah,
        "miss_rate": float(np.mean([found["miss_rate"] for found in conditions.values()])),
        "area": float(np.mean([found["area"] for found in conditions.values()])),
        "hours": hours,
        "supported": poisson_rate(0, hours).high <= target_fah,
        "conditions": conditions,
        "warnings": run.warnings,
    }
    with replacing(run.out / VALIDATION) as partial:
        partial.write_text(json.dumps(figures, indent=1, ensure_ascii=False), encoding="utf-8")
    return figures
