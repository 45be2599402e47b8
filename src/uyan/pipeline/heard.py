"""What a bundle has heard before: the recordings its run trained on, and those that chose its epoch and threshold.

A bundle itself does not say; `splits.csv` in its run's folder does. It knows nothing of networks.
"""

import csv
from collections.abc import Collection
from pathlib import Path

from uyan.data.recording import unknown_speaker_id
from uyan.data.split import SPLITS_FILE
from uyan.errors import DataError
from uyan.training.trunk import Learnt


def heard_in(run_folder: Path, splits: Collection[str]) -> Learnt | None:
    """What took part in these splits of a run; None where it left no `splits.csv`. Raises DataError for another file.

    >>> heard_in(Path("no such folder"), {"train"}) is None
    True
    """
    file = run_folder / SPLITS_FILE
    if not file.is_file():
        return None
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.DictReader(lines) if row["split"] in splits]
        taken = [row for row in rows if row["counted"] == "1" and not row["excluded"]]
        speakers = {row["speaker_id"] for row in taken if row["speaker_id"] != unknown_speaker_id(row["path"])}
        return Learnt(frozenset(speakers), frozenset(row["content_sha1"] for row in taken))
    except (KeyError, TypeError, ValueError, csv.Error) as reason:
        raise DataError(f"{file}: not a list of recordings as uyan writes it ({reason!r})") from reason
