from pathlib import Path
from typing import Any

import pytest

from uyan.data.manifest import load_manifests, save_manifest
from uyan.data.recording import unknown_speaker_id
from uyan.data.scan import scan
from uyan.errors import DataError


def test_the_tree_says_kind_label_and_speaker(tmp_path: Path, write_recording: Any) -> None:
    write_recording("positive/ali/phone/1.flac", 0.5)
    write_recording("positive/2.WAV", 0.75)
    write_recording("negative/ali/3.ogg")
    write_recording("noise/4.wav")
    write_recording("noise/kitchen/tap/5.wav")
    write_recording("rir/6.wav")
    result = scan(tmp_path, "uyan")
    assert [(r.path, r.kind, r.label, r.speaker_id, r.speaker_known) for r in result.recordings] == [
        ("negative/ali/3.ogg", "negative", "speech", "ali", True),
        ("noise/4.wav", "noise", "noise", unknown_speaker_id("noise/4.wav"), False),
        ("noise/kitchen/tap/5.wav", "noise", "kitchen", unknown_speaker_id("noise/kitchen/tap/5.wav"), False),
        ("positive/2.WAV", "keyword", "uyan", unknown_speaker_id("positive/2.WAV"), False),
        ("positive/ali/phone/1.flac", "keyword", "uyan", "ali", True),
        ("rir/6.wav", "rir", "rir", unknown_speaker_id("rir/6.wav"), False),
    ]
    assert [r.duration_s for r in result.recordings[3:5]] == [0.75, 0.5]
    assert result.unreadable == []


def test_without_a_keyword_the_folder_names_it(tmp_path: Path, write_recording: Any) -> None:
    write_recording("merhaba/positive/ali/1.wav")
    assert scan(tmp_path / "merhaba").recordings[0].label == "merhaba"


def test_a_scanned_folder_can_be_saved_and_loaded(tmp_path: Path, write_recording: Any) -> None:
    for path in ("positive/Zoe\u0308/1.wav", "positive/2.wav", "negative/ali/3, 4.wav", "noise/a b/5.wav"):
        write_recording(path, 0.123)
    scanned = scan(tmp_path, "uyan").recordings
    save_manifest(scanned, tmp_path / "manifest.csv")
    assert load_manifests([tmp_path / "manifest.csv"]) == scanned
    assert scanned[-1].speaker_id == "Zo\u00eb"


def test_other_and_hidden_files_are_left_out(tmp_path: Path, write_recording: Any) -> None:
    write_recording("positive/ali/1.wav")
    for name in ("positive/ali/notes.txt", "positive/ali/._1.wav", "positive/.trash/2.wav", "elsewhere/3.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not audio")
    result = scan(tmp_path)
    assert [r.path for r in result.recordings] == ["positive/ali/1.wav"]
    assert result.unreadable == []


def test_unreadable_files_are_listed_with_the_reason(tmp_path: Path, write_recording: Any) -> None:
    write_recording("positive/ali/1.wav")
    write_recording("positive/ali/empty.wav", 0.0)
    (tmp_path / "positive/ali/text.wav").write_text("not audio")
    write_recording("positive/ali/back\\slash.wav")
    outside = write_recording("positive/ali/target.wav").rename(tmp_path.parent / f"{tmp_path.name}.wav")
    (tmp_path / "positive/ali/link.wav").symlink_to(outside)
    result = scan(tmp_path)
    assert [r.path for r in result.recordings] == ["positive/ali/1.wav"]
    found = dict(result.unreadable)
    assert list(found) == [f"positive/ali/{name}.wav" for name in ("back\\slash", "empty", "link", "text")]
    assert "rename the file" in found["positive/ali/back\\slash.wav"]
    assert found["positive/ali/empty.wav"] == "holds no audio"
    assert "link out of the folder" in found["positive/ali/link.wav"]
    assert "cannot be read" in found["positive/ali/text.wav"]


def test_a_name_that_is_not_utf8_is_listed(tmp_path: Path, write_recording: Any) -> None:
    write_recording("noise/1.wav").rename(tmp_path / "noise" / "\udce9.wav")
    (unreadable,) = scan(tmp_path).unreadable
    assert unreadable == ("noise/\\udce9.wav", "the name has a backslash or is not UTF-8; rename the file")


@pytest.mark.parametrize("made", ["nothing", "other", "noise"])
def test_a_folder_without_a_data_set_is_refused_with_a_picture(tmp_path: Path, made: str) -> None:
    if made != "nothing":
        (tmp_path / made).mkdir()
    with pytest.raises(DataError, match=r"positive/<speaker>/\*\.wav"):
        scan(tmp_path)
