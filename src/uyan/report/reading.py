"""The files of an evaluation, read and checked before anything is drawn.

Each error names the file, what is wrong in it, and the command that writes it anew. It knows nothing of pages.
"""

import csv
import json
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from uyan.errors import EvaluationError
from uyan.evaluation.metrics import DetCurve, EventCurve
from uyan.report.contents import Metrics

Shape = TypeVar("Shape")


def read_json(path: Path, shape: type[Shape], again: str) -> Shape:
    """A JSON file as `shape`. Raises EvaluationError that names file, field and `again`, the command that mends it."""
    try:
        return TypeAdapter(shape).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as reason:
        first = reason.errors(include_url=False)[0]
        detail = f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
        raise EvaluationError(f"{path}: not what `{again}` writes ({detail}); run it again") from reason
    except (OSError, ValueError, RecursionError) as reason:
        detail = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        raise EvaluationError(f"{path}: cannot be read ({detail}); run `{again}` first") from reason


def read_columns(path: Path, again: str) -> dict[str, list[str]]:
    """A CSV file with a header, by column. Raises EvaluationError, as `read_json` does."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        if any(len(row) != len(head) for row in rows):
            raise ValueError(f"rows without all of its {len(head)} columns")
    except (OSError, ValueError, csv.Error) as reason:
        raise EvaluationError(f"{path}: cannot be read ({reason}); run `{again}` again") from reason
    return {name: [row[at] for row in rows] for at, name in enumerate(head)}


def read_det(path: Path, again: str) -> DetCurve:
    """What `save_det_csv` wrote."""
    columns = read_columns(path, again)
    try:
        thresholds, misses, alarms = (_floats(columns[n]) for n in ("threshold", "miss_rate", "false_alarm_rate"))
        positives, negatives = max(map(int, columns["misses"])), max(map(int, columns["false_alarms"]))
        return DetCurve(thresholds, misses, alarms, positives, negatives)
    except (KeyError, ValueError) as reason:
        raise EvaluationError(f"{path}: no DET curve ({reason!r}); run `{again}` again") from reason


def read_event_curves(path: Path, metrics: Metrics, again: str) -> dict[str, EventCurve]:
    """What `save_event_curves_csv` wrote for these metrics, by condition."""
    columns = read_columns(path, again)
    found = {}
    try:
        names = np.array(columns["condition"])
        thresholds = _floats(columns["threshold"])
        detected, alarms = (np.array(columns[n]).astype(np.int64) for n in ("detected", "false_alarms"))
        for name, condition in metrics.conditions.items():
            at = names == name
            counted = thresholds[at], detected[at], alarms[at]
            found[name] = EventCurve(*counted, condition.positives, metrics.false_alarms.hours)
    except (KeyError, ValueError, EvaluationError) as reason:
        raise EvaluationError(f"{path}: not the curves of metrics.json ({reason}); run `{again}` again") from reason
    return found


def _floats(column: list[str]) -> NDArray[np.float64]:
    values = np.array(column).astype(np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("no rows, or numbers that are none")
    return values
