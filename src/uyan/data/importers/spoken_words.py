"""Multilingual Spoken Words Corpus (Mazumder et al. 2021), one language: clips/WORD/….opus and LANGUAGE_splits.csv.

Its words are cut from Common Voice, whose speakers keep their ids: one person in both stays one.
"""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, expect, rows_of
from uyan.data.recording import OfficialSplit
from uyan.errors import DataError

LICENSE = "CC BY 4.0"
SETS: dict[str, OfficialSplit] = {"TRAIN": "train", "DEV": "validation", "TEST": "test"}
COLUMNS = ("SET", "LINK", "WORD", "VALID", "SPEAKER")
UNKNOWN = ("", "NA")


def find(folder: Path) -> Iterator[Found]:
    """Every valid clip a keyword."""
    expect(folder, ("clips",), "one language of the Multilingual Spoken Words Corpus")
    tables = sorted({*folder.glob("*_splits.csv"), *(folder / "splits").glob("*_splits.csv")})
    if len(tables) != 1:
        raise DataError(f"{folder}: has {len(tables)} tables like tr_splits.csv; put the one of this language there")
    for row in rows_of(tables[0], COLUMNS):
        if row["VALID"].lower() == "true":
            speaker = "" if row["SPEAKER"] in UNKNOWN else f"cv:{row['SPEAKER']}"
            split = SETS.get(row["SET"].upper(), "")
            yield Found(f"clips/{row['LINK']}", "keyword", row["WORD"], LICENSE, speaker, split, row["WORD"])
