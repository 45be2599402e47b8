"""Common Voice (Ardila et al. 2020), one language: clips/….mp3 and validated.tsv, train.tsv, dev.tsv, test.tsv."""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, expect, rows_of
from uyan.data.recording import OfficialSplit

LICENSE = "CC0 1.0"
REST = "validated.tsv"
"""All that people confirmed; read last, what is in no official split has none."""
TABLES: dict[str, OfficialSplit] = {"test.tsv": "test", "dev.tsv": "validation", "train.tsv": "train", REST: ""}


def find(folder: Path) -> Iterator[Found]:
    """Every sentence a negative."""
    expect(folder, tuple(TABLES), "one language of Common Voice")
    seen = set()
    for name, split in TABLES.items():
        if not (folder / name).exists():
            continue
        for row in rows_of(folder / name, ("client_id", "path", "sentence")):
            if row["path"] not in seen:
                seen.add(row["path"])
                speaker = f"cv:{row['client_id']}" if row["client_id"] else ""
                yield Found(f"clips/{row['path']}", "negative", "speech", LICENSE, speaker, split, row["sentence"])
