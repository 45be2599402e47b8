"""Rows and bytes of Parquet files that Polars writes, and footers made by hand, byte by byte."""

import io
from typing import Any

import numpy as np
import polars as pl
import pytest

from uyan.data.parquet_footer import MAX_FOOTER_BYTES, TableSize, table_size

I64, BINARY, LIST, STRUCT = 6, 8, 9, 12


def parquet(table: pl.DataFrame, **options: Any) -> bytes:
    file = io.BytesIO()
    table.write_parquet(file, **options)
    return file.getvalue()


def sealed(footer: bytes) -> bytes:
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def number(value: int) -> bytes:
    """As the compact protocol writes a signed one."""
    value, out = value << 1 ^ value >> 63, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def chunk(name: bytes, unpacked: int) -> bytes:
    """A column of a row group: {3: {3: [name], 6: unpacked}}."""
    meta = bytes([3 << 4 | LIST, 1 << 4 | BINARY, len(name)]) + name + bytes([3 << 4 | I64]) + number(unpacked) + b"\0"
    return bytes([3 << 4 | STRUCT]) + meta + b"\0"


def group(rows: int, *chunks: bytes) -> bytes:
    """{1: chunks, 3: rows}"""
    columns = bytes([1 << 4 | LIST, len(chunks) << 4 | STRUCT]) + b"".join(chunks)
    return columns + bytes([2 << 4 | I64]) + number(rows) + b"\0"


def footer(rows: int, *groups: bytes) -> bytes:
    """{3: rows, 4: groups}"""
    return (
        bytes([3 << 4 | I64])
        + number(rows)
        + bytes([1 << 4 | LIST, len(groups) << 4 | STRUCT])
        + b"".join(groups)
        + b"\0"
    )


def test_rows_and_bytes_of_the_columns_that_are_read() -> None:
    made = sealed(footer(300, group(100, chunk(b"path", 7), chunk(b"other", 1_000)), group(200, chunk(b"path", 5))))
    assert table_size(made, ["path", "label"]) == TableSize(300, 12)
    assert table_size(made, ["path", "other"]) == TableSize(300, 1_012)


def test_the_larger_number_of_rows_counts() -> None:
    assert table_size(sealed(footer(1, group(2**40), group(1))), []).rows == 2**40 + 1
    assert table_size(sealed(footer(2**40, group(1))), []).rows == 2**40


def test_fields_of_every_kind_are_passed_over() -> None:
    """Their numbers are written out, as they are where they do not follow closely on the last one."""
    others = [
        (1, b""), (2, b""), (3, b"\x05"), (4, number(-3)), (5, number(2**30)), (7, bytes(8)), (8, b"\x03abc"),
        (9, bytes([2 << 4 | 1, 1, 2])), (9, bytes([0xF0 | 3, 20]) + bytes(20)), (10, bytes([1 << 4 | 5]) + number(7)),
        (11, b"\0"), (11, bytes([2, 8 << 4 | 6]) + (b"\x01a" + number(300)) * 2), (12, b"\x15\x02\0"),
    ]  # fmt: skip
    before = b"".join(bytes([kind]) + number(50 + n) + value for n, (kind, value) in enumerate(others))
    known = bytes([I64]) + number(3) + footer(7, group(7, chunk(b"path", 9)))[1:]
    assert table_size(sealed(before + known), ["path"]) == TableSize(7, 9)
    empty_map = bytes([11]) + number(50) + b"\0"
    assert table_size(sealed(empty_map + known), ["path"]) == TableSize(7, 9)


@pytest.mark.parametrize("options", [{}, {"row_group_size": 100}, {"compression": "uncompressed", "statistics": False}])
def test_what_polars_writes(options: dict[str, Any]) -> None:
    names = [f"{number:06}.wav" for number in range(1_000)]
    raw = parquet(pl.DataFrame({"path": names, "n": range(1_000), "flag": [True, None] * 500}), **options)
    size = table_size(raw, ["path"])
    assert size.rows == 1_000
    assert 14_000 <= size.unpacked_bytes <= 16_000, "ten characters and four bytes for their number, each"
    assert table_size(raw, ["path", "n"]).unpacked_bytes > size.unpacked_bytes


def test_a_small_file_that_unpacks_to_much() -> None:
    raw = parquet(pl.DataFrame({"path": ["a" * 10_000_000]}))
    assert len(raw) < 10_000
    assert table_size(raw, ["path"]).unpacked_bytes >= 10_000_000
    raw = parquet(pl.select(path=pl.repeat("a", 1_000_000)), row_group_size=1_000_000)
    assert len(raw) < 10_000
    assert table_size(raw, ["path"]).rows == 1_000_000


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "no Parquet footer"),
        (b"PAR1", "no Parquet footer"),
        (b"PAR1 nothing PAR1", "no Parquet footer"),
        (b"PAR1" + bytes(4) + b"PAR1", "no Parquet footer"),
        (
            b"PAR1" + bytes(MAX_FOOTER_BYTES + 1) + (MAX_FOOTER_BYTES + 1).to_bytes(4, "little") + b"PAR1",
            "no Parquet footer",
        ),
        (sealed(b"\0"), "damaged"),
        (sealed(footer(1, group(1))[:-1]), "damaged"),
        (sealed(footer(-1, group(1))), "negative size"),
        (sealed(footer(1, group(1, chunk(b"path", -5)))), "negative size"),
        (sealed(bytes([3 << 4 | I64]) + b"\xff" * 11), "damaged"),
        (sealed(bytes([1 << 4 | LIST, 0xF0 | STRUCT]) + b"\xff\xff\xff\xff\x0f"), "damaged"),
        (sealed(bytes([1 << 4 | STRUCT]) * 100_000), "damaged"),
        (sealed(bytes([1 << 4 | 13, 0])), "damaged"),
        (sealed(bytes([3 << 4 | I64, 2, 1 << 4 | I64, 2, 0])), "damaged"),
    ],
)
def test_a_footer_that_says_no_size_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        table_size(raw, ["path"])


def test_a_damaged_footer_is_read_or_refused_and_nothing_else() -> None:
    raw = parquet(pl.DataFrame({"path": ["a.wav"] * 50, "n": range(50)}), row_group_size=10)
    start = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(3_000):
        damaged = bytearray(raw)
        damaged[rng.integers(start, len(raw))] = rng.integers(256)
        try:
            assert table_size(bytes(damaged), ["path", "n"]).rows >= 0
        except ValueError:
            refused += 1
    assert 500 < refused < 3_000
