"""What a store has is taken from it, bit for bit, and nothing else; whatever is wrong with it is named."""

import os
import re
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_shard import one_shard

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.cache import FeatureCache, extract
from uyan.data.probe import content_sha1
from uyan.data.shards import shard_store
from uyan.data.shards.shard_folder import ShardFolder
from uyan.data.shards.shard_index import BLOCK_FRAMES, read_index, texts_of
from uyan.data.shards.shard_store import find, take
from uyan.data.shards.shard_writer import ShardWriter
from uyan.data.variant_features import extract_variants
from uyan.data.variants import VariantConfig
from uyan.engine.parallel import engine
from uyan.errors import AccessError, ShardError, StorageError
from uyan.frontend import FrontendConfig, log_mel
from uyan.storage import folder as folder_module
from uyan.storage import remote
from uyan.storage.folder import Listed
from uyan.storage.local_copies import LocalCopies
from uyan.storage.location import Location, locate

MELS = 3
LENGTHS = (5, 0, BLOCK_FRAMES, 1, 2 * BLOCK_FRAMES + 7, 40, 3)


def name(number: int) -> str:
    return f"{number * 7919 % 997:038x}00"


def features(number: int) -> NDArray[np.float16]:
    """Shape (mels, frames)."""
    return np.random.default_rng(number).normal(-8, 3, (MELS, LENGTHS[number % len(LENGTHS)])).astype(np.float16)


def write(folder: Path, numbers: list[int]) -> Path:
    """One shard; its index."""
    return one_shard(folder, {name(number): features(number) for number in numbers})


@dataclass
class Target:
    """This computer's own folder, and what its user hears."""

    path: Path
    told: list[str] = field(default_factory=list)

    def take(self, store: Location, numbers: list[int]) -> list[int]:
        """The numbers that are there afterwards, with the features that belong to them."""
        folder = ShardFolder(self.path, MELS, self.told.append)
        take(store, folder, [name(number) for number in numbers], workers=1)
        missing = folder.missing([name(number) for number in numbers])
        there = [number for number in numbers if name(number) not in missing]
        for number in there:
            np.testing.assert_array_equal(folder.read(name(number)), features(number))
        return there


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path / "here")


