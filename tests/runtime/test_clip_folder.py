import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.errors import ConfigError
from uyan.runtime.clip_folder import COLUMNS, ClipFolder
from uyan.runtime.near_misses import Event

FIRED = Event("günaydın", 12.34, 0.98765, fired=True)
NEAR = Event("günaydın", 20.5, 0.4, fired=False)


@pytest.fixture
def told() -> list[str]:
    return []


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "clips.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def noise(samples: int = 8_000, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def test_a_clip_is_a_wav_and_a_row(tmp_path: Path, told: list[str]) -> None:
    folder = ClipFolder(tmp_path / "clips", 1, told.append)
    folder.save(FIRED, noise(), "Jabra, USB")
    folder.save(NEAR, noise(seed=2), "oda günlüğü.wav")
    first, second = rows(tmp_path / "clips")
    path = first.pop("path")
    assert first == {
        "word": "günaydın", "time_s": "12.340", "score": "0.9877", "event": "detection", "source": "Jabra, USB",
        "label": "", "speaker_id": "",
    }  # fmt: skip
    assert (second["event"], second["source"]) == ("near miss", "oda günlüğü.wav")
    info = soundfile.info(str(tmp_path / "clips" / path))
    assert (info.samplerate, info.channels, info.format, info.subtype) == (SAMPLE_RATE, 1, "WAV", "PCM_16")
    assert read(tmp_path / "clips" / path) == pytest.approx(noise(), abs=1e-4)
    assert folder.saved == 2
    assert told == []
    assert sorted(path.suffix for path in (tmp_path / "clips").iterdir()) == [".csv", ".wav", ".wav"]


def test_the_same_clip_again_changes_nothing(tmp_path: Path, told: list[str]) -> None:
    for _ in range(2):
        folder = ClipFolder(tmp_path, 1, told.append)
        folder.save(FIRED, noise(), "a.wav")
        before = (tmp_path / "clips.csv").read_bytes()
    assert folder.saved == 0
    assert len(rows(tmp_path)) == 1
    folder.save(NEAR, noise(), "a.wav")
    assert (tmp_path / "clips.csv").read_bytes().startswith(before)
    assert len(rows(tmp_path)) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_people_write_into_the_table_meanwhile_stays(tmp_path: Path, told: list[str], encoding: str) -> None:
    folder = ClipFolder(tmp_path, 1, told.append)
    folder.save(FIRED, noise(), "a.wav")
    (row,) = rows(tmp_path)
    written = f"note,{','.join(reversed(COLUMNS))}\nloud,{','.join(reversed([*list(row.values())[:6], 'yes', 'ada']))}"
    (tmp_path / "clips.csv").write_text(written, encoding=encoding)
    folder.save(NEAR, noise(), "a.wav")
    first, second = rows(tmp_path)
    assert first == row | {"label": "yes", "speaker_id": "ada", "note": "loud"}
    assert (second["event"], second["label"], second["note"]) == ("near miss", "", "")


@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=12), budget_bytes=st.integers(0, 20_000))
def test_the_budget_is_never_exceeded_and_its_end_is_said_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], budget_bytes: int
) -> None:
    path, told = tmp_path_factory.mktemp("clips"), []
    folder = ClipFolder(path, budget_bytes / 1e6, told.append)
    used = 0
    for number, size in enumerate(sizes):
        folder.save(Event("uyan", number, 0.5, fired=False), noise(size, number), "a.wav")
        bytes_now = sum(file.stat().st_size for file in path.glob("*.wav"))
        fits = not told
        assert bytes_now == used + (44 + 2 * size if fits else 0)
        used = bytes_now
    assert used <= budget_bytes
    assert len(rows(path)) == len(list(path.glob("*.wav"))) == folder.saved
    assert len(told) == (1 if folder.saved < len(sizes) else 0)
    assert folder.stopped == bool(told)


def test_clips_from_before_count_and_stay(tmp_path: Path, told: list[str]) -> None:
    ClipFolder(tmp_path, 1, told.append).save(FIRED, noise(), "a.wav")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    again = ClipFolder(tmp_path, 0.02, told.append)
    again.save(NEAR, noise(), "a.wav")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert told == [f"no more clips are saved in {tmp_path}: its 0.02 MB are used up"]


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_heard(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.*clips cannot be saved there"):
        ClipFolder(tmp_path / "file", 1, told.append)


@pytest.mark.parametrize("budget_mb", [-1.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_size_is_refused(tmp_path: Path, told: list[str], budget_mb: float) -> None:
    with pytest.raises(ConfigError, match="budget must be a number of MB"):
        ClipFolder(tmp_path, budget_mb, told.append)


def test_another_table_of_that_name_is_refused(tmp_path: Path, told: list[str]) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("path;word;label\n")
    with pytest.raises(ConfigError, match=r"clips\.csv: row 1: no column path, .*by commas"):
        ClipFolder(tmp_path, 1, told.append)
    table.write_text(f"path,{'x' * 140_000}\n")
    with pytest.raises(ConfigError, match=r"clips\.csv: row 1: not CSV \(field larger"):
        ClipFolder(tmp_path, 1, told.append)
    table.write_bytes(b"path,\xff\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        ClipFolder(tmp_path, 1, told.append)
    assert table.read_bytes() == b"path,\xff\n"


def test_a_full_disk_stops_the_saving_and_not_the_listening(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ClipFolder(tmp_path, 1, told.append)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("uyan.runtime.clip_folder.write", full)
    for _ in range(3):
        folder.save(FIRED, noise(), "a.wav")
    assert len(told) == 1
    assert "No space left" in told[0]
    assert [file.name for file in tmp_path.iterdir()] == ["clips.csv"]
    assert rows(tmp_path) == []


def test_a_word_from_a_stranger_s_bundle_names_no_file(tmp_path: Path, told: list[str]) -> None:
    folder = ClipFolder(tmp_path / "clips", 1, told.append)
    word = '../../x,"y'
    folder.save(Event(word, 1.0, 0.5, fired=True), noise(), "a.wav")
    (row,) = rows(tmp_path / "clips")
    assert row["word"] == word
    assert (tmp_path / "clips" / row["path"]).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]
