import csv
from pathlib import Path
from typing import Any

import pytest

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.runtime.clip_folder import ClipFolder
from uyan.runtime.clips import AFTER_S, BEFORE_S, ClipSaver
from uyan.runtime.listener import Chunk, Listener, hear
from uyan.runtime.near_misses import NearMisses


def saved(bundle: Bundle, chunks: list[Chunk], folder: Path) -> list[dict[str, str]]:
    listener = Listener(bundle)
    saver = ClipSaver(NearMisses(listener.thresholds, 0.5), ClipFolder(folder, 10, pytest.fail), "test")
    hear(listener, chunks, [saver])
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("size", [100_000_000, 16_000, 777])
def test_clips_hold_exactly_the_audio_around_detections_and_near_misses(
    bundle: Bundle, changing_sound: Any, tmp_path: Path, size: int
) -> None:
    sound = changing_sound(12.0, seed=1)
    chunks = [Chunk(sound[at : at + size]) for at in range(0, sound.size, size)]
    rows = saved(bundle, chunks, tmp_path)
    expected = Detector(bundle, tta=True).push(sound)
    assert [row["time_s"] for row in rows if row["event"] == "detection"] == [f"{d.time_s:.3f}" for d in expected]
    near = [row for row in rows if row["event"] == "near miss"]
    assert near
    assert all(float(row["score"]) >= 0.25 for row in near)
    for row in rows:
        at = round(float(row["time_s"]) * SAMPLE_RATE)
        start, stop = at - round(BEFORE_S * SAMPLE_RATE), at + round(AFTER_S * SAMPLE_RATE)
        clip = read(tmp_path / row["path"])
        assert clip == pytest.approx(sound[max(0, start) : stop], abs=1e-4)


def test_any_chunking_leaves_the_same_clips(bundle: Bundle, changing_sound: Any, tmp_path: Path) -> None:
    sound = changing_sound(12.0, seed=1)
    for folder, size in (("a", 100_000), ("b", 4321)):
        saved(bundle, [Chunk(sound[at : at + size]) for at in range(0, sound.size, size)], tmp_path / folder)
    a, b = ({file.name: file.read_bytes() for file in (tmp_path / folder).glob("*.wav")} for folder in "ab")
    assert a == b


def test_a_cut_ends_the_clips_that_wait(bundle: Bundle, changing_sound: Any, tmp_path: Path) -> None:
    sound = changing_sound(12.0, seed=1)
    fired = round(Detector(bundle, tta=True).push(sound)[0].time_s * SAMPLE_RATE)
    until = fired + 800
    rows = saved(bundle, [Chunk(sound[:until]), Chunk(sound[:0], lost=50_000), Chunk(sound[until:])], tmp_path)
    (row,) = [row for row in rows if row["time_s"] == f"{fired / SAMPLE_RATE:.3f}"]
    clip = read(tmp_path / row["path"])
    assert clip.size == min(fired, round(BEFORE_S * SAMPLE_RATE)) + 800
