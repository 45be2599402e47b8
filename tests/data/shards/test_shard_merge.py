"""Many small shards become few; nobody who reads, writes, merges or dies meanwhile loses an item."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from uyan.data.shards import shard_merge
from uyan.data.shards.shard_folder import ShardFolder
from uyan.data.shards.shard_index import ShardIndex
from uyan.data.shards.shard_merge import LOCK, MANY, STALE_S, tidy
from uyan.data.shards.shard_writer import ShardWriter
from uyan.errors import ShardError

MELS = 4
FRAMES = 10
CLIP_BYTES = FRAMES * MELS * 2


def name(number: int) -> str:
    return f"{number:040x}"


def features(number: int) -> np.ndarray:
    return np.full((MELS, FRAMES), number, np.float16)


def fill(path: Path, shards: int, first: int = 0, each: int = 1) -> ShardFolder:
    for number in range(shards):
        with ShardWriter(path, MELS) as writer:
            for item in range(each):
                writer.add(name(first + number * each + item), features(first + number * each + item))
    folder = ShardFolder(path, MELS)
    folder.refresh()
    return folder


def all_there(path: Path, count: int) -> bool:
    folder = ShardFolder(path, MELS)
    return all((folder.read(name(number)) == number).all() for number in range(count))


def sizes(folder: ShardFolder) -> list[int]:
    return sorted(len(shard) for shard in folder.shards)


def test_a_few_are_left_and_many_become_one(tmp_path: Path) -> None:
    folder = fill(tmp_path, MANY)
    tidy(folder)
    assert sizes(folder) == [1] * MANY
    fill(tmp_path, 1, first=MANY, each=3)
    tidy(folder, finished=False)
    assert len(folder.shards) == MANY + 1
    tidy(folder)
    assert sizes(folder) == [MANY + 3]
    assert len(list(tmp_path.glob("*.*"))) - (tmp_path / LOCK).exists() == 2
    assert all_there(tmp_path, MANY + 3)


def test_large_ones_are_made_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_merge, "SHARD_BYTES", 10 * CLIP_BYTES)
    monkeypatch.setattr(shard_merge, "SMALL_BYTES", 5 * CLIP_BYTES)
    folder = fill(tmp_path, 12, each=2)
    tidy(folder, finished=False)
    assert sizes(folder) == [2, 2, 10, 10]
    large = {shard.path for shard in folder.shards if len(shard) == 10}
    fill(tmp_path, 2, first=24)
    tidy(folder)
    assert sizes(folder) == [1, 1, 2, 2, 10, 10]
    assert large < {shard.path for shard in folder.shards}
    assert all_there(tmp_path, 26)


def test_the_same_item_twice_is_kept_once(tmp_path: Path) -> None:
    fill(tmp_path, MANY)
    folder = fill(tmp_path, MANY)
    tidy(folder)
    assert sizes(folder) == [MANY]


def test_damage_is_not_copied(tmp_path: Path) -> None:
    told: list[str] = []
    spoilt = fill(tmp_path, MANY + 1).locate(name(3))
    assert spoilt is not None
    spoilt[0].data_path.write_bytes(bytes(CLIP_BYTES - 1) + b"x")
    folder = ShardFolder(tmp_path, MELS, told.append)
    tidy(folder)
    assert sizes(folder) == [MANY]
    assert folder.missing([name(number) for number in range(MANY + 1)]) == [name(3)]
    assert told == [f"{spoilt[0].path}: damaged, deleted; features of its 1 recording(s) are made again"]


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, ShardError("no room")])
def test_a_merge_that_stops_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: type[BaseException] | ShardError
) -> None:
    told: list[str] = []
    fill(tmp_path, MANY + 4)
    before, add = sorted(tmp_path.iterdir()), ShardWriter.add

    def stop(self: ShardWriter, sha1: str, clip: np.ndarray) -> None:
        add(self, sha1, clip)
        if sha1 == name(7):
            raise stopped

    monkeypatch.setattr(ShardWriter, "add", stop)
    folder = ShardFolder(tmp_path, MELS, told.append)
    if isinstance(stopped, ShardError):
        tidy(folder)
        assert told == ["small shards stay apart: no room"]
    else:
        with pytest.raises(KeyboardInterrupt):
            tidy(folder)
    assert sorted(path for path in tmp_path.iterdir() if path.name != LOCK) == before
    assert all_there(tmp_path, MANY + 4)


@pytest.mark.parametrize("stopped", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_small_shards_are_there_until_the_large_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: BaseException
) -> None:
    """All is copied, and what is left is to write the index."""
    told: list[str] = []
    fill(tmp_path, MANY + 4)
    before = sorted(tmp_path.iterdir())

    def stop(self: ShardIndex) -> bytes:
        assert len(self.names) == MANY + 4
        raise stopped

    monkeypatch.setattr(ShardIndex, "to_bytes", stop)
    folder = ShardFolder(tmp_path, MELS, told.append)
    with contextlib.suppress(KeyboardInterrupt):
        tidy(folder)
    assert sorted(path for path in tmp_path.iterdir() if path.name != LOCK) == before
    assert all_there(tmp_path, MANY + 4)
    if isinstance(stopped, OSError):
        (line,) = told
        assert line.startswith("small shards stay apart: ") and "No space left on device" in line


def test_where_no_lock_can_be_made_small_shards_stay(tmp_path: Path) -> None:
    told: list[str] = []
    fill(tmp_path, MANY + 1)
    (tmp_path / LOCK).mkdir()
    folder = ShardFolder(tmp_path, MELS, told.append)
    tidy(folder)
    assert len(folder.shards) == MANY + 1
    assert told == [f"small shards stay apart: {tmp_path / LOCK}: Is a directory"]


def test_two_do_not_do_the_same_work(tmp_path: Path) -> None:
    folder = fill(tmp_path, MANY + 1)
    with FileLock(tmp_path / LOCK):
        tidy(folder)
        assert len(folder.shards) == MANY + 1
    tidy(folder)
    assert len(folder.shards) == 1


def test_leftovers_go_when_they_are_old(tmp_path: Path) -> None:
    folder = fill(tmp_path, 2)
    old, new = ("a" * 32 + ".f16", ".b.index.7.tmp"), ("c" * 32 + ".f16", ".d.index.7.tmp")
    for file in (*old, *new):
        (tmp_path / file).write_bytes(b"half")
    for file in (*old, *(shard.data_path.name for shard in folder.shards)):
        os.utime(tmp_path / file, (time.time() - STALE_S - 60,) * 2)
    tidy(folder)
    left = {path.name for path in tmp_path.iterdir()}
    assert not left & set(old) and set(new) < left
    assert all_there(tmp_path, 2)


TIDY = """
import sys
from pathlib import Path
from uyan.data.shards import shard_merge
from uyan.data.shards.shard_folder import ShardFolder
if sys.argv[2] == "unlocked":
    import contextlib
    shard_merge.FileLock = lambda *_, **__: contextlib.nullcontext()
