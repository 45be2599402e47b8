"""The table in a manifest file: CSV or Parquet in, checked, trimmed and typed columns out.

Every rule a row must keep is here, and every message about one that does not: file, row (the header of a CSV
is row 1) and field. It knows nothing of folders and links; what the columns mean is for `manifest` to say.
"""

import csv
import io
import posixpath
from typing import get_args

import polars as pl

from uyan.data.parquet_footer import table_size
from uyan.data.recording import Kind, OfficialSplit, normal_word
from uyan.data.table_file import column_positions, table_bytes, table_text
from uyan.errors import ManifestError
from uyan.storage.location import Location

MAX_MANIFEST_BYTES = 1_000_000_000
"""A larger file is no manifest, nor is one that unpacks to more: 125,000 rows take about 20 MB."""
MAX_ROWS = 6_000_000
"""As many as such a file holds; more short ones are refused, too, for in memory they take as much."""

_REQUIRED = ("path", "label", "speaker_id", "duration_s", "kind")
_OPTIONAL = ("license", "source", "split")
COLUMNS = (*_REQUIRED, *_OPTIONAL)
PLACE = ("start_s", "end_s")
"""Where in a longer recording the word is said; both or neither."""
PLACE_TOLERANCE_S = 0.05


def check_suffix(path: Location) -> None:
    """ManifestError for a file of another format."""
    if path.suffix not in (".csv", ".parquet"):
        raise ManifestError(f"{path}: a manifest is a .csv or a .parquet file")


def read_table(path: Location) -> pl.DataFrame:
    """The known columns as text, and `row`, the number to report; rows with nothing in them are left out."""
    check_suffix(path)
    raw = table_bytes(path, MAX_MANIFEST_BYTES)
    table = _parse_csv(raw, path) if path.suffix == ".csv" else _parse_parquet(raw, path)
    rows = table.with_row_index("row", offset=first_row(path))
    rows = rows.filter(~pl.all_horizontal(pl.exclude("row").is_null()))
    if rows.is_empty():
        raise ManifestError(f"{path}: no recordings; a manifest has one row for each")
    return rows


def check_rows(rows: int, path: Location) -> None:
    """ManifestError where there are more than a manifest has."""
    if rows > MAX_ROWS:
        raise ManifestError(f"{path}: {rows} rows; a manifest has at most {MAX_ROWS}, split it")


def first_row(path: Location) -> int:
    """The number of the first recording's row, as people count."""
    return 2 if path.suffix == ".csv" else 1


def _parse_csv(raw: bytes, path: Location) -> pl.DataFrame:
    text = table_text(raw, path)
    check_rows(raw.count(b"\n") - raw.endswith(b"\n"), path)
    try:
        header = pl.read_csv(raw, n_rows=0, infer_schema=False).columns
        positions = column_positions([name.strip() for name in header], _REQUIRED, (*_OPTIONAL, *PLACE), path)
        table = pl.read_csv(raw, columns=sorted(positions.values()), infer_schema=False)
    except pl.exceptions.NoDataError as reason:
        raise ManifestError(f"{path}: the file is empty; it needs the header {','.join(COLUMNS)}") from reason
    except pl.exceptions.PolarsError as reason:
        row = _broken_row(text)
        raise ManifestError(
            f"{path}: row {row}: not CSV; put a field with commas or quotes in double quotes,"
            " and double the quotes inside"
        ) from reason
    return table.rename({header[at]: name for name, at in positions.items()})