@given(
    shards=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=8), max_size=5),
    asked=st.lists(st.integers(0, 25), min_size=1, max_size=12, unique=True),
    fetched=st.integers(1, 3_000),
    gap=st.integers(0, 500),
)
def test_exactly_what_was_asked_for_is_taken_however_it_lies(
    tmp_path_factory: pytest.TempPathFactory, shards: list[list[int]], asked: list[int], fetched: int, gap: int
) -> None:
    path = tmp_path_factory.mktemp("store")
    for numbers in shards:
        write(path / "there", numbers)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    target = Target(path / "here")
    had = {number for numbers in shards for number in numbers if features(number).size}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_store, "FETCHED_BYTES", fetched)
        patch.setattr(shard_store, "GAP_BYTES", gap)
        assert target.take(path / "there", asked) == [number for number in asked if number in had]
    items = [one for index in target.path.glob("*.index") for one in texts_of(read_index(index).names)]
    assert sorted(items) == sorted(name(number) for number in had & set(asked))
    assert {file: file.read_bytes() for file in before} == before  # nothing is written there


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which bytes of a shard were asked for."""
    asked: list[tuple[int, int]] = []
    read_part = folder_module.read_part

    def counted(listed: Listed, start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return read_part(listed, start, stop)

    monkeypatch.setattr(shard_store, "read_part", counted)
    return asked


def test_neighbours_come_together_and_the_rest_stays_there(
    tmp_path: Path, target: Target, parts: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_store, "GAP_BYTES", 0)
    write(tmp_path / "store", list(range(7)))
    assert target.take(tmp_path / "store", [0, 3, 5, 6]) == [0, 3, 5, 6]
    frame = 2 * MELS
    ends = (np.cumsum(LENGTHS) * frame).tolist()
    assert sorted(parts) == [(0, ends[1]), (ends[2], ends[3]), (ends[4], ends[6])]


def test_a_long_recording_takes_several_requests(
    tmp_path: Path, target: Target, parts: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_store, "FETCHED_BYTES", 20_000)
    write(tmp_path / "store", [4])
    assert target.take(tmp_path / "store", [4]) == [4]
    size = features(4).nbytes
    assert parts == [(at, min(at + 20_000, size)) for at in range(0, size, 20_000)]


def test_items_too_long_to_be_held_are_left_there(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_store, "LONGEST_BYTES", features(2).nbytes)
    write(tmp_path / "store", [2, 4])
    assert target.take(tmp_path / "store", [2, 4]) == [2]


Damage = Callable[[Path], object]


def rot(data: Path, at: int) -> None:
    content = bytearray(data.read_bytes())
    content[at] ^= 1
    data.write_bytes(content)


DAMAGES: dict[str, tuple[Damage, str, list[int]]] = {
    "no data": (lambda index: index.with_suffix(".f16").unlink(), r"index: no \.f16 beside it", []),
    "data cut": (
        lambda index: os.truncate(index.with_suffix(".f16"), 30),
        r"f16: torn, 30 bytes where its index speaks of 36,036",
        [],
    ),
    "data rotten": (
        lambda index: rot(index.with_suffix(".f16"), 3),
        r"f16: not the features that were written",
        [2, 3],
    ),
    "index cut": (lambda index: os.truncate(index, 40), "index: torn, or its counts cannot be", []),
    "index rotten": (lambda index: rot(index, 50), "index: its checksum is wrong", []),
    "index empty": (lambda index: os.truncate(index, 0), "index: not the index of a shard", []),
}


@pytest.mark.parametrize(("damage", "said", "left"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shard_is_named_and_only_what_is_damaged_is_not_taken(
    tmp_path: Path, target: Target, damage: Damage, said: str, left: list[int]
) -> None:
    index = write(tmp_path / "store", [0, 2, 3])
    write(tmp_path / "store", [4, 5])
    damage(index)
    files = sorted(tmp_path.rglob("*"))
    assert target.take(tmp_path / "store", [0, 2, 3, 4, 5]) == [*left, 4, 5]
    assert [file for file in sorted(tmp_path.rglob("*")) if target.path not in (file, file.parent)] == files
    problem, summary = target.told
    assert re.fullmatch(rf"{index.with_suffix('')}\.{said}.*; features of what it has are made here", problem)
    assert summary == f"{tmp_path / 'store'}: {len(left) + 2} of 5 features that were missing are taken from there"


def test_what_a_damaged_shard_has_another_one_may_give(tmp_path: Path, target: Target) -> None:
    os.truncate(write(tmp_path / "store", [0, 3]), 40)
    write(tmp_path / "store", [3, 2])
    assert target.take(tmp_path / "store", [0, 2, 3]) == [2, 3]


def test_nothing_and_what_is_no_number_teach_nobody(tmp_path: Path, target: Target) -> None:
    with ShardWriter(tmp_path / "store", MELS) as writer:
        writer.add(name(0), np.full((MELS, 5), np.nan, np.float16))
        writer.add(name(1), features(1))  # no frame
        writer.add(name(2), features(2))
        writer.add(name(3), np.full((MELS, 1), -np.inf, np.float16))
    assert target.take(tmp_path / "store", [0, 1, 2, 3]) == [2]
    assert ".f16: not features: infinite, or no numbers; features of what it has are made here" in target.told[0]


def test_features_of_other_mels_are_none(tmp_path: Path, target: Target) -> None:
    with ShardWriter(tmp_path / "store", MELS + 1) as writer:
        writer.add(name(0), np.zeros((MELS + 1, 5), np.float16))
    assert target.take(tmp_path / "store", [0]) == []
    assert "features of 4 mels where 3 belong" in target.told[0]


def sealed(content: bytes) -> bytes:
    """With the checksum that belongs to it, as an attacker would write it."""
    return content[:8] + struct.pack("<I", zlib.crc32(content[12:])) + content[12:]


@given(data=st.data())
def test_a_hostile_index_never_leads_out_of_its_shard(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("hostile")
    index = write(path / "store", [0, 3, 5])
    size = index.with_suffix(".f16").stat().st_size
    content = bytearray(index.read_bytes())
    at = data.draw(st.integers(12, len(content) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=16))
    content[at : at + len(patch)] = patch[: len(content) - at]
    index.write_bytes(sealed(bytes(content)))
    told: list[str] = []
    for stretch in find(path / "store", MELS, [name(number) for number in (0, 3, 5)], told.append):
        assert (stretch.items.starts >= 0).all()
        assert ((stretch.items.starts + stretch.items.frames) * 2 * MELS <= size).all()
    target = Target(path / "here")
    folder = ShardFolder(target.path, MELS)
    take(path / "store", folder, [name(number) for number in (0, 3, 5)], workers=1)
    assert {file.parent for file in path.rglob("*.f16")} <= {path / "store", path / "here"}


def test_an_index_of_absurd_size_is_not_read(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    index = write(tmp_path / "store", [0])
    os.truncate(index, 2**40)  # a hole: it takes no room
    monkeypatch.setattr(shard_store, "_read", None)
    assert target.take(tmp_path / "store", [0]) == []
    assert f"{index}: 1,099,511,627,776 bytes are no index" in target.told[0]


def test_data_of_absurd_size_is_not_fetched(tmp_path: Path, target: Target, parts: list[tuple[int, int]]) -> None:
    """An index that is consistent in itself and speaks of a single item of a terabyte."""
    index = write(tmp_path / "store", [0])
    frames = 2**36
    content = bytearray(index.read_bytes()[:52])
    struct.pack_into("<IIIQ", content, 12, MELS, 1, -(-frames // BLOCK_FRAMES), frames)
    content += struct.pack("<qq", 0, frames) + bytes(4 * -(-frames // BLOCK_FRAMES))
    index.write_bytes(sealed(bytes(content)))
    os.truncate(index.with_suffix(".f16"), frames * 2 * MELS)
    assert target.take(tmp_path / "store", [0]) == [] and parts == []


STRANGE = ("../up.index", "..", ".index", ".x.index", "a b%2f..%2fc.index", "%2e%2e.index")


def test_strange_names_in_a_bucket_lead_nowhere(s3: Any, target: Target, tmp_path: Path) -> None:
    index = write(tmp_path / "made", [0])
    for strange in STRANGE:
        for suffix in ("index", "f16"):
            s3.pipe(f"words/store/{strange.replace('index', suffix)}", index.with_suffix(f".{suffix}").read_bytes())
    assert target.take(locate("s3://words/store"), [0]) == [0]
    assert {file.parent for file in tmp_path.rglob("*.f16")} == {tmp_path / "made", target.path}


@pytest.fixture
def bucket(s3: Any, tmp_path: Path) -> Location:
    """A store of two shards in object storage."""
    write(tmp_path / "made", [0, 2, 3])
    write(tmp_path / "made", [4, 5])
    s3.put(str(tmp_path / "made"), "words/store", recursive=True)
    return locate("s3://words/store", copies=LocalCopies(tmp_path / "copies", 10**6))


def test_from_object_storage_with_indices_kept(
    bucket: Location, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert target.take(bucket, [0, 3, 4, 9]) == [0, 3, 4]
    kept = {file.read_bytes() for file in (tmp_path / "copies").glob("??/*")}
    assert kept == {file.read_bytes() for file in (tmp_path / "made").glob("*.index")}
    fetched, asked = remote.fetched, list[str]()
    monkeypatch.setattr(remote, "fetched", lambda file, *where: asked.append(file.suffix) or fetched(file, *where))
    assert target.take(bucket, [2, 5]) == [2, 5]
    assert set(asked) == {".f16"}


def test_a_shard_that_changes_under_the_reader_ends_the_command_and_what_came_before_stays(
    bucket: Location, target: Target, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_part, begun = shard_store.read_part, list[Location]()

    def meddled(listed: Listed, start: int, stop: int) -> bytes:
        begun.append(listed.file)
        if listed.file != begun[0]:
            s3.pipe(str(listed.file), bytes(listed.version.size))
        return read_part(listed, start, stop)

    monkeypatch.setattr(shard_store, "read_part", meddled)
    with pytest.raises(StorageError, match=r"s3://words/store/\w+\.f16: changed while it was read; run the command"):
        target.take(bucket, [0, 2, 3, 4, 5])
    monkeypatch.setattr(shard_store, "read_part", read_part)
    folder = ShardFolder(target.path, MELS)
    missing = folder.missing([name(number) for number in (0, 2, 3, 4, 5)])
    assert 0 < len(missing) < 5
    take(bucket, folder, missing, workers=1)
    assert folder.missing(missing) == missing  # it is another shard for good: its owner has to mend it


def test_a_shard_that_is_gone_under_the_reader(
    bucket: Location, target: Target, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_part = shard_store.read_part

    def late(listed: Listed, start: int, stop: int) -> bytes:
        s3.rm(str(listed.file))
        return read_part(listed, start, stop)

    monkeypatch.setattr(shard_store, "read_part", late)
    assert target.take(bucket, [0, 4]) == []
    assert [".f16: no such file; features of what it has are made here" in line for line in target.told] == [1, 1, 0]


def test_wrong_credentials(bucket: Location, target: Target, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    remote._system.cache_clear()
    requests.post(f"{s3_endpoint}/moto-api/reset-auth", data="0", timeout=10).close()
    try:
        with pytest.raises(AccessError, match=r"s3://words/store: access is denied; check the credentials"):
            target.take(bucket, [0])
    finally:
        requests.post(f"{s3_endpoint}/moto-api/reset-auth", data="inf", timeout=10).close()


def test_no_bucket(bucket: Location, target: Target) -> None:
    with pytest.raises(StorageError, match=r"the bucket s3://wrods does not exist"):
        target.take(locate("s3://wrods/store"), [0])


def test_a_full_disk_is_said(bucket: Location, target: Target) -> None:
    target.path.write_bytes(b"no folder")
    with pytest.raises(ShardError, match=r"here/\w+\.f16: cannot be written \(.*\); make room there"):
        target.take(bucket, [0])


Sources = list[tuple[Path, str]]


@pytest.fixture
def recordings(tmp_path: Path, rng: np.random.Generator) -> Sources:
    found = []
    for number in range(6):
        file = tmp_path / f"{number}.wav"
        soundfile.write(file, rng.normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
        found.append((file, content_sha1(read(file))))
    return found


def published(recordings: Sources, folder: Path, s3: Any) -> Location:
    """Features of the recordings, and two variants of each, as a user puts them into object storage."""
    cache = FeatureCache(folder, FrontendConfig())
    extract(recordings, cache, workers=1)
    extract_variants([(*source, 2) for source in recordings], [], cache, VariantConfig(), workers=1)
    s3.put(str(folder), "words/features", recursive=True)
    return locate("s3://words/features")


def test_an_extraction_makes_only_what_the_store_lacks(recordings: Sources, tmp_path: Path, s3: Any) -> None:
    store, told = published(recordings[:4], tmp_path / "other", s3), list[str]()
    cache = FeatureCache(tmp_path / "cache", FrontendConfig(), tell=told.append, store=store)
    for file, _ in recordings[:4]:
        file.unlink()  # nobody looks at it again
    assert extract(recordings, cache, workers=1) == 2
    assert told == [f"{store}/{cache.config.digest()}: 4 of 6 features that were missing are taken from there"]
    wanted = [(*source, 2) for source in recordings[:4]]
    assert extract_variants(wanted, [], cache, VariantConfig(), workers=1) == 0
    other = FeatureCache(tmp_path / "other", FrontendConfig())
    names = [sha1 for index in cache.folder.glob("*.index") for sha1 in texts_of(read_index(index).names)]
    assert len(names) == 4 + 2 + 8
    for sha1 in set(names) - {sha1 for _, sha1 in recordings[4:]}:
        np.testing.assert_array_equal(cache.get(sha1), other.get(sha1))
    assert extract(recordings, cache, workers=1) == 0 and len(told) == 2  # nothing is missing: the store is not asked


def test_what_a_torn_shard_of_the_store_had_is_made_here(recordings: Sources, tmp_path: Path, s3: Any) -> None:
    store, told = published(recordings, tmp_path / "other", s3), list[str]()
    for data in s3.glob("words/features/*/*.f16"):
        s3.pipe(data, bytes(s3.size(data)))
    cache = FeatureCache(tmp_path / "cache", FrontendConfig(), tell=told.append, store=store)
    assert extract(recordings, cache, workers=1) == 6
    assert "0 of 6 features" in told[-1] and all("not the features that were written" in line for line in told[:-1])
    for file, sha1 in recordings:
        np.testing.assert_array_equal(cache.get(sha1), log_mel(read(file), cache.config).astype(np.float16))


def test_another_front_end_takes_nothing(recordings: Sources, tmp_path: Path, s3: Any) -> None:
    store, told = published(recordings, tmp_path / "other", s3), list[str]()
    config = FrontendConfig(low_hz=61.0)
    cache = FeatureCache(tmp_path / "cache", config, tell=told.append, store=store)
    assert extract(recordings, cache, workers=1) == 6
    assert told == [f"{store}/{config.digest()}: 0 of 6 features that were missing are taken from there"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("on", ["local", "ray"])
def test_many_in_several_processes(s3: Any, tmp_path: Path, target: Target, on: str) -> None:
    if on == "ray":
        pytest.importorskip("ray", reason="needs uyan[ray]")
    with ShardWriter(tmp_path / "made", MELS) as writer:
        for number in range(900):
            writer.add(f"{number:040x}", np.full((MELS, 50), number, np.float16))
    s3.put(str(tmp_path / "made"), "words/store", recursive=True)
    folder, wanted = ShardFolder(target.path, MELS), [f"{number:040x}" for number in range(0, 900, 3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_store, "GAP_BYTES", 0)
        with engine(on):
            take(locate("s3://words/store"), folder, wanted, workers=2)
    assert folder.missing(wanted) == []
    assert all((folder.read(one) == int(one, 16)).all() for one in wanted)
    assert sum(len(read_index(index).names) for index in target.path.glob("*.index")) == len(wanted)


TAKE = """
import sys
from pathlib import Path
from uyan.data.shards import shard_store
from uyan.data.shards.shard_folder import ShardFolder
from uyan.storage.location import locate
if __name__ == "__main__":
    shard_store.GAP_BYTES = 0
    folder, names = ShardFolder(Path(sys.argv[1]), 3), [f"{number:040x}" for number in range(0, 1_000, 2)]
    shard_store.take(locate(sys.argv[2]), folder, folder.missing(names), workers=int(sys.argv[3]))
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_goes_on_where_it_was(s3: Any, tmp_path: Path, target: Target, workers: int) -> None:
    with ShardWriter(tmp_path / "made", MELS) as writer:
        for number in range(1_000):  # every other one is wanted: each of those is a request of its own
            writer.add(f"{number:040x}", np.full((MELS, 50), number, np.float16))
    s3.put(str(tmp_path / "made"), "words/store", recursive=True)
    (tmp_path / "take.py").write_text(TAKE, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "take.py"), str(target.path), "s3://words/store", str(workers)]
    folder, rng = ShardFolder(target.path, MELS), np.random.default_rng(workers)
    wanted = [f"{number:040x}" for number in range(0, 1_000, 2)]
    left = [len(wanted)]
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        while process.poll() is None and len(folder.missing(wanted)) == left[-1]:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        left.append(len(folder.missing(wanted)))
    assert 0 < left[2] < left[1] < left[0]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "done\n"
    assert folder.missing(wanted) == []
    assert all((folder.read(one) == int(one, 16)).all() for one in wanted)
    items = [one for index in target.path.glob("*.index") for one in texts_of(read_index(index).names)]
    assert len(items) == len(wanted)  # none was kept twice
