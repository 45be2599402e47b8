"""A corpus: the same files however it is made, nothing half-written, what was dropped listed and replaced."""

import csv
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_engines import Moody, Tones

from uyan.audio_file import read
from uyan.data.manifest import load_manifests
from uyan.errors import ConfigError, VoiceError
from uyan.evaluation.annotations import load_annotations
from uyan.voices import clip as clip_module
from uyan.voices.corpus import JOURNAL_FILE, Corpus, Order, generate, make_order, planned
from uyan.voices.speech import Engine

ORDER = Order("jarvis", ("jarvis",), takes=2)


def make(folder: Path, count: int = 8, engine: Engine | None = None, order: Order = ORDER, **options: Any) -> Corpus:
    engine = engine or Tones()
    return generate(order, [engine], engine.voices(), folder, count, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != JOURNAL_FILE
    }


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def test_the_manifest_is_the_projects_own(tmp_path: Path) -> None:
    made = make(tmp_path / "c")
    recordings = load_manifests([made.manifest])
    assert made.clips == len(recordings) == 8
    assert {recording.label for recording in recordings} == {"jarvis"}
    assert made.speakers == len({recording.speaker_id for recording in recordings}) == 4
    assert all(r.speaker_id.startswith("tts:tones:v") and r.license == "CC0" for r in recordings)
    assert {recording.source for recording in recordings} == {"tts:tones"}
    for recording in recordings:
        samples = read(recording.file)
        assert samples.size / 16_000 == pytest.approx(recording.duration_s, abs=1e-3)
        assert 0.05 < np.abs(samples).max() < 0.95


def test_processes_and_growth_change_no_byte(tmp_path: Path) -> None:
    make(tmp_path / "one", 12)
    make(tmp_path / "two", 12, workers=2)
    make(tmp_path / "grown", 5)
    make(tmp_path / "grown", 12)
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "grown")


def test_another_seed_is_another_corpus(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", order=Order("jarvis", ("jarvis",), takes=2, seed=7))
    one, other = ({r.speaker_id for r in load_manifests([tmp_path / name / "manifest.csv"])} for name in "ab")
    assert one != other


def test_running_speech_has_places_that_annotations_are(tmp_path: Path) -> None:
    order = Order("jarvis", ("jarvis",), carriers=("well, {}, play",), format="flac")
    made = make(tmp_path, 6, order=order)
    listed = rows(made.manifest)
    assert all(0 < float(row["start_s"]) < float(row["end_s"]) < float(row["duration_s"]) for row in listed)
    assert {row["text"] for row in listed} == {"well, jarvis, play"}
    found = load_annotations([made.manifest], "jarvis")
    assert [len(recording.words) for recording in found] == [1] * 6


def test_negatives_are_labelled_with_what_they_say(tmp_path: Path) -> None:
    made = make(tmp_path, 12, order=Order("", ("jar", "service"), kind="negative"))
    assert {(r.kind, r.label) for r in load_manifests([made.manifest])} == {
        ("negative", "jar"),
        ("negative", "service"),
    }


def test_bad_voices_are_dropped_listed_and_replaced(tmp_path: Path) -> None:
    engine = Moody(names=("good", "silent", "refusing", "parrot", "fine"))
    made = make(tmp_path, 20, engine)
    assert made.clips == 20
    dropped = rows(tmp_path / "dropped.csv")
    reasons = {row["speaker_id"].split(":")[2]: row["reason"] for row in dropped}
    assert "empty" in reasons["silent"] or "given up" in reasons["silent"]
    assert "no such sound" in reasons["refusing"] or "given up" in reasons["refusing"]
    assert "good" not in reasons
    listed = {row["speaker_id"].split(":")[2] for row in rows(made.manifest)}
    assert listed <= {"good", "parrot", "fine"}
    assert len(list(tmp_path.rglob("*.wav"))) == 20
    assert make(tmp_path, 20, engine) == made


@pytest.mark.slow
def test_what_hangs_is_cut_off_listed_and_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uyan.voices.limited_pool.START_S", 5.0)
    made = make(tmp_path, 6, Moody(names=("good", "hanging", "dying")), workers=2, limit_s=0.3)
    reasons = {row["speaker_id"].split(":")[2]: row["reason"] for row in rows(tmp_path / "dropped.csv")}
    assert set(reasons) == {"hanging", "dying"}
    assert made.clips == 6


def test_when_nothing_can_be_said_the_reason_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no such sound"):
        make(tmp_path, 3, Moody(names=("refusing",)))
    assert not (tmp_path / "manifest.csv").exists()
    assert rows(tmp_path / "dropped.csv")


def test_a_torn_journal_loses_its_last_line_alone(tmp_path: Path) -> None:
    make(tmp_path / "c", 6)
    before = contents(tmp_path / "c")
    journal = tmp_path / "c" / JOURNAL_FILE
    whole = journal.read_bytes()
    for torn in (whole[:-10], whole + b'{"number": 3', b"", b"\xff\xfe garbage\n" + whole):
        journal.write_bytes(torn)
        make(tmp_path / "c", 6)
        assert contents(tmp_path / "c") == before
        assert [json.loads(line)["number"] for line in journal.read_bytes().splitlines()] == list(range(6))


def test_a_clip_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    make(tmp_path, 6)
    before = contents(tmp_path)
    next(iter(tmp_path.rglob("*.wav"))).unlink()
    make(tmp_path, 6)
    assert contents(tmp_path) == before


def test_a_folder_belongs_to_one_order(tmp_path: Path) -> None:
    make(tmp_path / "c", 2)
    with pytest.raises(ConfigError, match=r"another order \(seed"):
        make(tmp_path / "c", 2, order=Order("jarvis", ("jarvis",), takes=2, seed=1))
    with pytest.raises(ConfigError, match=r"another order \(voices"):
        make(tmp_path / "c", 2, Tones(count=5))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="something else"):
        make(tmp_path / "mine", 2)


def test_a_full_disk_is_said_and_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = next(planned(ORDER, Tones().voices()))

    def full(path: Path, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(VoiceError, match="the disk is full; free some space"):
        clip_module.Making((Tones(),), tmp_path, 1)(clip)
    assert list(tmp_path.rglob("*.wav")) == []
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.parametrize("count", [0, -1])
def test_counts_that_make_no_sense(tmp_path: Path, count: int) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        make(tmp_path, count)


def test_an_order_from_what_a_user_gives(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("jarvis\n# a comment\n\nja vis\njarvis\n", encoding="utf-8")
    assert make_order("jarvis", file).texts == ("jarvis", "ja vis")
    assert make_order("x", file, kind="negative").label == ""
    for wrong in ({"kind": "noise"}, {"audio_format": "mp3"}, {"texts": tmp_path / "none"}, {"word": "  "}):
        with pytest.raises(ConfigError):
            make_order(**{"word": "jarvis", **wrong})  # type: ignore[arg-type]
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        make_order("jarvis", file)
    file.write_text("\n#\n")
    with pytest.raises(ConfigError, match="no text"):
        make_order("jarvis", file)