def _broken_row(text: str) -> int:
    """The first row that has more fields than the header, or where a quoted field does not end well."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for number, fields in enumerate(rows, 1):
            if number == 1:
                width = len(fields)
            elif len(fields) > width:
                break
        return number
    except csv.Error:
        return number + 1


def _parse_parquet(raw: bytes, path: Location) -> pl.DataFrame:
    try:
        header = list(pl.read_parquet_schema(io.BytesIO(raw)))
        positions = column_positions(header, _REQUIRED, (*_OPTIONAL, *PLACE), path)
        size = table_size(raw, positions)
        check_rows(size.rows, path)
        _check_unpacked(size.unpacked_bytes, path)
        table = pl.read_parquet(io.BytesIO(raw), columns=list(positions))
        table = table.select(pl.col(list(positions)).cast(pl.String))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as reason:
        raise ManifestError(f"{path}: not a Parquet table of text and numbers ({reason})") from reason
    # A page holds what many rows repeat once; columns of this table share it still, the text of rows would not.
    lengths = table.select(pl.all().str.len_bytes().cast(pl.UInt64).sum())
    _check_unpacked(sum(lengths.row(0)), path)
    return table


def _check_unpacked(size: int, path: Location) -> None:
    if size > MAX_MANIFEST_BYTES:
        most = MAX_MANIFEST_BYTES / 1e6
        raise ManifestError(f"{path}: {size / 1e6:.6g} MB unpacked; a manifest has at most {most:.6g} MB, split it")


def validated(rows: pl.DataFrame, file: Location) -> pl.DataFrame:
    """All columns, trimmed and typed, paths normal; ManifestError at the first row that breaks a rule."""
    absent = [pl.lit("").alias(name) for name in (*_OPTIONAL, *PLACE) if name not in rows.columns]
    text = pl.col("path", "label", "speaker_id", "kind", *_OPTIONAL).fill_null("")
    table = (
        rows.with_columns(*absent)
        .with_columns(text)
        .with_columns(
            given=pl.col("path"),
            given_s=pl.col("duration_s"),
            duration_s=pl.col("duration_s").cast(pl.Float64, strict=False),
            **{f"given_{name}": pl.col(name).cast(pl.String).fill_null("").str.strip_chars() for name in PLACE},
        )
        .with_columns(pl.col(f"given_{name}").cast(pl.Float64, strict=False).alias(name) for name in PLACE)
    )
    normal = {name: [normal_word(word) for word in table[name]] for name in ("label", "speaker_id", "kind", "split")}
    normal["path"] = [posixpath.normpath(path) for path in table["path"]]
    table = table.with_columns(pl.Series(name, values, pl.String) for name, values in normal.items())
    for field, broken, problem in _rules():
        rejected = table.filter(broken)
        if not rejected.is_empty():
            row = rejected.row(0, named=True)
            as_given = {"path": "given", "duration_s": "given_s"} | {name: f"given_{name}" for name in PLACE}
            value = row[as_given.get(field, field)]
            others = f" (and {len(rejected) - 1} more rows)" if len(rejected) > 1 else ""
            raise ManifestError(f"{file}: row {row['row']}: {field}: {str(value)[:200]!r} {problem}{others}")
    return table


def _rules() -> list[tuple[str, pl.Expr, str]]:
    """Field, the rows that break the rule, and what to tell the user after the value."""
    given, path = pl.col("given"), pl.col("path")
    duration, start, end = (pl.col(name) for name in ("duration_s", *PLACE))
    return [
        ("path", path == ".", "is empty or a folder; name the audio file, relative to the manifest"),
        (
            "path",
            given.str.contains("\0", literal=True),
            "has a NUL byte; the table is damaged, write it again",
        ),
        (
            "path",
            given.str.contains(r"^[A-Za-z][A-Za-z0-9+.:-]*://"),
            "is a URL; write it relative to the manifest, or put a manifest where the audio is",
        ),
        (
            "path",
            given.str.contains(r"\\|^[A-Za-z]:"),
            "is a Windows path; write it relative to the manifest, with forward slashes",
        ),
        (
            "path",
            given.str.starts_with("/"),
            "is absolute; write it relative to the manifest, or move the manifest above the audio",
        ),
        (
            "path",
            (path == "..") | path.str.starts_with("../"),
            "leads out of the manifest's folder; move the manifest above the audio",
        ),
        ("path", path.is_duplicated(), "is listed twice; keep one of the rows"),
        ("kind", ~pl.col("kind").is_in(get_args(Kind)), f"is none of {', '.join(get_args(Kind))}"),
        (
            "split",
            ~pl.col("split").is_in(get_args(OfficialSplit)),
            "is none of train, validation, test; leave it empty where nobody has decided",
        ),
        (
            "label",
            (pl.col("kind") == "keyword") & (pl.col("label") == ""),
            "says no word; a keyword recording needs its label",
        ),
        (
            "duration_s",
            duration.is_null() | ~duration.is_finite() | (duration <= 0),
            "is no positive number of seconds; write it like 1.25, or let `uyan data scan` measure it",
        ),
        *(
            (
                name,
                (pl.col(f"given_{name}") != "") & (pl.col(name).is_null() | ~pl.col(name).is_finite()),
                "is no number of seconds; write when the word is said like 0.35, or leave both fields empty",
            )
            for name in PLACE
        ),
        ("end_s", start.is_null() != end.is_null(), "is empty, or start_s is; give both, or neither"),
        ("start_s", (start < 0) | (start >= end), "is negative or not before end_s"),
        ("end_s", end > duration + PLACE_TOLERANCE_S, "lies behind the recording's end"),
    ]
