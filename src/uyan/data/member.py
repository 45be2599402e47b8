"""A recording's place: its split, which take it repeats, why it may take no part; and the table of all of them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from uyan.data.recording import Recording
from uyan.files import replacing

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
SPLITS_FILE = "splits.csv"
"""Where a run's folder says who is where."""


@dataclass(frozen=True, slots=True)
class Member:
    """One recording's place."""

    recording: Recording
    content_sha1: str
    """Of the decoded 16 kHz PCM."""
    duration_s: float
    """Decoded, whatever the manifest says."""
    split: Split
    group: int
    """Near-duplicate group; its own number where there is no other take."""
    counted: bool
    """False for every later take of the same word or recording: it neither trains nor is scored."""
    excluded: str = ""
    """Why the recording takes no part at all; empty otherwise."""
    moved_from: Split | Literal[""] = ""
    """The split that the speaker's place on the circle would have given, where another one was empty."""

    @property
    def active(self) -> bool:
        """Whether the recording is used."""
        return self.counted and not self.excluded


def is_positive(recording: Recording, keyword: str) -> bool:
    """A positive is any keyword row with the recipe's label; every other keyword is negative material."""
    return recording.kind == "keyword" and recording.label == keyword


def save_splits(members: Sequence[Member], path: Path) -> None:
    """Write `splits.csv`: one row a recording, in order."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        columns = (
            "path",
            "label",
            "speaker_id",
            "kind",
            "split",
            "group",
            "counted",
            "excluded",
            "content_sha1",
            "moved",
        )
        table.writerow(columns)
        for m in members:
            r = m.recording
            place = m.split, m.group, int(m.counted), m.excluded, m.content_sha1, m.moved_from
            table.writerow([r.path, r.label, r.speaker_id, r.kind, *place])
