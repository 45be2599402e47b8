"""ESC-50 (Piczak 2015): audio/….wav and meta/esc50.csv; clips cut from one recording stay together."""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, expect, rows_of

LICENSE, LICENSE_OF_TEN = "CC BY-NC 3.0", "CC BY 3.0"
"""Of the whole, and of the part called ESC-10."""
COLUMNS = ("filename", "category", "esc10", "src_file")


def find(folder: Path) -> Iterator[Found]:
    """Every clip as noise. Its five folds are no split into training and test, and are not kept as one."""
    expect(folder, ("meta/esc50.csv",), "ESC-50")
    for row in rows_of(folder / "meta" / "esc50.csv", COLUMNS):
        terms = LICENSE_OF_TEN if row["esc10"].lower() == "true" else LICENSE
        yield Found(f"audio/{row['filename']}", "noise", row["category"], terms, f"esc50:{row['src_file']}")
