"""Tables as publishers write them, and keywords as words of a text."""

from pathlib import Path

import pytest

from uyan.data.importers.found import rows_of, says
from uyan.errors import ManifestError


@pytest.mark.parametrize(
    ("text", "keyword", "heard"),
    [
        ("Merhaba evim, ben geldim.", "merhaba evim", True),
        ("MERHABA, EVIM!", "merhaba evim", True),
        ("merhaba dünya evim", "merhaba evim", False),
        ("evimde merhaba", "evim", False),
        ("Zoe\u0308 is here", "zo\u00eb", True),
        ("", "evim", False),
        ("İyi günler dilerim.", "iyi", True),
        ("I\u0307yi günler dilerim.", "iyi", True),
        ("iyi günler", "İyi", True),
        ("Işık açık kaldı.", "ışık", True),
        ("IŞIK AÇIK", "ışık", True),
        ("İYİ IŞIK", "iyi ışık", True),
        ("iş açık", "ışık", False),
        ("İstanbul'a gidelim", "istanbul", True),
        ("Ankara'ya gittik", "ankara", True),
        ("Ankara\u2019ya gittik", "ankara", True),
        ("Ankara\u02bcya gittik", "ankara", True),
        ("Ankarada", "ankara", False),
        ("Jarvis's light", "jarvis", True),
        ("It's one o\u2019clock", "o'clock", True),
        ("o clocks", "o'clock", False),
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


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_line_feed_ends_a_row_of_tabs(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.tsv").write_bytes(f"id\ttext\tmore\r\n1\tone{mark}two\t2\r\n\r\n2\tthree\t\n3\t{mark}x".encode())
    rows = list(rows_of(tmp_path / "a.tsv", ("id", "text"), ("more",)))
    assert rows == [
        {"id": "1", "text": f"one{mark}two", "more": "2"},
        {"id": "2", "text": "three", "more": ""},
        {"id": "3", "text": f"{mark}x", "more": ""},
    ]


def test_a_quoted_field_keeps_its_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('id,text\r\n1,"a\r\nb"\r\n\r\n2,c\u2028d\r\n'.encode())
    assert [row["text"] for row in rows_of(tmp_path / "a.csv", ("id", "text"))] == ["a\r\nb", "c\u2028d"]


def test_a_field_without_end_is_named_by_its_row(tmp_path: Path) -> None:
    long = "x" * 140_000
    (tmp_path / "a.csv").write_text(f"id,text\n1,a\n2,{long}\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"a\.csv: row 3: not CSV \(field larger"):
        list(rows_of(tmp_path / "a.csv", ("id", "text")))
    (tmp_path / "b.csv").write_text(f"{long},text\n1,a\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"b\.csv: row 1: not CSV"):
        list(rows_of(tmp_path / "b.csv", ("id", "text")))
    (tmp_path / "c.csv").write_text('id,text\n1,a\n2,"b\n3,c\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"c\.csv: row 3: not CSV"):
        list(rows_of(tmp_path / "c.csv", ("id", "text")))
    (tmp_path / "a.tsv").write_text(f"id\ttext\n1\t{long}\n", encoding="utf-8")
    assert [row["text"] for row in rows_of(tmp_path / "a.tsv", ("id", "text"))] == [long]
