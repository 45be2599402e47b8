"""Features on disk and the most recently used ones in memory.

One fp16 array of shape (mels, frames) a recording, stored frame by frame so that a crop reads few pages, opened with
`np.load(mmap_mode="r")` (MISSION 7.1). The name is the audio's content hash under the front end's digest: a changed
recording or configuration can never read stale features. It knows nothing of labels or splits.
"""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from uyan.audio_file import read
from uyan.data.parallel import Progress, run_tasks, silent
from uyan.data.probe import content_sha1
from uyan.errors import DataError
from uyan.files import replacing
from uyan.frontend import FrontendConfig, log_mel

HalfFeatures = NDArray[np.float16]
"""Log-mel features, shape (mels, frames)."""

GIB = 1024**3
REFERENCE_RAM_GB, REFERENCE_BUDGET_GB = 64.0, 12.0
SIZING_ITEMS = 1_000
"""Items seen before their mean size sets the item limit (MISSION 7.2)."""


def default_budget_gb(machine_ram_bytes: int | None = None) -> float:
    """12 GiB on a 64 GiB machine, in proportion on a smaller one.

    >>> default_budget_gb(64 * GIB), default_budget_gb(16 * GIB)
    (12.0, 3.0)
    """
    ram = machine_ram_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
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

    def __init__(self, folder: Path, config: FrontendConfig, max_ram_gb: float | None = None) -> None:
        self.config = config
        self.folder = folder / config.digest()
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

    def path(self, sha1: str) -> Path:
        """Where that recording's features lie."""
        return self.folder / sha1[:2] / f"{sha1}.npy"

    def __contains__(self, sha1: str) -> bool:
        return self.path(sha1).is_file()

    def mapped(self, sha1: str) -> HalfFeatures:
        """Memory-mapped features, shape (mels, frames); nothing is kept. For one look at a long recording."""
        try:
            return cast(HalfFeatures, np.load(self.path(sha1), mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as reason:
            raise DataError(
                f"{self.path(sha1)}: no readable features ({reason}); delete it, then run `uyan features`"
            ) from reason

    def get(self, sha1: str) -> HalfFeatures:
        """Features, shape (mels, frames), from memory or from disk; memory-mapped when they exceed the budget."""
        if (held := self._held.get(sha1)) is not None:
            self._held.move_to_end(sha1)
            return held
        mapped = self.mapped(sha1)
        if mapped.nbytes > self._budget_bytes:
            return mapped
        features = np.array(mapped, order="F")
        self._hold(sha1, features)
        return features

    def put(self, sha1: str, features: NDArray[np.float32]) -> None:
        """Store features of shape (mels, frames), atomically."""
        with replacing(self.path(sha1)) as partial, partial.open("wb") as file:
            np.save(file, np.asfortranarray(features, dtype=np.float16), allow_pickle=False)

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


@dataclass(frozen=True)
class _Extraction:
    file: Path
    sha1: str
    target: Path
    config: FrontendConfig


def extract(
    sources: Sequence[tuple[Path, str]],
    cache: FeatureCache,
    workers: int | None = None,
    progress: Progress = silent,
) -> int:
    """Fill the cache for (file, content hash) pairs; what is there already is left alone. Returns how many were made.

    Interrupted at any moment, the next call continues. Raises DataError when a file no longer holds that content.
    """
    jobs = {sha1: _Extraction(file, sha1, cache.path(sha1), cache.config) for file, sha1 in sources}
    missing = [job for sha1, job in jobs.items() if sha1 not in cache]
    for shard in {job.target.parent for job in missing}:
        shard.mkdir(parents=True, exist_ok=True)
    for problem in run_tasks("features", _extract_one, missing, workers, progress):
        if problem:
            raise DataError(problem)
    return len(missing)


def _extract_one(job: _Extraction) -> str | None:
    samples = read(job.file)
    if content_sha1(samples) != job.sha1:
        return f"{job.file}: changed since it was checked; run `uyan data check` again"
    FeatureCache(job.target.parents[2], job.config, 0.0).put(job.sha1, log_mel(samples, job.config))
    return None
