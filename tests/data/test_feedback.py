from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.data.check import check
from uyan.data.feedback import add_feedback
from uyan.data.manifest import load_manifests
from uyan.errors import ManifestError

WriteRecording = Callable[..., Path]
HEADER = "path,word,time_s,score,event,source,label,speaker_id\n"


@pytest.fixture
def clips(tmp_path: Path, write_recording: WriteRecording) -> Path:
    """Five clips of 2.5 s, answered in all ways; the last one waits."""
    answers = ["yes,ada", "no,", "noise,ada", "selam,", ","]
    rows = []
    for number, labelled in enumerate(answers):
        write_recording(f"clips/{number}.wav", 2.5)
        rows.append(f"{number}.wav,{'selam' if number == 4 else 'günaydın'},1.0,0.9,detection,mic,{labelled}\n")
    (tmp_path / "clips" / "clips.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return tmp_path / "clips"


def table(clips: Path, *rows: str) -> None:
    (clips / "clips.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def test_answers_become_rows_that_a_run_takes(clips: Path) -> None:
    manifest = clips / "manifest.csv"
    found = add_feedback(clips, manifest, speaker="can")
    assert (len(found.added), found.known, found.changed, found.unlabelled) == (4, 0, [], 1)
    recordings = load_manifests([manifest])
    assert [(r.path, r.label, r.kind, r.speaker_id if r.speaker_known else "") for r in recordings] == [
        ("0.wav", "günaydın", "keyword", "ada"),
        ("1.wav", "speech", "negative", ""),
        ("2.wav", "noise", "noise", ""),
        ("3.wav", "selam", "keyword", "can"),
    ]
    assert {(r.duration_s, r.source) for r in recordings} == {(2.5, "feedback")}
    report = check(recordings, workers=1)
    assert len(report.good) == 4
    assert [finding.kind for finding in report.findings()] == []


def test_a_manifest_with_a_header_that_cannot_be_read_is_left_as_it_is(clips: Path) -> None:
    manifest = clips / "manifest.csv"
    manifest.write_text(
        f"path,label,speaker_id,duration_s,kind,{'x' * 140_000}\nx.wav,a,b,1,noise,\n", encoding="utf-8"
    )
    before = manifest.read_bytes()
    with pytest.raises(ManifestError, match=r"manifest\.csv: row 1: not CSV \(field larger"):
        add_feedback(clips, manifest)
    assert manifest.read_bytes() == before


def test_adding_again_adds_only_what_was_labelled_since(clips: Path) -> None:
    manifest = clips / "manifest.csv"
    add_feedback(clips, manifest)
    before = manifest.read_bytes()
    again = add_feedback(clips, manifest)
    assert (again.added, again.known) == ([], 4)
    assert manifest.read_bytes() == before
    file = clips / "clips.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("mic,,\n", "mic,no,\n"), encoding="utf-8")
    assert [row["path"] for row in add_feedback(clips, manifest).added] == ["4.wav"]
    assert manifest.read_bytes().startswith(before)
    assert len(load_manifests([manifest])) == 5


def test_rows_that_are_there_stay_byte_for_byte(tmp_path: Path, clips: Path, write_recording: WriteRecording) -> None:
    """Another order of columns, one of the user's own, Windows line breaks, a byte order mark, no break at the end."""
    write_recording("own/a.wav")
    there = (
        "\ufeffkind, label ,note,duration_s,path,speaker_id\r\n"
        'keyword,"günaydın","a, ""b""",0.50,own/a.wav,\r\n'
        "negative,speech,,2.5000,clips/1.wav,someone"
    ).encode()
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes(there)
    found = add_feedback(clips, manifest)
    assert (len(found.added), found.known) == (3, 1)
    assert manifest.read_bytes().startswith(there + b"\r\n")
    assert manifest.read_bytes().count(b"\r\n") == manifest.read_bytes().count(b"\n") == 6
    assert [r.path for r in load_manifests([manifest])][2:] == ["clips/0.wav", "clips/2.wav", "clips/3.wav"]


def test_a_row_whose_answer_has_changed_is_named_and_stays(clips: Path) -> None:
    manifest = clips / "manifest.csv"
    add_feedback(clips, manifest)
    before = manifest.read_bytes()
    table(clips, "0.wav,günaydın,1.0,0.9,detection,mic,no,")
    assert add_feedback(clips, manifest).changed == ["0.wav"]
    assert manifest.read_bytes() == before


def test_a_word_of_the_manifest_is_an_answer_too(tmp_path: Path, clips: Path, write_recording: WriteRecording) -> None:
    write_recording("own/a.wav")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label,speaker_id,duration_s,kind\nown/a.wav,merhaba,,0.5,keyword\n")
    table(clips, "0.wav,günaydın,1.0,0.9,detection,mic,merhaba,")
    assert [row["label"] for row in add_feedback(clips, manifest).added] == ["merhaba"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ["0.wav,uyan,1,0.9,detection,mic,yes,", "1.wav,uyan,1,0.9,detection,mic,jes,"],
            r"row 3: label: 'jes' is none",
        ),
        (["9.wav,uyan,1,0.9,detection,mic,yes,"], r"row 2: path: '9\.wav' does not exist"),
        (["../secret.wav,uyan,1,0.9,detection,mic,no,"], r"row 2: path: '\.\./secret\.wav' is no file in this folder"),
        (["/etc/passwd,uyan,1,0.9,detection,mic,no,"], r"row 2: path: '/etc/passwd' is no file in this folder"),
        ([",uyan,1,0.9,detection,mic,no,"], r"row 2: path: '' is no file"),
        (["clips.csv,uyan,1,0.9,detection,mic,no,"], r"row 2: path: 'clips\.csv' cannot be decoded"),
        (
            ["0.wav,uyan,1,0.9,detection,mic,yes,", "0.wav,uyan,1,0.9,detection,mic,no,"],
            r"row 3: path: '0\.wav' is labelled otherwise in row 2",
        ),
        (["0.wav,,1,0.9,detection,mic,yes,"], r"row 2: label: '' says no word"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_nothing_is_written(
    tmp_path: Path, clips: Path, write_recording: WriteRecording, rows: list[str], said: str
) -> None:
    write_recording("secret.wav")
    table(clips, *rows)
    with pytest.raises(ManifestError, match=rf"clips\.csv: {said}"):
        add_feedback(clips, clips / "manifest.csv")
    assert not (clips / "manifest.csv").exists()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, clips: Path, write_recording: WriteRecording) -> None:
    (clips / "link.wav").symlink_to(write_recording("secret.wav"))
    table(clips, "link.wav,uyan,1,0.9,detection,mic,no,")
    with pytest.raises(ManifestError, match=r"'link\.wav' is no file in this folder"):
        add_feedback(clips, clips / "manifest.csv")


def test_the_manifest_must_be_a_csv_above_the_clips(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.parquet: feedback is added to \.csv"):
        add_feedback(clips, tmp_path / "manifest.parquet")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ManifestError, match=r"are not below .*elsewhere"):
        add_feedback(clips, tmp_path / "elsewhere" / "manifest.csv")


def test_nothing_labelled_writes_nothing(clips: Path) -> None:
    table(clips, "0.wav,uyan,1,0.9,detection,mic,,")
    assert add_feedback(clips, clips / "manifest.csv").unlabelled == 1
    assert not (clips / "manifest.csv").exists()
