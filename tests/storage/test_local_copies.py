"""The bounded folder: what is used stays, what is not goes, and the bound holds, whoever writes."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest
from filelock import FileLock

from uyan.errors import StorageError
from uyan.storage.local_copies import ABANDONED_S, LOCK, PARTIAL, LocalCopies


def name(number: int) -> str:
    return f"{number:040x}"[::-1]


def held(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))


def put(copies: LocalCopies, number: int, size: int = 100) -> bool:
    return copies.put(name(number), size, [bytes([number % 256]) * size])


def test_a_copy_is_found_again(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path / "remote", 1_000)
    assert copies.find(name(1)) is None and copies.open(name(1)) is None
    assert copies.put(name(1), 6, [b"abc", b"def"])
    found = copies.find(name(1))
    assert found is not None and found.read_bytes() == b"abcdef"
    with copies.open(name(1)) as opened:  # type: ignore[union-attr]
        found.unlink()
        assert opened.read() == b"abcdef"


def test_those_used_longest_ago_go(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 1_000)
    for number in range(10):
        put(copies, number)
        os.utime(copies.path(name(number)), (number, number))
    assert copies.find(name(0)) is not None  # used just now
    put(copies, 10)
    left = {number for number in range(11) if copies.path(name(number)).exists()}
    assert 0 in left and 10 in left and 1 not in left and 2 not in left
    assert len(left) >= 9 and held(tmp_path) <= 1_000


def test_what_does_not_fit_is_not_asked_for(tmp_path: Path) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    assert not LocalCopies(tmp_path, 99).put(name(1), 100, never())


def test_a_broken_copy_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"abc"
        raise StorageError("gone")

    copies = LocalCopies(tmp_path, 1_000)
    with pytest.raises(StorageError, match="gone"):
        copies.put(name(1), 6, breaks())
    assert copies.find(name(1)) is None and held(tmp_path) == 0


def test_what_a_dead_process_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 1_000)
    put(copies, 1)
    for file, age_s in (("old", ABANDONED_S + 60), ("new", 0.0)):
        (tmp_path / f"{file}{PARTIAL}").write_bytes(bytes(400))
        os.utime(tmp_path / f"{file}{PARTIAL}", (time.time() - age_s,) * 2)
    (tmp_path / ".used").unlink()
    assert put(copies, 2, 500)
    assert [file.name for file in tmp_path.glob(f"*{PARTIAL}")] == [f"new{PARTIAL}"]
    assert not put(copies, 3, 700)


def test_a_damaged_count_is_counted_again(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path, 250)
    put(copies, 1)
    put(copies, 2)
    (tmp_path / ".used").write_text("many")
    assert put(copies, 3) and held(tmp_path) <= 250


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be written there .*; make room, or choose cache\.folder"):
        put(LocalCopies(tmp_path / "file", 1_000), 1)


def test_a_copy_does_not_appear_while_somebody_counts(tmp_path: Path) -> None:
    copies, reserved, counting = LocalCopies(tmp_path, 1_000), Event(), Event()

    def blocks() -> Iterator[bytes]:
        reserved.set()
        counting.wait(30)
        yield bytes(100)

    writer = Thread(target=copies.put, args=(name(1), 100, blocks()))
    writer.start()
    assert reserved.wait(30)
    with FileLock(tmp_path / LOCK):
        counting.set()
        writer.join(0.5)
        assert writer.is_alive() and copies.find(name(1)) is None and held(tmp_path) == 100
    writer.join(30)
    assert copies.find(name(1)) is not None and held(tmp_path) == 100


def fill(folder: Path, first: int) -> int:
    copies, most = LocalCopies(folder, 2_000), 0
    for number in range(first, first + 60):
        put(copies, number % 80)
        with FileLock(folder / LOCK):
            most = max(most, held(folder))
        found = copies.open(name(number % 80))
        if found is not None:
            with found:
                assert found.read() == bytes([number % 80]) * 100
    return most


@pytest.mark.slow
def test_several_processes_keep_one_bound(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        most = list(pool.map(fill, [tmp_path] * 3, [0, 30, 60]))
    assert max(most) <= 2_000 and held(tmp_path) > 0
