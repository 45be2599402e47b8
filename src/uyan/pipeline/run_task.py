"""One of several runs: what it is, and whether it is over. It knows nothing of what runs it."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from uyan import __version__
from uyan.pipeline.evaluate import TRACKS
from uyan.pipeline.validation import VALIDATION
from uyan.pipeline.workspace import Workspace
from uyan.recipe import Recipe
from uyan.training.fit import WEIGHTS

BUNDLE, METRICS = "bundle.onnx", "metrics.json"


class RunTask(NamedTuple):
    """One run to do."""

    recipe: Recipe
    base: Path
    """What the recipe's paths are relative to."""
    out: Path
    name: str
    """Stands before every line it tells."""
    judged_on: Literal["test", "validation"] = "test"
    """validation: it is over when its network is trained and judged on that split alone, and nothing is exported."""


def finished(task: RunTask) -> dict[str, Any] | None:
    """The metrics of a run that is over, of this uyan with this very recipe and sources; None otherwise."""
    measured, *others = (METRICS, BUNDLE, TRACKS) if task.judged_on == "test" else (VALIDATION, f"training/{WEIGHTS}")
    if not all((task.out / name).is_file() for name in others):
        return None
    metrics = read_metrics(task.out / measured)
    found = tuple(metrics.get(field) for field in ("uyan", "config_hash", "manifests_sha256"))
    here = Workspace(task.recipe, task.base, task.out).manifests_digest()
    return metrics if found == (__version__, task.recipe.digest(), here) else None


def read_metrics(file: Path) -> dict[str, Any]:
    """What was measured of a run; empty where nothing was, or where the file is damaged."""
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return metrics if isinstance(metrics, dict) else {}
