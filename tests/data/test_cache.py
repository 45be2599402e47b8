"""Features come back as they were stored, within the memory allowed, and never stale, torn or of other audio."""

from collections.abc import Callable
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
from uyan.errors import AudioError, DataError
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
        patch.setattr(FeatureCache, "mapped", None)
        for number in range(count):
            if name(number) in cache._held:
                assert (cache.get(name(number)) == number).all()
                held.append(number)
    return held


def test_features_are_kept_to_half_precision(tmp_path: Path, rng: np.random.Generator) -> None:
    cache, stored = cache_of(tmp_path), features(150, rng)
    cache.put(name(1), stored)
    for found in (cache.get(name(1)), cache.get(name(1)), cache.mapped(name(1))):
        assert (found.shape, found.dtype) == ((MELS, 150), np.float16)
        np.testing.assert_array_equal(found, stored.astype(np.float16))
    assert np.abs(found - stored).max() < 16 * 2**-11  # half the spacing of fp16 between 8 and 16


def test_a_clip_of_a_second_and_a_half_takes_20_kb(tmp_path: Path, rng: np.random.Generator) -> None:
    cache = cache_of(tmp_path)
    cache.put(name(1), features(150, rng))
    assert cache.path(name(1)).stat().st_size == pytest.approx(20_000, rel=0.05)


def test_a_recording_is_mapped_frame_by_frame(tmp_path: Path, rng: np.random.Generator) -> None:
    cache = cache_of(tmp_path)
    cache.put(name(1), features(90, rng))
    mapped = np.load(cache.path(name(1)), mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert mapped.strides == (2, 2 * MELS)  # one frame's mels lie side by side: a crop is one stretch of the file
    assert isinstance(cache.mapped(name(1)), np.memmap)
    assert cache.get(name(1)).strides == (2, 2 * MELS)
    assert not isinstance(cache.get(name(1)), np.memmap)


def test_another_front_end_never_sees_these_features(tmp_path: Path) -> None:
    cache = filled(tmp_path, [10])
    other = FeatureCache(tmp_path, FrontendConfig(low_hz=61.0))
    assert name(0) in cache
    assert name(0) not in other
    with pytest.raises(DataError):
        other.get(name(0))


def test_a_crash_while_writing_leaves_nothing_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(file, array, **_) -> None:
        file.write(b"\x93NUMPY half")
        raise OSError("no space left on device")

    cache = cache_of(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(np, "save", half)
        cache.put(name(1), np.zeros((MELS, 5), np.float32))
    assert name(1) not in cache
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"no array at all", b"torn"])
def test_an_unreadable_file_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    cache = filled(tmp_path, [50])
    path = cache.path(name(0))
    path.write_bytes(path.read_bytes()[:-100] if content == b"torn" else content)
    with pytest.raises(DataError, match="delete it, then run `uyan features`") as caught:
        cache.get(name(0))
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file.*uyan features"):
        cache_of(tmp_path).get(name(7))


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
        # What fits is kept, what does not is read where it lies.
        assert (name(number) in cache._held) == (frames[number] <= budget_frames)
        assert isinstance(found, np.memmap) == (frames[number] > budget_frames)


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
    written = {sha1: cache.path(sha1).stat().st_mtime_ns for _, sha1 in found[:2]}
    found[0][0].unlink()  # what is there is not even looked for again
    assert extract([*found, found[3]], cache, workers=1) == 2
    assert {sha1: cache.path(sha1).stat().st_mtime_ns for sha1 in written} == written
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


@pytest.mark.parametrize("finite", [True, False])
def test_every_half_becomes_the_same_single(finite: bool) -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)] if finite else halves
    single = to_single(halves)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, halves.astype(np.float32))
    assert (np.signbit(single) == np.signbit(halves)).all()
    assert to_single(halves[:0]).size == 0
