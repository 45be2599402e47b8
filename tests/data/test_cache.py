"""Features come back as they were stored, within the memory allowed, and never stale, torn or of other audio."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio_file import read
from uyan.data import cache as cache_module
from uyan.data.cache import GIB, FeatureCache, default_budget_gb, extract, to_single
from uyan.data.probe import content_sha1
from uyan.data.shards.shard_folder import ShardFolder
from uyan.data.shards.shard_merge import MANY
from uyan.engine.given_up import GivenUp
from uyan.errors import AudioError, DataError, ShardError
from uyan.frontend import FrontendConfig, log_mel

MELS = 64
Write = Callable[..., Path]


def name(number: int) -> str:
    return f"{number:040x}"


def features(frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.uniform(-14, 10, (MELS, frames)).astype(np.float32)


def cache_of(folder: Path, budget_bytes: int | None = None) -> FeatureCache:
    budget_gb = None if budget_bytes is None else (budget_bytes + 0.5) / GIB
    return FeatureCache(folder, FrontendConfig(), budget_gb)


def filled(folder: Path, frames: list[int], budget_bytes: int | None = None) -> FeatureCache:
    cache = cache_of(folder, budget_bytes)
    for number, length in enumerate(frames):
        cache.put(name(number), np.full((MELS, length), number, np.float32))
    return cache


def in_memory(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """Which of the first `count` recordings are held, asked without a look at the disk."""
    held = []
    with monkeypatch.context() as patch:
        patch.setattr(ShardFolder, "read", None)
        for number in range(count):
            if name(number) in cache._held:
                assert (cache.get(name(number)) == number).all()
                held.append(number)
    return held


def test_features_are_kept_to_half_precision(tmp_path: Path, rng: np.random.Generator) -> None:
    cache, stored = cache_of(tmp_path), features(150, rng)
    cache.put(name(1), stored)
    for found in (cache.get(name(1)), cache.get(name(1)), cache.read(name(1))):
        assert (found.shape, found.dtype) == ((MELS, 150), np.float16)
        np.testing.assert_array_equal(found, stored.astype(np.float16))
    assert np.abs(found - stored).max() < 16 * 2**-11  # half the spacing of fp16 between 8 and 16


def test_a_clip_of_a_second_and_a_half_takes_20_kb(tmp_path: Path, rng: np.random.Generator) -> None:
    cache = cache_of(tmp_path)
    with cache.writer() as writer:
        for number in range(10):
            writer.add(name(number), features(150, rng))
    files = [path for path in cache.folder.iterdir() if path.is_file()]
    assert len(files) == 2
    assert sum(path.stat().st_size for path in files) == pytest.approx(10 * 19_240, rel=0.01)


def test_features_lie_frame_by_frame(tmp_path: Path, rng: np.random.Generator) -> None:
    cache = cache_of(tmp_path)
    cache.put(name(1), features(90, rng))
    for found in (cache.get(name(1)), cache.part(name(1), 5, 20), cache.read(name(1), 20)):
        assert found.strides == (2, 2 * MELS)  # one frame's mels lie side by side: a crop is one stretch of memory


def test_stretches_lengths_and_all_at_once(tmp_path: Path, rng: np.random.Generator) -> None:
    cache, stored = cache_of(tmp_path), [features(frames, rng).astype(np.float16) for frames in (9, 1, 0, 30)]
    for number, one in enumerate(stored):
        cache.put(name(number), one)
    np.testing.assert_array_equal(cache.read(name(3), 10, 12), stored[3][:, 10:12])
    asked = [3, 0, 2, 3, 1]
    names = [name(number) for number in asked]
    assert cache.lengths(names).tolist() == [30, 9, 0, 30, 1]
    rows, starts = cache.packed(names)
    assert (rows.shape, rows.dtype, starts.tolist()) == ((70, MELS), np.float16, [0, 30, 39, 39, 69, 70])
    np.testing.assert_array_equal(rows.T, np.concatenate([stored[number] for number in asked], axis=1))
    assert cache.missing([name(1), name(8), name(0), name(9)]) == [name(8), name(9)]
    assert cache.packed([]).rows.shape == (0, MELS)
    with pytest.raises(DataError, match=f"no features of {name(9)}; run `uyan features`"):
        cache.packed([name(1), name(9)])


def test_another_process_gets_the_cache_without_what_is_open_or_held(tmp_path: Path) -> None:
    cache = filled(tmp_path, [10, 20])
    cache.get(name(0))
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.get(name(1)) == 1).all() and name(0) in copy


def test_another_front_end_never_sees_these_features(tmp_path: Path) -> None:
    cache = filled(tmp_path, [10])
    other = FeatureCache(tmp_path, FrontendConfig(low_hz=61.0))
    assert name(0) in cache
    assert name(0) not in other
    with pytest.raises(DataError):
        other.get(name(0))


@pytest.mark.parametrize("budget_bytes", [0, 10**9])
def test_damaged_features_are_named_deleted_and_missing_again(tmp_path: Path, budget_bytes: int) -> None:
    told: list[str] = []
    cache = FeatureCache(tmp_path, FrontendConfig(), budget_bytes / GIB, told.append)
    cache.put(name(0), np.zeros((MELS, 50), np.float32))
    cache.put(name(1), np.ones((MELS, 50), np.float32))
    (damaged,) = [path for path in cache.folder.glob("*.f16") if not any(path.read_bytes())]
    damaged.write_bytes(bytes(100) + b"rot" + bytes(50 * MELS * 2 - 103))
    with pytest.raises(ShardError, match=rf"{damaged}: not the features .* run the same command again"):
        cache.get(name(0))
    (line,) = told
    assert str(damaged.with_suffix(".index")) in line and "1 recording(s) are made again" in line
    assert not damaged.exists()
    assert [name(0) in cache, name(1) in cache] == [False, True]
    cache.put(name(0), np.zeros((MELS, 50), np.float32))
    assert (cache.get(name(0)) == 0).all() and (cache.get(name(1)) == 1).all()


@pytest.mark.parametrize("budget_bytes", [0, 10**9])
def test_parts_are_the_recording_whatever_fits(tmp_path: Path, rng: np.random.Generator, budget_bytes: int) -> None:
    cache, stored = cache_of(tmp_path, budget_bytes), features(7000, rng)
    cache.put(name(1), stored)
    for _ in range(2):
        assert cache.frames(name(1)) == 7000
        np.testing.assert_array_equal(cache.part(name(1), 5990, 6100), stored[:, 5990:6100].astype(np.float16))
        assert (name(1) in cache._held) == (budget_bytes > 0)


@pytest.mark.parametrize("what", ["changed", "cut"])
def test_what_exceeds_the_budget_is_verified_whenever_it_is_read(tmp_path: Path, what: str) -> None:
    """Its file is damaged after it was read once."""
    cache = filled(tmp_path, [20_000], budget_bytes=0)
    whole = cache.get(name(0))
    assert (cache.part(name(0), 0, 100) == 0).all()
    (data,) = cache.folder.glob("*.f16")
    if what == "cut":
        os.truncate(data, 3)
    else:
        data.write_bytes(b"\xff" + data.read_bytes()[1:])
    assert (whole == 0).all()
    if what == "changed":
        assert (cache.part(name(0), 6000, 7000) == 0).all()  # a minute that is as it was
    with pytest.raises(ShardError, match=f"{data}: .* run the same command again"):
        cache.part(name(0), 0, 100)


def test_missing_features_are_named_with_the_remedy(tmp_path: Path) -> None:
    for ask in (FeatureCache.get, FeatureCache.read, FeatureCache.frames):
        with pytest.raises(DataError, match=f"no features of {name(7)}; run `uyan features`"):
            ask(cache_of(tmp_path), name(7))
    with pytest.raises(DataError, match=r"'speech' cannot name features; a name is a sha1, 40 hex digits"):
        cache_of(tmp_path).get("speech")


def test_the_least_recently_used_leave_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = 10 * MELS * 2
    cache = filled(tmp_path, [10] * 5, budget_bytes=3 * item)
    for number in (0, 1, 2, 0, 3):
        cache.get(name(number))
    assert in_memory(cache, monkeypatch, 5) == [0, 2, 3]
    cache.get(name(4))  # asking in the order 0, 2, 3 made 0 the oldest
    assert in_memory(cache, monkeypatch, 5) == [2, 3, 4]


@given(
    frames=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    asked=st.lists(st.integers(0, 7), max_size=30),
    budget_frames=st.integers(0, 80),
)
def test_the_budget_holds_whatever_the_sizes(
    tmp_path_factory: pytest.TempPathFactory, frames: list[int], asked: list[int], budget_frames: int
) -> None:
    budget_bytes = budget_frames * MELS * 2
    cache = filled(tmp_path_factory.mktemp("cache"), frames, budget_bytes)
    for number in asked:
        number %= len(frames)
        found = cache.get(name(number))
        assert found.shape == (MELS, frames[number]) and (found == number).all()
        held_bytes = sum(array.nbytes for array in cache._held.values())
        assert held_bytes == cache._held_bytes <= budget_bytes
        assert (name(number) in cache._held) == (frames[number] <= budget_frames)


def test_the_item_limit_is_the_budget_over_the_mean_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "SIZING_ITEMS", 4)
    frame_bytes = MELS * 2
    cache = filled(tmp_path, [10, 20, 30, 35, 1, 1, 1, 1], budget_bytes=100 * frame_bytes)
    for number in range(3):
        cache.get(name(number))
        assert cache.max_items is None
    cache.get(name(3))
    assert cache.max_items == 100 * 4 // (10 + 20 + 30 + 35) == 4  # floor(100 / 23.75)
    for number in range(4, 8):
        cache.get(name(number))
    assert cache.max_items == 4
    assert in_memory(cache, monkeypatch, 8) == [4, 5, 6, 7]
    cache.reset()
    assert cache.max_items is None
    assert in_memory(cache, monkeypatch, 8) == []


def test_processes_divide_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = 10 * MELS * 2
    cache = filled(tmp_path, [10] * 8, budget_bytes=6 * item)
    cache.get(name(0))
    cache.share(3)
    assert in_memory(cache, monkeypatch, 8) == []
    for number in range(8):
        cache.get(name(number))
    assert in_memory(cache, monkeypatch, 8) == [6, 7]
    cache.share(2)
    for number in range(8):
        cache.get(name(number))
    assert in_memory(cache, monkeypatch, 8) == [5, 6, 7]  # of the whole budget, not of the last share


def test_the_default_budget_is_12_gib_of_64_and_in_proportion_below(tmp_path: Path) -> None:
    assert [default_budget_gb(n * GIB) for n in (128, 64, 32, 8)] == [12.0, 12.0, 6.0, 1.5]
    assert 0 < FeatureCache(tmp_path, FrontendConfig()).max_ram_gb <= 12.0


def sources(write_recording: Write, count: int) -> list[tuple[Path, str]]:
    files = [write_recording(f"{number}.wav") for number in range(count)]
    return [(file, content_sha1(read(file))) for file in files]


def test_extracted_features_are_those_of_the_front_end(tmp_path: Path, write_recording: Write) -> None:
    cache, found = cache_of(tmp_path / "cache"), sources(write_recording, 3)
    seen: list[tuple[int, int]] = []
    assert extract(found, cache, workers=1, progress=lambda stage, done, total: seen.append((done, total))) == 3
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for file, sha1 in found:
        np.testing.assert_array_equal(cache.get(sha1), log_mel(read(file), cache.config).astype(np.float16))


def test_only_what_is_missing_is_made(tmp_path: Path, write_recording: Write) -> None:
    cache, found = cache_of(tmp_path / "cache"), sources(write_recording, 4)
    extract(found[:2], cache, workers=1)
    written = {file: file.stat().st_mtime_ns for file in cache.folder.iterdir()}
    found[0][0].unlink()  # what is there is not even looked for again
    assert extract([*found, found[3]], cache, workers=1) == 2
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert extract(found, cache, workers=1) == 0
    assert extract([], cache) == 0


def test_an_interrupted_extraction_goes_on(tmp_path: Path, write_recording: Write) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    cache, found = cache_of(tmp_path / "cache"), sources(write_recording, 5)
    with pytest.raises(KeyboardInterrupt):
        extract(found, cache, workers=1, progress=interrupt)
    assert sum(sha1 in cache for _, sha1 in found) == 2
    assert extract(found, cache, workers=1) == 3
    assert all(sha1 in cache for _, sha1 in found)


def test_a_file_that_changed_since_the_check_is_refused(tmp_path: Path, write_recording: Write) -> None:
    cache, found = cache_of(tmp_path / "cache"), sources(write_recording, 2)
    write_recording("1.wav")
    with pytest.raises(DataError, match=r"1\.wav: changed since it was checked; run `uyan data check`"):
        extract(found, cache, workers=1)
    assert [sha1 in cache for _, sha1 in found] == [True, False]
    found[1][0].unlink()
    with pytest.raises(AudioError, match=r"1\.wav: no such file"):
        extract(found, cache, workers=1)


def test_many_packets_end_in_few_shards(tmp_path: Path, write_recording: Write) -> None:
    cache, found = cache_of(tmp_path / "cache"), sources(write_recording, 40)
    extract(found, cache, workers=1)
    assert len(list(cache.folder.glob("*.f16"))) <= MANY
    for sha1, rows in fresh(found).items():
        np.testing.assert_array_equal(cache.get(sha1), rows)


def test_additions_of_a_few_do_not_pile_up(tmp_path: Path, write_recording: Write) -> None:
    cache, found = cache_of(tmp_path / "cache"), sources(write_recording, 60)
    for start in range(0, 60, 2):
        extract(found[start : start + 2], cache)
        assert len(list(cache.folder.glob("*.f16"))) <= MANY
    assert cache.missing([sha1 for _, sha1 in found]) == []


def test_a_damaged_shard_alone_is_made_again(tmp_path: Path, write_recording: Write) -> None:
    told: list[str] = []
    found = sources(write_recording, 12)
    extract(found[:6], cache_of(tmp_path / "cache"), workers=1)
    extract(found[6:], cache_of(tmp_path / "cache"), workers=1)
    cache = FeatureCache(tmp_path / "cache", FrontendConfig(), tell=told.append)
    torn = next(cache.folder.glob("*.f16"))
    os.truncate(torn, torn.stat().st_size - 1)
    count = sum(sha1 not in cache_of(tmp_path / "untouched") for _, sha1 in found)
    made = extract(found, cache, workers=1)
    assert 0 < made < count == 12
    assert told == [f"{torn.with_suffix('.index')}: damaged, deleted; features of its recordings are made again"]
    for sha1, rows in fresh(found).items():
        np.testing.assert_array_equal(cache.get(sha1), rows)


def fresh(found: list[tuple[Path, str]]) -> dict[str, NDArray[np.float16]]:
    return {sha1: log_mel(read(file), FrontendConfig()).astype(np.float16) for file, sha1 in found}


EXTRACT = """
import sys, time
from pathlib import Path
from uyan.audio_file import read
from uyan.data.cache import FeatureCache, extract
from uyan.data.probe import content_sha1
from uyan.frontend import FrontendConfig
if __name__ == "__main__":
    files = sorted(Path(sys.argv[2]).glob("*.wav"))
    sources = [(file, content_sha1(read(file))) for file in files]
    print("go", flush=True)
    extract(sources, FeatureCache(Path(sys.argv[1]), FrontendConfig()), workers=int(sys.argv[3]))
    print("done", flush=True)
