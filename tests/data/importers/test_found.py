"""Tables as publishers write them, and keywords as words of a text."""

from pathlib import Path

import pytest

from uyan.data.importers.found import rows_of, says


@pytest.mark.parametrize(
    ("text", "keyword", "heard"),
    [
        ("Merhaba evim, ben geldim.", "merhaba evim", True),
        ("MERHABA, EVIM!", "merhaba evim", True),
        ("merhaba dünya evim", "merhaba evim", False),
        ("evimde merhaba", "evim", False),
        ("Zoe\u0308 is here", "zo\u00eb", True),
        ("", "evim", False),
    ],
)
def test_a_keyword_is_whole_words_in_a_row(text: str, keyword: str, heard: bool) -> None:
    assert says(text, keyword) is heard


def test_tabs_do_not_know_quotes_and_commas_do(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"half a quote\n2\tplain\n', encoding="utf-8")
    (tmp_path / "a.csv").write_text('id,text\n1,"a, b"\n2\n', encoding="utf-8")
    assert [row["text"] for row in rows_of(tmp_path / "a.tsv", ("id", "text"))] == ['"half a quote', "plain"]
    assert [row["text"] for row in rows_of(tmp_path / "a.csv", ("id", "text"))] == ["a, b", ""]
    assert [row["more"] for row in rows_of(tmp_path / "a.csv", ("id",), ("more",))] == ["", ""]
