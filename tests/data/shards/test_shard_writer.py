"""Shards appear whole or not at all, whatever stops their writer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from uyan.data.shards.shard import Shard
from uyan.data.shards.shard_writer import ShardWriter
from uyan.errors import ShardError

MELS = 4
CLIP = np.ones((MELS, 10), np.float16)
CLIP_BYTES = CLIP.nbytes


def name(number: int) -> str:
    return f"{number:040x}"


def shards(folder: Path) -> list[Shard]:
    return [Shard(path) for path in folder.glob("*.index")]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_shard_is_there_when_it_is_closed(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "new", MELS)
    assert not (tmp_path / "new").exists()  # nothing to write yet
    writer.add(name(1), CLIP)
    assert shards(tmp_path / "new") == []
    writer.close()
    writer.close()
    assert [len(shard) for shard in shards(tmp_path / "new")] == [1]
    assert len(files(tmp_path)) == 2
    with ShardWriter(tmp_path / "none", MELS):
        pass
    assert not (tmp_path / "none").exists()


def test_a_shard_ends_before_it_grows_too_large(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, MELS, most_bytes=3 * CLIP_BYTES) as writer:
        for number in range(7):
            writer.add(name(number), CLIP)
        assert sorted(len(shard) for shard in shards(tmp_path)) == [3, 3]
        writer.add(name(7), np.tile(CLIP, (1, 5)))  # larger than a shard: alone in one
    assert sorted(len(shard) for shard in shards(tmp_path)) == [1, 1, 3, 3]


def test_a_name_is_written_once(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, MELS) as writer:
        writer.add("AB" * 20, CLIP)
        writer.add("ab" * 20, 2 * CLIP)
    (shard,) = shards(tmp_path)
    np.testing.assert_array_equal(shard.get("ab" * 20), CLIP)


def test_an_error_elsewhere_leaves_what_was_added(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path, MELS) as writer:
        writer.add(name(1), CLIP)
        raise KeyboardInterrupt
    assert [len(shard) for shard in shards(tmp_path)] == [1]


def test_an_interruption_in_the_middle_of_an_item_costs_that_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ShardWriter._append

    def half(self: ShardWriter, rows: np.ndarray) -> None:
        whole(self, rows[:5])
        raise KeyboardInterrupt

    writer = ShardWriter(tmp_path, MELS)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), writer:
        writer.add(name(1), CLIP)
        patch.setattr(ShardWriter, "_append", half)
        writer.add(name(2), CLIP)
    (shard,) = shards(tmp_path)
    np.testing.assert_array_equal(shard.get(name(1)), CLIP)
    assert shard.row(name(2)) is None
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / "b", MELS) as writer:
        patch.setattr(ShardWriter, "_append", half)
        writer.add(name(2), CLIP)
    assert files(tmp_path / "b") == []


def test_what_is_abandoned_leaves_no_file(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, MELS)
    writer.add(name(1), CLIP)
    writer.abandon()
    writer.close()
    assert files(tmp_path) == []


FILL = """
import resource, sys
from pathlib import Path
import numpy as np
from uyan.data.shards.shard_writer import ShardWriter
from uyan.errors import ShardError
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
clip, folder = np.ones((4, int(sys.argv[4])), np.float16), Path(sys.argv[1])
try:
    with ShardWriter(folder, 4, most_bytes=int(sys.argv[3])) as writer:
        for number in range(40):
            writer.add(f"{number:040x}", clip)
except ShardError as reason:
    print(reason)
"""


@pytest.mark.parametrize(
    ("limit", "most", "frames", "finished"), [(1000, 800, 10, 40), (1000, 2_000, 10, 0), (100, 80, 2, 0)]
)
def test_no_room_is_said_and_nothing_half_written_counts(
    tmp_path: Path, limit: int, most: int, frames: int, finished: int
) -> None:
    """A file that cannot grow fails as a full disk does, in the middle of a write; the index's, too."""
    arguments = [sys.executable, "-c", FILL, str(tmp_path), str(limit), str(most), str(frames)]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    found = shards(tmp_path)
    assert sum(len(shard) for shard in found) == finished
    assert len(files(tmp_path)) == 2 * len(found)
    if finished < 40:
        assert (
            str(tmp_path) in told and "cannot be written (File too large); make room there or set cache.folder" in told
        )


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ShardError, match=r"file/.*f16: cannot be written \(File exists\)"):
        ShardWriter(tmp_path / "file", MELS).add(name(1), CLIP)


def test_other_mels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="features of 5 mels where 4 belong"):
        ShardWriter(tmp_path, MELS).add(name(1), np.ones((5, 3), np.float16))
