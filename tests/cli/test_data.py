"""`uyan data scan` and `uyan data check`: from a folder of recordings to a manifest that one can trust."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uyan.cli.main import main
from uyan.data.manifest import load_manifests

WriteRecording = Callable[..., Path]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of `uyan data ARGUMENTS`, on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["uyan", "data", *map(str, arguments)])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.fixture
def tree(tmp_path: Path, write_recording: WriteRecording) -> Path:
    for speaker in ("ada", "can"):
        for take in range(2):
            write_recording(f"set/positive/{speaker}/{take}.wav")
        write_recording(f"set/negative/{speaker}/talk.wav", 1.0)
    write_recording("set/noise/fan.wav", 1.0)
    return tmp_path / "set"


def cells(shown: str, label: str, kind: str) -> list[str]:
    """The figures of one row of the table."""
    rows = [[cell.strip() for cell in line.strip(" │┃").split("│")] for line in shown.splitlines() if "│" in line]
    (found,) = (row[2:] for row in rows if row[:2] == [label, kind])
    return found


def test_scan_then_check(tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "scan", tree, "--keyword", "hey uyan") == 0
    assert capsys.readouterr().out == f"{tree / 'manifest.csv'}: 7 recordings\n"
    recordings = load_manifests([tree / "manifest.csv"])
    assert {(r.label, r.kind) for r in recordings} == {
        ("hey uyan", "keyword"),
        ("speech", "negative"),
        ("noise", "noise"),
    }
    assert {r.speaker_id for r in recordings if r.speaker_known} == {"ada", "can"}

    assert call(monkeypatch, "check", tree / "manifest.csv", "--workers", "1") == 0
    shown = capsys.readouterr().out
    assert cells(shown, "hey uyan", "keyword") == ["4", "0.00", "2", "0", "0", "0", "0", "0", "0", "0"]
    assert cells(shown, "speech", "negative")[0] == "2"
    assert "0 near-duplicate groups, 0 of them across speakers" in shown
    assert "warning" not in shown


def test_scan_labels_with_the_folder_s_name_and_writes_where_it_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tree.parent / "elsewhere.parquet"
    assert call(monkeypatch, "scan", tree, "--out", target) == 0
    assert f"{target}: 7 recordings" in capsys.readouterr().out
    assert {r.label for r in load_manifests([target]) if r.kind == "keyword"} == {"set"}
    assert not (tree / "manifest.csv").exists()


def test_scan_again_keeps_the_labels_or_refuses(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "scan", tree, "--keyword", "hey uyan") == 0
    written = (tree / "manifest.csv").read_bytes()
    assert call(monkeypatch, "scan", tree) == 2
    assert "4 of its recordings would be labelled otherwise" in capsys.readouterr().err
    assert (tree / "manifest.csv").read_bytes() == written
    assert call(monkeypatch, "scan", tree, "--keyword", "hey uyan") == 0


def test_scan_names_what_it_leaves_out(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "noise/broken.wav").write_bytes(b"no audio")
    assert call(monkeypatch, "scan", tree) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("warning: left out noise/broken.wav: cannot be read")
    assert "7 recordings" in shown.out


def test_scan_of_a_folder_that_is_no_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "scan", tmp_path) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ") and "positive/<speaker>/" in shown.err
    assert shown.out == ""


def test_check_of_bad_recordings(
    tree: Path, write_recording: WriteRecording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording("set/positive/nameless.wav")
    assert call(monkeypatch, "scan", tree) == 0
    broken = tree / "positive/ada/0.wav"
    broken.write_bytes(b"no audio")
    capsys.readouterr()
    quarantine = tree.parent / "bad.csv"
    arguments = ("check", tree / "manifest.csv", "--workers", "1", "--quarantine", quarantine)
    assert call(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert f"unusable: {broken}: " in shown.out
    assert "warning: 1 recordings have no speaker_id" in shown.out
    assert "error: 1 of 8 recordings cannot be used; 5% are allowed" in shown.err
    assert "positive/ada/0.wav" in quarantine.read_text(encoding="utf-8")
    assert call(monkeypatch, *arguments, "--max-bad-share", "0.2") == 0


def test_check_names_one_take_under_two_speakers(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "positive/can/again.wav").write_bytes((tree / "positive/ada/0.wav").read_bytes())
    assert call(monkeypatch, "scan", tree) == 0
    assert call(monkeypatch, "check", tree / "manifest.csv", "--workers", "1") == 0
    shown = capsys.readouterr().out
    assert "1 near-duplicate groups, 1 of them across speakers" in shown
    assert "same take under two speakers: " in shown
    assert "(ada)" in shown and "(can)" in shown


def test_check_lists_what_is_odd_and_keeps_what_it_measured(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        (tree / f"negative/ada/copy{number:02}.wav").write_bytes((tree / "negative/ada/talk.wav").read_bytes())
    assert call(monkeypatch, "scan", tree) == 0
    assert call(monkeypatch, "check", tree / "manifest.csv", "--workers", "1") == 0
    shown = capsys.readouterr().out
    listed = [line for line in shown.splitlines() if line.startswith("duplicate: ")]
    assert len(listed) == 11
    assert listed[0].startswith(f"duplicate: {tree / 'negative/ada/'}") and ": the same audio as " in listed[0]
    assert listed[-1] == "duplicate: … and 2 more"
    assert (tree / ".uyan-cache/probes.parquet").exists()
    elsewhere = tree.parent / "probes.parquet"
    assert call(monkeypatch, "check", tree / "manifest.csv", "--workers", "1", "--cache", elsewhere) == 0
    assert elsewhere.exists()


@pytest.mark.parametrize("option", [("--workers", "0"), ("--max-bad-share", "2")])
def test_check_refuses_options_out_of_range(
    tree: Path, option: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "check", tree / "manifest.csv", *option) == 2
    assert option[0] in capsys.readouterr().err


def test_check_of_a_missing_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "check", tmp_path / "none.csv") == 2
    assert "none.csv: cannot be read" in capsys.readouterr().err


def test_a_manifest_of_speakers_beside_no_recording_is_refused_before_anything_is_heard(
    uyan: Any, write_corpus: Any, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    manifest = write_corpus(tmp_path / "here")
    code, _, err = uyan("data", "speakers", manifest, "--out", tmp_path / "elsewhere" / "m.csv")
    assert code == 2 and "lies beside no recording" in err


def test_speakers_are_estimated_into_a_manifest_of_its_own(
    uyan: Any, write_corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uyan.data.speakers import speaker_encoder
    from uyan.data.speakers import speaker_estimate as speakers

    manifest = write_corpus(tmp_path)
    text = manifest.read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    first = rows[0]["speaker_id"]
    manifest.write_text(text.replace(f",{first},", ",,"), encoding="utf-8")
    before = manifest.read_bytes()
    monkeypatch.setattr(speakers, "load_encoder", lambda weights: None)
    monkeypatch.setattr(speakers, "embed", lambda encoder, samples: np.float32([1, 0]))
    code, out, err = uyan("data", "speakers", manifest)
    assert code == 0 and "warning" not in err
    assert "1 estimated speakers" in out and "manifest.speakers.csv" in out
    found = list(csv.DictReader((tmp_path / "manifest.speakers.csv").read_text(encoding="utf-8").splitlines()))
    for was, row in zip(rows, found, strict=True):
        assert (
            row["speaker_id"].startswith("est:")
            if was["speaker_id"] == first
            else (row["speaker_id"] == was["speaker_id"])
        )
    assert manifest.read_bytes() == before
    assert uyan("data", "speakers", manifest, "--out", manifest)[0] == 2
    assert "estimated from their voices" in uyan("data", "check", tmp_path / "manifest.speakers.csv")[1]
    monkeypatch.undo()
    monkeypatch.setattr(speaker_encoder, "PACKAGE", "no_such_package")
    code, _, err = uyan("data", "speakers", manifest)
    assert code == 2 and "pip install --no-deps" in err and "Traceback" not in err


def test_a_manifest_in_object_storage_is_checked_like_one_on_disk(
    s3: Any, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "scan", tree, "--keyword", "hey uyan") == 0
    s3.put(str(tree), "words/set", recursive=True)
    capsys.readouterr()
    assert call(monkeypatch, "check", tree / "manifest.csv") == 0
    here = capsys.readouterr().out
    for _ in range(2):
        assert call(monkeypatch, "check", "s3://words/set/manifest.csv") == 0
        assert capsys.readouterr().out == here.replace(str(tree), "s3://words/set")
    assert len(list((tree.parent / "user-cache/uyan/probes").iterdir())) == 1
    s3.rm("words/set/noise/fan.wav")
    assert call(monkeypatch, "check", "s3://words/set/manifest.csv", "--max-bad-share", "0.5") == 0
    assert "unusable: s3://words/set/noise/fan.wav: no such file" in capsys.readouterr().out


def test_what_is_wrong_in_object_storage_is_one_line(s3: Any, uyan: Any) -> None:
    header = "path,label,speaker_id,duration_s,kind\n"
    s3.pipe("words/set/manifest.csv", f"{header}../other/a.wav,uyan,ada,1,keyword\n".encode())
    for manifest, said in (
        ("s3://words/set/manifest.csv", "row 2: path: '../other/a.wav' leads out of the manifest's folder"),
        ("s3://words/set/none.csv", "no such file"),
        ("s3://wrods/set/manifest.csv", "the bucket s3://wrods does not exist"),
        ("s3://words/../manifest.csv", "a URL with '.' or '..' in it"),
        ("nope://words/manifest.csv", "no protocol that fsspec knows"),
    ):
        code, _, err = uyan("data", "check", manifest)
        assert code == 2 and err.startswith(f"error: {manifest}: ") and said in err
        assert err.count("\n") == 1
    assert uyan("data", "speakers", "s3://words/set/manifest.csv")[0] == 2


@pytest.mark.slow
def test_several_processes_check_object_storage(s3: Any, write_corpus: Any, uyan: Any, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "set", speakers=10)
    s3.put(str(manifest.parent), "words/set", recursive=True)
    code, here, _ = uyan("data", "check", manifest, "--workers", "1")
    again, there, _ = uyan("data", "check", "s3://words/set/manifest.csv", "--workers", "2")
    assert code == again == 0 and there == here.replace(str(manifest.parent), "s3://words/set")
    code, _, err = uyan("data", "check", "s3://words/set/manifest.csv", "--workers", "2")
    assert code == 0, err