"""


@pytest.fixture
def extracting(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a process that extracts the recordings below the test's folder, with its workers in a group of its own."""
    script, begun = tmp_path / "script.py", []
    script.write_text(EXTRACT)

    def start(workers: int) -> "subprocess.Popen[str]":
        arguments = [sys.executable, str(script), str(tmp_path / "cache"), str(tmp_path), str(workers)]
        begun.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True))
        return begun[-1]

    yield start
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_goes_on_where_it_was(
    tmp_path: Path, write_recording: Write, extracting: Callable[..., "subprocess.Popen[str]"], workers: int
) -> None:
    found, rng = sources(write_recording, 150), np.random.default_rng(workers)
    cache, counts = cache_of(tmp_path / "cache"), [0]
    for _ in range(4):
        process = extracting(workers)
        assert process.stdout and process.stdout.readline() == "go\n"
        time.sleep(rng.uniform(0.0, 0.5 if workers == 1 else 3.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        counts.append(150 - len(cache.missing([sha1 for _, sha1 in found])))
    assert counts == sorted(counts)  # what was finished stays
    process = extracting(workers)
    assert process.communicate()[0] == "go\ndone\n"
    for sha1, rows in fresh(found).items():
        np.testing.assert_array_equal(cache.get(sha1), rows)
    assert extract(found, cache, workers=1) == 0


@pytest.mark.slow
def test_several_runs_at_once_lose_nothing(
    tmp_path: Path, write_recording: Write, extracting: Callable[..., "subprocess.Popen[str]"]
) -> None:
    found = sources(write_recording, 150)
    for process in [extracting(1), extracting(1), extracting(2)]:
        assert process.communicate()[0] == "go\ndone\n"
        assert process.returncode == 0
    cache = cache_of(tmp_path / "cache")
    for sha1, rows in fresh(found).items():
        np.testing.assert_array_equal(cache.get(sha1), rows)
    assert extract(found, cache, workers=1) == 0
    assert len(list(cache.folder.glob("*.f16"))) <= 3 * MANY


@pytest.mark.parametrize("finite", [True, False])
def test_every_half_becomes_the_same_single(finite: bool) -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)] if finite else halves
    single = to_single(halves)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, halves.astype(np.float32))
    assert (np.signbit(single) == np.signbit(halves)).all()
    assert to_single(halves[:0]).size == 0


def test_who_kills_while_it_is_extracted_is_kept_for_the_next_check(
    tmp_path: Path, write_recording: Write, dying: list[str]
) -> None:
    cache, found, listed = cache_of(tmp_path / "cache"), sources(write_recording, 3), tmp_path / "given-up.csv"
    dying.append("1.wav")
    with pytest.raises(DataError, match=r"1\.wav: its process died 3 times; leave it out"):
        extract(found, cache)
    with pytest.raises(DataError, match=r"1\.wav: its process died 3 times; the same command goes on without it"):
        extract(found, cache, given_up=GivenUp(listed))
    assert list(GivenUp(listed).among(file for file, _ in found)) == [str(found[1][0])]


def test_an_error_ends_what_is_still_at_work(
    tmp_path: Path, write_recording: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []

    def results(*arguments: object, **options: object) -> Iterator[str]:
        try:
            yield "1.wav: changed"
        finally:
            ended.append(True)

    monkeypatch.setattr("uyan.data.cache.run_tasks", results)
    with pytest.raises(DataError, match="changed") as caught:
        extract(sources(write_recording, 1), cache_of(tmp_path / "cache"))
    assert ended == [True], caught  # though the traceback still holds the loop
