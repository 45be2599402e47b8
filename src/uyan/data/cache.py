"""Features on disk and the most recently used ones in memory.

One fp16 array of shape (mels, frames) a recording, stored frame by frame so that a crop reads few pages, packed into
shards of many recordings (MISSION 7.1); every read is verified. The name is the audio's content hash under the front
end's digest: a changed recording or configuration can never read stale features. A packet of an extraction is a shard
of its own, there once it is complete: an interruption costs the packets at work. Small shards are merged while and
after many are made. It knows nothing of labels or splits.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.audio_file import read
from uyan.data.machine_memory import machine_memory_bytes
from uyan.data.probe import content_sha1
from uyan.data.shards.shard import HalfFeatures as HalfFeatures
from uyan.data.shards.shard_folder import Packed as Packed
from uyan.data.shards.shard_folder import ShardFolder, say_nothing
from uyan.data.shards.shard_merge import tidy
from uyan.data.shards.shard_store import take
from uyan.data.shards.shard_writer import ShardWriter
from uyan.engine.given_up import GivenUp
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.engine.task_map import Lost, PacketTask
from uyan.errors import DataError
from uyan.frontend import FrontendConfig, log_mel
from uyan.storage.location import Location

GIB = 1024**3
BYTES = np.dtype(np.float16).itemsize
"""Of a number."""
REFERENCE_RAM_GB, REFERENCE_BUDGET_GB = 64.0, 12.0
SIZING_ITEMS = 1_000
"""Items seen before their mean size sets the item limit (MISSION 7.2)."""
TIDIED_EVERY = 4_096
"""Recordings, while many are extracted."""


def default_budget_gb(machine_ram_bytes: int | None = None) -> float:
    """12 GiB on a 64 GiB machine, in proportion on a smaller one, or in a container that may take less.

    >>> default_budget_gb(64 * GIB), default_budget_gb(16 * GIB)
    (12.0, 3.0)
    """
    ram = machine_ram_bytes or machine_memory_bytes()
    return min(REFERENCE_BUDGET_GB, REFERENCE_BUDGET_GB * ram / GIB / REFERENCE_RAM_GB)


def to_single(half: HalfFeatures) -> NDArray[np.float32]:
    """Half-precision numbers of any shape in single precision; numpy's own cast takes four times as long.

    Both formats are sign, exponent, mantissa. Moved up by 13 bits, the mantissa is in its place and the exponent too,
    but counted from 15 instead of 127: a factor of 2^112. Shifting a signed integer leaves the sign where it belongs.

    >>> to_single(np.array([-2.5, 0.0, 0.5], np.float16)).tolist()
    [-2.5, 0.0, 0.5]
    """
    bits = half.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= ~0x7000_0000  # copies of the sign
    single = bits.view(np.float32)
    single *= np.float32(2.0**112)
    finite = max(single.max(initial=0.0), -single.min(initial=0.0)) <= np.finfo(np.float16).max
    return single if finite else half.astype(np.float32)  # Inf and NaN have no place in the rule above


class FeatureCache:
    """Features by content hash.

    `max_ram_gb` is the budget of the whole process tree: before n processes start to load, `share(n)` divides it.
    """

    def __init__(
        self,
        folder: Path,
        config: FrontendConfig,
        max_ram_gb: float | None = None,
        tell: Callable[[str], None] = say_nothing,
        store: Location | None = None,
    ) -> None:
        """`tell` hears of damaged shards, by name; what is missing is first looked for in `store`, if it is given."""
        self.config = config
        self.store = store / config.digest() if store else None
        self.folder = folder / config.digest()
        self.shards = ShardFolder(self.folder, config.mels, tell)
        self.max_ram_gb = default_budget_gb() if max_ram_gb is None else max_ram_gb
        self._budget_bytes = int(self.max_ram_gb * GIB)
        self.reset()

    def reset(self) -> None:
        """Drop what is in memory."""
        self._held: OrderedDict[str, HalfFeatures] = OrderedDict()
        self._held_bytes = 0
        self._seen_items = self._seen_bytes = 0
        self.max_items: int | None = None

    def share(self, processes: int, working_bytes: int = 0) -> None:
        """Keep only this process's share of the budget, less what it works with besides the cache."""
        self._budget_bytes = max(0, int(self.max_ram_gb * GIB / max(1, processes)) - working_bytes)
        self.reset()

    def __contains__(self, sha1: str) -> bool:
        return self.shards.locate(sha1) is not None

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the names without features."""
        return self.shards.missing(names)

    def lengths(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Frames of each, shape (names,), without a look at the features. Raises DataError for a name without them."""
        return self.shards.lengths(names)

    def read(self, sha1: str, start: int = 0, stop: int | None = None) -> HalfFeatures:
        """Frames [start, stop) of a recording, shape (mels, frames), verified, in memory of their own; not kept.

        Raises DataError where there are none, ShardError where they are damaged; so do `get`, `part` and `packed`.
        """
        return self.shards.read(sha1, start, stop)

    def packed(self, names: Sequence[str]) -> Packed:
        """Features of all the names in one array, shape (frames, mels), and where each starts in it; not kept."""
        return self.shards.packed(names)

    def frames(self, sha1: str) -> int:
        """How many frames a recording has, from memory or from disk. Raises as `read` does."""
        held = self._held.get(sha1)
        return self.shards.frames(sha1) if held is None else held.shape[1]

    def get(self, sha1: str) -> HalfFeatures:
        """Features, shape (mels, frames), from memory or from disk; kept unless they exceed the budget."""
        if (held := self._held.get(sha1)) is not None:
            self._held.move_to_end(sha1)
            return held
        features = self.shards.read(sha1)
        if features.nbytes <= self._budget_bytes:
            self._hold(sha1, features)
        return features

    def part(self, sha1: str, start: int, stop: int) -> HalfFeatures:
        """Frames [start, stop) as `get` has them; of features that exceed the budget no others are read."""
        exceeds = sha1 not in self._held and self.frames(sha1) * self.config.mels * BYTES > self._budget_bytes
        return self.read(sha1, start, stop) if exceeds else self.get(sha1)[:, start:stop]

    def put(self, sha1: str, features: NDArray[np.float32]) -> None:
        """Store features of shape (mels, frames), atomically, in a shard of their own; for many, `writer`."""
        with self.writer() as writer:
            writer.add(sha1, features)

    def writer(self) -> ShardWriter:
        """Adds many recordings; they are there when it is closed. Raises ShardError when they cannot be written."""
        return ShardWriter(self.folder, self.config.mels)

    def _hold(self, sha1: str, features: HalfFeatures) -> None:
        if self.max_items is None:
            self._seen_items += 1
            self._seen_bytes += features.nbytes
            if self._seen_items >= SIZING_ITEMS:
                self.max_items = max(1, self._budget_bytes * self._seen_items // self._seen_bytes)
        self._held[sha1] = features
        self._held_bytes += features.nbytes
        while self._over_budget():
            self._held_bytes -= self._held.popitem(last=False)[1].nbytes

    def _over_budget(self) -> bool:
        # Items differ in size, so the bytes are held to the budget as well as the count.
        too_many = self.max_items is not None and len(self._held) > self.max_items
        return too_many or self._held_bytes > self._budget_bytes


class Job(NamedTuple):
    """A file to extract, and what is wanted of it."""

    file: Location
    sha1: str
    """Of its content when it was checked."""
    wanted: Any = None


@dataclass(frozen=True)
class Extraction(PacketTask[Job, str | None]):
    """Extracts jobs, a shard a packet, with `extract_one(job, writer, config)`, which returns what is wrong or None."""

    extract_one: Callable[[Job, ShardWriter, FrontendConfig], str | None]
    folder: Path
    config: FrontendConfig

    @contextmanager
    def packet(self) -> Iterator[Callable[[Job], str | None]]:
        """See `PacketTask`."""
        with ShardWriter(self.folder, self.config.mels) as writer:
            yield lambda job: self.extract_one(job, writer, self.config)


def fill(
    stage: str,
    extract_one: Callable[[Job, ShardWriter, FrontendConfig], str | None],
    jobs: Sequence[Job],
    cache: FeatureCache,
    workers: int | None,
    progress: Progress,
    given_up: GivenUp | None = None,
) -> None:
    """Do all jobs, in any number of processes; see `extract`."""

    def lost(job: Job, why: Lost) -> str:
        if given_up is None:
            return f"{job.file}: {why.reason}; leave it out"
        given_up.add(job.file, why)
        return f"{job.file}: {why.reason}; the same command goes on without it"

    task = Extraction(extract_one, cache.folder, cache.config)
    mark = given_up.mark(stage) if given_up else None
    with closing(run_tasks(stage, task, jobs, workers, progress, lost, mark=mark)) as problems:
        for done, problem in enumerate(problems, 1):
            if problem:
                raise DataError(problem)
            if done % TIDIED_EVERY == 0:
                tidy(cache.shards, finished=False)
    tidy(cache.shards)


def to_make(cache: FeatureCache, names: Sequence[str], workers: int | None, progress: Progress) -> list[str]:
    """Those of the names without features, once what the store has was taken from there. Raises as `take` does."""
    missing = cache.missing(names)
    if not missing or cache.store is None:
        return missing
    take(cache.store, cache.shards, missing, workers, progress)
    return cache.missing(missing)


def extract(
    sources: Sequence[tuple[Location, str]],
    cache: FeatureCache,
    workers: int | None = None,
    progress: Progress = silent,
    given_up: GivenUp | None = None,
) -> int:
    """Fill the cache for (file, content hash) pairs; what is there already is left alone. Returns how many were made.

    A file that kills its process is an error, and kept in `given_up`, so that the next check leaves it out. Interrupted
    at any moment, the next call continues. Raises DataError when a file no longer holds that content, ShardError where
    features cannot be written, StorageError where the store cannot be read.
    """
    files = {sha1: file for file, sha1 in sources}
    jobs = [Job(files[sha1], sha1) for sha1 in to_make(cache, list(files), workers, progress)]
    fill("features", _extract_one, jobs, cache, workers, progress, given_up)
    return len(jobs)


def _extract_one(job: Job, writer: ShardWriter, config: FrontendConfig) -> str | None:
    samples = read(job.file)
    if content_sha1(samples) != job.sha1:
        return changed(job.file)
    writer.add(job.sha1, log_mel(samples, config))
    return None


def changed(file: Location) -> str:
    """What is wrong with a file that holds something else by now."""
    return f"{file}: changed since it was checked; run `uyan data check` again"
