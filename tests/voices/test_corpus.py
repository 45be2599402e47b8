"""A corpus: the same files however it is made, nothing half-written, what was dropped listed and replaced."""

import csv
import errno
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_engines import Moody, Tones
from filelock import FileLock

from uyan.audio_file import read
from uyan.data.manifest import load_manifests
from uyan.errors import ConfigError, VoiceError
from uyan.evaluation.annotations import load_annotations
from uyan.voices import clip as clip_module
from uyan.voices.clip import Made
from uyan.voices.corpus import GIVEN_UP, Corpus, _as_many, _attempts, generate, planned
from uyan.voices.corpus_folder import JOURNAL_FILE, LOCK
from uyan.voices.journal import Journal
from uyan.voices.order import Order
from uyan.voices.speech import Engine

ORDER = Order("jarvis", ("jarvis",), takes=2)


def make(folder: Path, count: int = 8, engine: Engine | None = None, order: Order = ORDER, **options: Any) -> Corpus:
    engine = engine or Tones()
    return generate(order, [engine], engine.voices(), folder, count, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in (JOURNAL_FILE, LOCK)
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


@pytest.mark.parametrize("name", ["../../up", "two\nlines", "a\\b", "nul\0", "ü" * 300])
def test_no_name_of_a_voice_leads_out_of_the_folder(name: str) -> None:
    for clip in itertools.islice(planned(ORDER, Moody(names=(name,)).voices()), 3):
        kind, folder, _ = clip.path.split("/")
        assert kind == "keyword"
        assert folder.startswith("tts_tones_")
        assert len(folder.encode()) <= 255
        assert not set(folder) & set("\\\n\0")


UNEVEN = Moody(names=("uneven", "good", "moody"))


@pytest.mark.slow
def test_what_is_dropped_depends_on_no_history(tmp_path: Path) -> None:
    """Medians move with more clips, and a voice is given up by its first ones: none of it by who came first."""
    made = make(tmp_path / "one", 60, UNEVEN)
    before = contents(tmp_path / "one")
    assert set(made.dropped) == {"not as long as it should be", "not in the mood"}
    make(tmp_path / "one", 60, UNEVEN)
    assert contents(tmp_path / "one") == before
    for count in (7, 13, 21, 34, 60):
        make(tmp_path / "grown", count, UNEVEN)
    assert contents(tmp_path / "grown") == before
    make(tmp_path / "beside", 60, UNEVEN, workers=3)
    assert contents(tmp_path / "beside") == before


def test_a_voice_that_is_given_up_is_so_by_its_first_clips_in_order() -> None:
    clips = list(itertools.islice(planned(ORDER, Tones(count=1).voices()), 6))
    assert _attempts(clips, True) == clips[:4]
    assert _attempts(clips, False) == clips[4:]


def test_voices_that_are_used_up_by_replacements_make_fewer(tmp_path: Path) -> None:
    engine = Moody(names=("uneven",))
    with pytest.raises(VoiceError, match="and no more"):
        make(tmp_path, 751, engine)
    assert not list(tmp_path.iterdir())


def test_what_replaces_ends_with_the_voices() -> None:
    plan = planned(ORDER, Tones(count=1).voices())
    assert len(list(itertools.islice(plan, 740))) == 740
    assert len(_as_many(plan, 20)) == 10
    assert _as_many(plan, 20) == []


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
    dropped = rows(tmp_path / "dropped.csv")
    assert [row["reason"] for row in dropped] == ["the voice has no such sound"] * 4 + [GIVEN_UP]


def test_a_voice_that_is_given_up_has_one_row(tmp_path: Path) -> None:
    made = make(tmp_path, 40, Moody(names=("good", "refusing")))
    reasons = [row["reason"] for row in rows(tmp_path / "dropped.csv")]
    assert reasons.count(GIVEN_UP) == 1
    assert reasons.count("the voice has no such sound") == 4
    assert sum(made.dropped.values()) == 5


def test_an_order_that_made_nothing_is_replaced_and_tried_anew(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(VoiceError, match="no such sound"):
            make(tmp_path / "c", 8, Moody(names=("refusing",)))
    assert make(tmp_path / "c", 8).clips == 8
    make(tmp_path / "fresh", 8)
    assert contents(tmp_path / "c") == contents(tmp_path / "fresh")
    with pytest.raises(ConfigError, match=r"another order \(voices"):
        make(tmp_path / "c", 8, Moody(names=("refusing",)))


def test_a_smaller_count_tells_what_it_leaves_out(tmp_path: Path) -> None:
    assert make(tmp_path, 12).unlisted == 0
    assert make(tmp_path, 5).unlisted == 7
    assert make(tmp_path, 12).unlisted == 0


def test_near_texts_of_every_category_are_said_equally_often() -> None:
    texts = ("hey", *(f"word {number}" for number in range(20)), "an hey")
    categories = ("first part", *(["near word"] * 20), "turned around")
    order = Order("", texts, kind="negative", categories=categories)
    clips = list(itertools.islice(planned(order, Tones().voices()), 60))
    assert Counter(clip.label for clip in clips) == dict.fromkeys(set(categories), 20)
    assert len({clip.phrase.text for clip in clips}) == 22
    assert len({clip.speaker.voice.name for clip in clips if clip.label == "first part"}) == 3


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


def test_a_journal_that_does_not_fit_on_the_disk_says_so(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of files are Unix'")
    clip = next(planned(ORDER, Tones().voices()))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(VoiceError, match="cannot be written"), Journal(tmp_path / "journal") as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            for _ in range(20):
                journal.add(Made(clip.number, clip.identity))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with Journal(tmp_path / "journal") as journal:
        assert journal.made(clip, tmp_path) is None  # its file is not there
    assert (tmp_path / "journal").read_bytes().endswith(b"}\n")


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


def test_one_process_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    before = contents(make(tmp_path / "c", 2).manifest.parent)
    with FileLock(tmp_path / "c" / LOCK), pytest.raises(ConfigError, match="another process is at work there"):
        make(tmp_path / "c", 4)
    assert contents(tmp_path / "c") == before
    assert make(tmp_path / "c", 4).clips == 4


def test_a_full_disk_is_said_and_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = next(planned(ORDER, Tones().voices()))

    def full(path: Path, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(VoiceError, match=r"the disk is full; free some space and repeat the command$"):
        clip_module.Making((Tones(),), tmp_path, 1)(clip)
    assert list(tmp_path.rglob("*.wav")) == []
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.parametrize("count", [0, -1])
def test_counts_that_make_no_sense(tmp_path: Path, count: int) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        make(tmp_path, count)
