"""What a bundle has heard before: whatever taught it, or chose its epoch and threshold.

A bundle itself does not say; its run's folder does. `splits.csv` has the recordings of the manifests; `heard.json` what
else was heard, if anything: recordings that were only mined (`mining.manifests`), and what the trunk or bundle had
heard that the training started from. Both are read as if a stranger had written them. It knows nothing of networks.
"""

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from uyan.data.member import SPLITS_FILE
from uyan.data.recording import unknown_speaker_id
from uyan.errors import DataError
from uyan.files import replacing
from uyan.pipeline.run_folder import NotThere, RunFolder, Wrong
from uyan.training.config import STARTS
from uyan.training.trunk import Learnt

HEARD_FILE = "heard.json"
FORMAT = 1
MAX_LIST_BYTES = 128 * 1024**2
"""Either file is smaller: 2.5 million recordings."""
Source = Literal["mined", "start"]
_GAPS: Mapping[Source, str] = {
    "mined": f"no {HEARD_FILE} says which recordings were mined",
    "start": f"no {HEARD_FILE} says all that the trunk or bundle had heard that the training started from",
}
_COLUMNS = ("path", "speaker_id", "split", "group", "counted", "excluded", "content_sha1")


class Listed(NamedTuple):
    """What was heard from one source."""

    learnt: Learnt
    complete: bool = True
    """Whether that is all of it."""


@dataclass(frozen=True)
class Heard:
    """What a bundle has heard, as far as its run's folder says."""

    learnt: Learnt
    gaps: tuple[str, ...]
    """What the folder does not say, in words."""


def heard_in(run: RunFolder, splits: Collection[str]) -> Heard:
    """What took part in these splits of a run, and what else it heard. Raises DataError for a file that is damaged."""
    listed = read_listed(run.path)
    taken = _taken(run.path / SPLITS_FILE, splits)
    learnt = reduce(or_, (each.learnt for each in listed.values()), taken or Learnt())
    if taken is None:
        return Heard(learnt, (f"no {SPLITS_FILE} beside {run.bundle.path.name}",))
    unsaid = {source for source, each in listed.items() if not each.complete} | (_used(run) - set(listed))
    return Heard(learnt, tuple(text for source, text in _GAPS.items() if source in unsaid))


def read_listed(folder: Path) -> dict[Source, Listed]:
    """What the `heard.json` of a run's folder lists; empty where there is none. Raises DataError for a damaged file."""
    file = folder / HEARD_FILE
    if not _is_there(file):
        return {}
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']!r}; this uyan reads format {FORMAT}")
        return {source: _listed(raw[source]) for source in _GAPS if source in raw}
    except (KeyError, TypeError, ValueError, RecursionError) as reason:
        raise _damaged(file, reason) from reason


def write_listed(folder: Path, listed: Mapping[Source, Listed]) -> None:
    """Write `heard.json`, in place of any that is there; none where nothing else was heard."""
    file = folder / HEARD_FILE
    if not listed:
        file.unlink(missing_ok=True)
        return
    raw = {source: {**each.learnt.to_raw(), "complete": each.complete} for source, each in listed.items()}
    with replacing(file) as partial:
        partial.write_text(json.dumps({"format": FORMAT, **raw}, ensure_ascii=False), encoding="utf-8")


def add_mined(folder: Path, learnt: Learnt) -> None:
    """Add what a round of mining has heard."""
    listed = read_listed(folder)
    before = listed["mined"].learnt if "mined" in listed else Learnt()
    write_listed(folder, {**listed, "mined": Listed(before | learnt)})


def _listed(raw: Any) -> Listed:
    if type(raw["complete"]) is not bool:
        raise TypeError("complete is neither true nor false")
    return Listed(Learnt.from_raw(raw), raw["complete"])


def _used(run: RunFolder) -> set[Source]:
    """What else a run has heard by its configuration; anything where that cannot be read."""
    try:
        training, mining = run.fields["training"], run.fields["mining"]
        used: dict[Source, bool] = {
            "mined": bool(mining.get("rounds", True) and mining.get("manifests")),
            "start": training.get("init", STARTS[0]) not in STARTS,
        }
    except (NotThere, Wrong, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, OSError):
        return {"mined", "start"}
    return {source for source, is_used in used.items() if is_used}


def _taken(file: Path, splits: Collection[str]) -> Learnt | None:
    """Every take of what these splits counted, repeated ones too; None where there is no such file."""
    if not _is_there(file):
        return None
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            _require_columns(table.fieldnames)
            rows = [_texts_only(row) for row in table]
        counted = (row for row in rows if row["counted"] == "1" and not row["excluded"])
        groups = {row["group"] for row in counted if row["split"] in splits}
        takes = [row for row in rows if row["group"] in groups]
        speakers = {row["speaker_id"] for row in takes if row["speaker_id"] != unknown_speaker_id(row["path"])}
        return Learnt(frozenset(speakers), frozenset(row["content_sha1"] for row in takes))
    except (KeyError, TypeError, ValueError, csv.Error) as reason:
        raise _damaged(file, reason) from reason


def _require_columns(names: Sequence[str] | None) -> None:
    if missing := [name for name in _COLUMNS if name not in (names or ())]:
        raise ValueError(f"no column {missing[0]}")


def _texts_only(row: dict[str, Any]) -> dict[str, str]:
    """The row, if it has as many fields as the header."""
    if not all(isinstance(value, str) for value in row.values()):
        raise ValueError("a row has more or fewer fields than the header")
    return row


def _is_there(file: Path) -> bool:
    """Whether there is such a file. Raises DataError for one that is larger than uyan writes it."""
    if not file.is_file():
        return False
    if file.stat().st_size > MAX_LIST_BYTES:
        raise DataError(f"{file}: larger than {MAX_LIST_BYTES // 1024**2} MiB; not a list of recordings of uyan")
    return True


def _damaged(file: Path, reason: Exception) -> DataError:
    return DataError(f"{file}: not a list of recordings as uyan writes it ({reason!r:.200})")