print("go", flush=True)
shard_merge.tidy(ShardFolder(Path(sys.argv[1]), 4))
"""


def tidying(path: Path, how: str = "locked") -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", TIDY, str(path), how], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "go\n"
    return process


@pytest.mark.slow
def test_a_merge_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 400)
    rng = np.random.default_rng(5)
    for _ in range(5):
        with tidying(tmp_path) as process:
            time.sleep(rng.uniform(0.0, 0.15))
            process.send_signal(signal.SIGKILL)
        assert all_there(tmp_path, 400)
    folder = ShardFolder(tmp_path, MELS)
    tidy(folder)
    assert len(folder.shards) <= MANY
    assert all_there(tmp_path, 400)


@pytest.mark.slow
def test_merging_at_the_same_time_without_a_lock_loses_nothing(tmp_path: Path) -> None:
    """Where a network file system knows no locks."""
    folder = fill(tmp_path, 300)
    running = [tidying(tmp_path, "unlocked") for _ in range(3)]
    while any(process.poll() is None for process in running):
        for number in np.random.default_rng(0).integers(0, 300, 20).tolist():
            assert (folder.read(name(number)) == number).all()  # and a reader never misses one
    for process in running:
        with process:
            assert process.returncode == 0
    assert all_there(tmp_path, 300)
