"""The log of a training, epoch by epoch, from the CSV files that its trainer wrote, one a stretch between searches.

It knows nothing of networks; columns are those of the trainer's logger.
"""

import math
from pathlib import Path

from uyan.errors import EvaluationError
from uyan.report.reading import read_columns

LOGS = Path("training/logs")
COLUMNS = ("loss", "val_loss", "val_miss_rate", "val_area")


def read_log(run_folder: Path) -> dict[str, dict[int, float]]:
    """Column → epoch (from 1) → value, epochs ascending; empty where the run kept no log.

    An epoch that was trained again, after an interruption, counts as it was the last time. Raises EvaluationError for
    a file that cannot be read.
    """
    found: dict[str, dict[int, float]] = {}
    for file in sorted((run_folder / LOGS).glob("version_*/metrics.csv"), key=_version):
        columns = read_columns(file, "uyan run")
        try:
            epochs = [int(epoch) + 1 for epoch in columns["epoch"]]
            for name in COLUMNS:
                values = zip(epochs, columns.get(name, []), strict=False)
                found.setdefault(name, {}).update({epoch: float(text) for epoch, text in values if text})
        except (KeyError, ValueError) as reason:
            raise EvaluationError(
                f"{file}: no training log ({reason!r}); remove it, or run `uyan run` again"
            ) from reason
    return {name: _finite(values) for name, values in found.items() if values}


def _version(file: Path) -> tuple[int, str]:
    number = file.parent.name.removeprefix("version_")
    return (int(number) if number.isdecimal() else 0), number


def _finite(values: dict[int, float]) -> dict[int, float]:
    return {epoch: values[epoch] for epoch in sorted(values) if math.isfinite(values[epoch])}
