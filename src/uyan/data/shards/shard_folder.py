"""All shards of a folder as one table: which shard has an item, by name.

The table is three arrays over all items, so that loader processes, which are forked, share its pages: reading a Python
object would copy them. What is not found is looked for in the folder once more, since other processes write there and
merge small shards into large ones; a shard that is gone is forgotten. A damaged one is deleted and told of: its items
count as missing, and whoever extracts makes them again. It knows nothing of memory budgets.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from uyan.data.shards.shard import DATA_SUFFIX, FrameRows, HalfFeatures, Shard, shard_files
from uyan.data.shards.shard_index import name_of, named, names_of
from uyan.errors import DataError, ShardError

MOST_OPEN = 128
"""Data files held open at once."""
MERGES_MET = 10
"""So often may a shard disappear while one item is looked for."""

Found = TypeVar("Found")


def say_nothing(line: str) -> None:
    """Tells nobody."""


class Packed(NamedTuple):
    """Features of many recordings in one array."""

    rows: FrameRows
    """(frames, mels)."""
    starts: NDArray[np.int64]
    """(recordings + 1,): recording i is rows[starts[i]:starts[i + 1]]."""


class ShardFolder:
    """Items by name, whichever shard they are in; for one thread. Nothing is read before the first question."""

    def __init__(self, path: Path, mels: int, tell: Callable[[str], None] = say_nothing) -> None:
        """`tell` hears of every damaged shard; a copy in another process tells nobody."""
        self.path = path
        self.mels = mels
        self.tell = tell
        self.shards: list[Shard] = []
        self._listed: list[str] = []
        self._open: list[Shard] = []
        self._tabulate()

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardFolder, (self.path, self.mels)

    def refresh(self) -> None:
        """See what is in the folder now."""
        changed = False
        # Until a listing shows nothing new: files may come and go while a folder is read.
        while (listed := shard_files(self.path)) != self._listed:
            kept = {shard.path.name: shard for shard in self.shards}
            found = (kept.get(name) or self._shard(name) for name in listed)
            self.shards = [shard for shard in found if shard is not None]
            self._listed, changed = listed, True
        if changed:
            self._tabulate()

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the names that nothing is stored under, as of now."""
        self.refresh()
        there = self._places(names) >= 0
        return [name for name, known in zip(names, there.tolist(), strict=True) if not known]

    def lengths(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Frames of each, without a look at them. Raises DataError for one that is missing."""
        places = self._known(names)
        frames = np.concatenate([np.zeros(0, np.int64), *(shard.frames for shard in self.shards)])
        found: NDArray[np.int64] = frames[self._firsts[self._shard_of[places]] + self._row_of[places]]
        return found

    def frames(self, sha1: str) -> int:
        """How many frames one has. Raises as `read` does."""
        return self.use(sha1, lambda shard, row: int(shard.frames[row]))

    def read(self, sha1: str, start: int = 0, stop: int | None = None) -> HalfFeatures:
        """Frames [start, stop), shape (mels, frames), verified, in memory of their own.

        Raises DataError where there are none, ShardError where they are damaged or cannot be read.
        """
        return self.use(sha1, lambda shard, row: shard.read(row, start, stop))

    def packed(self, names: Sequence[str]) -> Packed:
        """All of them, verified, in one array in the order of the names. Raises as `read` does.

        Shards are read from front to end, each item straight to its place: nothing is copied twice.
        """
        lengths, places = self.lengths(names), self._known(names)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        rows = np.empty((int(starts[-1]), self.mels), np.float16)
        begins = np.concatenate([np.zeros(0, np.int64), *(shard.starts for shard in self.shards)])
        in_file = begins[self._firsts[self._shard_of[places]] + self._row_of[places]]
        for number in np.lexsort((in_file, self._shard_of[places])).tolist():
            self.use(names[number], partial(_fill, rows[starts[number] : starts[number + 1]]))
        return Packed(rows, starts)

    def use(self, sha1: str, how: Callable[[Shard, int], Found]) -> Found:
        """`how(shard, row)` for that name. Raises as `read` does."""
        for _ in range(MERGES_MET):
            found = self.locate(sha1)
            if found is None:
                break
            shard, row = found
            try:
                return self._kept_open(shard, how, row)
            except FileNotFoundError:
                if not shard.path.exists():
                    self.forget(shard)  # merged into another one
                    continue
                reason = f"{shard.data_path}: not there"
            except ShardError as error:
                reason = str(error)
            except OSError as error:
                raise ShardError(f"{shard.data_path}: cannot be read ({error.strerror})") from error
            self.discard(shard.path, len(shard))
            self.forget(shard)
            raise ShardError(f"{reason}; run the same command again: it goes on, and makes these features anew")
        raise DataError(f"{self.path}: no features of {sha1}; run `uyan features`")

    def locate(self, sha1: str) -> tuple[Shard, int] | None:
        """The shard that has it, and its row there."""
        wanted = name_of(sha1)
        place = self._place(wanted)
        if place is None:
            self.refresh()
            place = self._place(wanted)
        return None if place is None else (self.shards[self._shard_of[place]], int(self._row_of[place]))

    def forget(self, shard: Shard) -> None:
        """Do without a shard that is gone, and let go of it."""
        shard.close()
        self.shards = [other for other in self.shards if other is not shard]
        self._listed = [name for name in self._listed if name != shard.path.name]
        self._tabulate()

    def discard(self, path: Path, items: int | None = None) -> None:
        """Delete the damaged shard with that index and tell of it; where that is not allowed it is only told."""
        many = "its recordings" if items is None else f"its {items:,} recording(s)"
        try:
            remove(path)
        except OSError as reason:
            self.tell(f"{path}: damaged, and cannot be deleted ({reason.strerror}); delete it")
        else:
            self.tell(f"{path}: damaged, deleted; features of {many} are made again")

    def _shard(self, name: str) -> Shard | None:
        path = self.path / name
        try:
            shard = Shard(path)
            if shard.mels == self.mels:
                return shard
        except FileNotFoundError:
            if not path.exists():
                return None
        except ShardError:
            pass
        self.discard(path)
        return None

    def _tabulate(self) -> None:
        known = set(self.shards)
        self._open = [shard for shard in self._open if shard in known]
        names = named(b"".join(shard.names.tobytes() for shard in self.shards))
        order = np.argsort(names, kind="stable")
        counts = [len(shard) for shard in self.shards]
        self._names = names[order]
        self._shard_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
        self._firsts = np.cumsum([0, *counts], dtype=np.int64)[:-1]
        self._row_of = (order - self._firsts[self._shard_of]).astype(np.int32)

    def _place(self, wanted: NDArray[np.bytes_]) -> int | None:
        place = int(self._names.searchsorted(wanted)[0])
        return place if place < len(self._names) and self._names[place] == wanted[0] else None

    def _places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """(names,): place in the table, -1 where there is none."""
        wanted = names_of(names)
        if not len(self._names):
            return np.full(len(names), -1)
        places = np.minimum(self._names.searchsorted(wanted), len(self._names) - 1)
        return np.where(self._names[places] == wanted, places, -1)

    def _known(self, names: Sequence[str]) -> NDArray[np.int64]:
        places = self._places(names)
        if (places < 0).any():
            self.refresh()
            places = self._places(names)
        if (places < 0).any():
            raise DataError(f"{self.path}: no features of {names[int(places.argmin())]}; run `uyan features`")
        return places

    def _kept_open(self, shard: Shard, how: Callable[[Shard, int], Found], row: int) -> Found:
        """`how(shard, row)`; where that opened one data file too many, the others are closed."""
        was_open = shard.opened is not None
        try:
            return how(shard, row)
        finally:
            if not was_open and shard.opened is not None:
                if len(self._open) >= MOST_OPEN:
                    for other in self._open:
                        other.close()
                    self._open.clear()
                self._open.append(shard)


def remove(path: Path) -> None:
    """Delete a shard by its index: that first, so that no one finds half of it."""
    path.unlink(missing_ok=True)
    path.with_suffix(DATA_SUFFIX).unlink(missing_ok=True)


def _fill(rows: FrameRows, shard: Shard, row: int) -> None:
    shard.read_into(row, rows)
