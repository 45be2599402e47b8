from pathlib import Path

import pytest

from uyan.data.table_file import column_positions, table_bytes, table_text
from uyan.errors import ManifestError


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"x" * 2_000)
    assert table_bytes(file, 2_000) == b"x" * 2_000
    with pytest.raises(ManifestError, match=r"a\.csv: 0\.002 MB; .* at most 0\.001999 MB, split it"):
        table_bytes(file, 1_999)
    with pytest.raises(ManifestError, match=r"none\.csv: cannot be read \(No such file"):
        table_bytes(tmp_path / "none.csv", 10)


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert table_text("\ufeffşarkı".encode(), Path("a.csv")) == "şarkı"


def test_text_of_another_encoding_is_named_by_its_row() -> None:
    with pytest.raises(ManifestError, match="row 3: not UTF-8"):
        table_text("path\na\nşarkı".encode("iso-8859-9"), Path("a.csv"))


def test_columns_are_found_by_name_and_the_missing_ones_told() -> None:
    assert column_positions(["c", "x", "a"], ["a"], ["b", "c"], Path("t.csv")) == {"a": 2, "c": 0}
    with pytest.raises(ManifestError, match=r"no column a, b; there are c$"):
        column_positions(["c"], ["a", "b"], ["c"], Path("t.csv"))
    with pytest.raises(ManifestError, match="separate the columns by commas"):
        column_positions(["a;b"], ["a", "b"], [], Path("t.csv"))
