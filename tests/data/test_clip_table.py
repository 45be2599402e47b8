import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.clip_table import TABLE, Clip, answer, read_clips, set_label
from uyan.errors import ManifestError
from uyan.runtime import clip_folder
from uyan.runtime.clip_folder import ClipFolder

HEADER = "path,word,time_s,score,event,source,label,speaker_id\n"


def test_the_table_is_the_one_that_listening_writes(tmp_path: Path) -> None:
    ClipFolder(tmp_path, 1, pytest.fail)
    assert TABLE == clip_folder.TABLE
    assert (tmp_path / TABLE).read_text() == HEADER
    assert read_clips(tmp_path) == []


def test_rows_are_trimmed_and_numbered_as_people_count(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text(
        f"{HEADER}a.wav,uyan,1.000,0.9,detection,x.wav, Yes ,ada\n,,,,,,,\nb.wav,uyan,2.000,0.4,near miss,x.wav\n",
        encoding="utf-8-sig",
    )
    assert read_clips(tmp_path) == [
        Clip(2, "a.wav", "uyan", "1.000", "0.9", "detection", "Yes", "ada"),
        Clip(4, "b.wav", "uyan", "2.000", "0.4", "near miss", "", ""),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"", "empty"),
        (b"path;word;label\n", "row 1: no column path, .*separate the columns by commas"),
        (HEADER.encode() + b"a.wav,\xff\n", "row 2: not UTF-8"),
        (HEADER.encode() + b'a.wav,uyan,"open\n', "not CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_said_in_words(tmp_path: Path, table: bytes, said: str) -> None:
    (tmp_path / TABLE).write_bytes(table)
    with pytest.raises(ManifestError, match=rf"clips\.csv: .*{said}"):
        read_clips(tmp_path)


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"clips\.csv: cannot be read"):
        read_clips(tmp_path)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("yes", "yes"), ("Y", "yes"), (" NO", "no"), ("b", "noise"), ("Noise", "noise"), ("selam", "selam"), ("n", "no")],
)
def test_answers(text: str, meant: str) -> None:
    assert answer(text, {"uyan", "selam"}) == meant


@pytest.mark.parametrize("text", ["nope", "Selam", "uyann", "1"])
def test_an_answer_that_is_none_is_refused_rather_than_learnt_as_a_word(text: str) -> None:
    with pytest.raises(ValueError, match="none of yes, no, noise or one of the words selam, uyan"):
        answer(text, {"uyan", "selam"})


FIELD = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8).map(str.strip)


@given(notes=st.lists(FIELD, min_size=1, max_size=5), data=st.data())
def test_an_answer_changes_one_field_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, notes: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("clips")
    rows = [["note", "label", "path"], *([note, "", f"{number}.wav"] for number, note in enumerate(notes))]
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    number = data.draw(st.integers(0, len(notes) - 1))
    set_label(folder, f"{number}.wav", "yes")
    rows[number + 1][1] = "yes"
    with (folder / TABLE).open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == rows
