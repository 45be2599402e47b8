"""Tables of words in long recordings: what is read from them, and every way in which one can be wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.errors import EvaluationError, ManifestError
from uyan.evaluation.annotations import Annotation, load_annotations

WriteRecording = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path, write_recording: WriteRecording) -> Callable[..., Path]:
    """table("a.wav,1,2", …): a CSV beside a.wav (10 s) and deep/b.wav (5 s)."""
    write_recording("room/a.wav", 10.0)
    write_recording("room/deep/b.wav", 5.0)
    write_recording("outside.wav", 1.0)

    def write(*rows: str, header: str = "path,start_s,end_s,label", name: str = "events.csv") -> Path:
        file = tmp_path / "room" / name
        file.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        return file

    return write


def test_words_other_words_and_recordings_without_the_word(table: Callable[..., Path], tmp_path: Path) -> None:
    events = table("a.wav,7.5,8,uyan", "./a.wav,1.25,2,", "a.wav, 3 ,3.5, merhaba ", "", ",,,", "deep/b.wav,,,")
    first, second = load_annotations([events], "uyan")
    assert (first.path, first.file, first.duration_s) == ("room/a.wav", (tmp_path / "room/a.wav").resolve(), 10.0)
    assert first.words == (Annotation(1.25, 2.0, "uyan"), Annotation(7.5, 8.0, "uyan"))
    assert first.others == (Annotation(3.0, 3.5, "merhaba"),)
    assert (second.path, second.words, second.others, second.duration_s) == ("room/deep/b.wav", (), (), 5.0)


def test_the_label_may_be_left_out_and_columns_stand_in_any_order(table: Callable[..., Path]) -> None:
    (found,) = load_annotations([table("2,a.wav,1,x", header="\ufeffend_s,path,start_s,note")], "uyan")
    assert found.words == (Annotation(1.0, 2.0, "uyan"),)


def test_two_recordings_that_would_be_called_alike_are_refused(
    table: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In reports and as snippets one would stand for the other."""
    first = table("a.wav,1,2,")
    twin = tmp_path_factory.mktemp("elsewhere") / first.parent.name
    shutil.copytree(first.parent, twin)
    with pytest.raises(ManifestError, match=r"would both be called 'room/a\.wav'; rename one of their folders"):
        load_annotations([first, twin / first.name], "uyan")


def test_several_tables_are_one_list(table: Callable[..., Path]) -> None:
    first, second = table("a.wav,1,2,"), table("deep/b.wav,,,", name="more.csv")
    assert [r.path for r in load_annotations([first, second], "uyan")] == ["room/a.wav", "room/deep/b.wav"]
    with pytest.raises(
        ManifestError, match=r"events\.csv: path: .*a\.wav is listed in another table as well; keep one"
    ):
        load_annotations([first, first], "uyan")


def test_an_end_a_few_hundredths_beyond_the_recordings_is_its_end(table: Callable[..., Path]) -> None:
    (found,) = load_annotations([table("a.wav,9,10.04,")], "uyan")
    assert found.words[0].end_s == 10.04


def test_words_that_touch_and_other_words_at_the_same_time_are_in_order(table: Callable[..., Path]) -> None:
    (found,) = load_annotations([table("a.wav,1,2,", "a.wav,2,3,", "a.wav,1.5,2.5,merhaba")], "uyan")
    assert len(found.words) == 2


NUMBER = r"is no number of seconds from the recording's start; write it like 12\.35"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",1,2,", r"row 3: path: is empty; name the recording"),
        ("c.wav,1,2,", r"row 3: path: 'c\.wav' is not there; write it relative to"),
        ("deep,1,2,", r"row 3: path: 'deep' is not there"),
        ("../outside.wav,1,2,", r"row 3: path: '\.\./outside\.wav' leads out of the table's folder; move the table"),
        ("/etc/hostname,1,2,", r"row 3: path: '/etc/hostname' leads out of the table's folder"),
        ("a\0.wav,1,2,", r"row 3: path: .* is no path"),
        ("events.csv,1,2,", r"row 3: path: .*events\.csv cannot be decoded .*; export it again"),
        ("a.wav,soon,2,", rf"row 3: start_s: 'soon' {NUMBER}"),
        ("a.wav,1,nan,", rf"row 3: end_s: 'nan' {NUMBER}"),
        ("a.wav,1,inf,", rf"row 3: end_s: 'inf' {NUMBER}"),
        ("a.wav,-0.5,2,", rf"row 3: start_s: '-0\.5' {NUMBER}"),
        ('a.wav,"1,5",2,', rf"row 3: start_s: '1,5' {NUMBER}"),
        ("a.wav,1,5,2,5,", r"row 3: 6 fields under 4 columns; write numbers with a point"),
        ("a.wav,1,,", rf"row 3: end_s: '' {NUMBER}"),
        ("a.wav", r"row 3: start_s: empty, though row 2 has the keyword at 4 – 5 s of the same recording; delete"),
        ("a.wav,2,1,", r"row 3: end_s: '1' is not after start_s '2'; mend the times"),
        ("a.wav,2,2,", r"row 3: end_s: '2' is not after start_s '2'"),
        ("a.wav,9,10.1,", r"row 3: end_s: 10\.1 is beyond the end of the recording, which has 10\.00 s; mend the time"),
        ("a.wav,4.9,6,", r"row 3: start_s: 4\.9 – 6 s overlaps 4 – 5 s of row 2; .* mend the times, or keep one"),
        ("a.wav,3,4.5,", r"row 2: start_s: 4 – 5 s overlaps 3 – 4\.5 s of row 3"),
        ("a.wav,6,7,Uyan", r"row 3: label: 'Uyan' is the keyword in other letters; write 'uyan'"),
        ("deep/b.wav,,,uyan", r"row 3: start_s: empty, and so is end_s, though the label says 'uyan'; write when"),
        ('a.wav,"1,2,', r"row 3: not CSV \(.*\); write the row again"),
    ],
)
def test_a_row_that_is_wrong_is_named(table: Callable[..., Path], row: str, message: str) -> None:
    with pytest.raises(ManifestError, match=rf"events\.csv: {message}"):
        load_annotations([table("a.wav,4,5,", row)], "uyan")


def test_a_link_out_of_the_folder_is_refused(table: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "room" / "link.wav").symlink_to(tmp_path / "outside.wav")
    with pytest.raises(ManifestError, match=r"row 2: path: 'link\.wav' leads out of the table's folder"):
        load_annotations([table("link.wav,0,0.5,")], "uyan")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"the file is empty; it needs the header path,start_s,end_s,label"),
        (b"path,start_s,end_s\n", r"no rows; list at least one recording"),
        (b"path,start_s\na.wav,1\n", r"row 1: no column end_s; there are path, start_s"),
        (b"path;start_s;end_s\na.wav;1;2\n", r"row 1: no column .*; separate the columns by commas"),
        (b"path,start_s,end_s\na\xff.wav,1,2\n", r"row 2: not UTF-8; save the table as 'CSV UTF-8'"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "events.csv").write_bytes(text)
    with pytest.raises(ManifestError, match=rf"events\.csv: {message}"):
        load_annotations([tmp_path / "events.csv"], "uyan")


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.csv: cannot be read \(No such file"):
        load_annotations([tmp_path / "none.csv"], "uyan")


def test_a_keyword_spelt_differently_in_every_row_is_not_a_detector_full_of_false_alarms(
    table: Callable[..., Path],
) -> None:
    with pytest.raises(EvaluationError, match=r"no row is of the keyword 'uyan', the labels are uyansana; write the"):
        load_annotations([table("a.wav,1,2,uyansana")], "uyan")
