"""Features that lie packed elsewhere, behind a URL or a path: those that are wanted are taken from there, verified.

A store is a folder of shards as `shard_writer` makes them, and is never written to. Its indices are read first, copies
of them kept; then the frames that are wanted and few others, some MiB at a time, each item held against its checksums
and added to a shard of this computer's own. What is torn or gone is told of, by name, and not taken: whoever extracts
makes it anew. Nothing that an index says is believed beyond the sizes that the store lists.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.data.shards.shard import DATA_SUFFIX
from uyan.data.shards.shard_folder import ShardFolder
from uyan.data.shards.shard_index import INDEX_SUFFIX, ShardIndex, as_written, names_of, parse_index, texts_of
from uyan.data.shards.shard_merge import tidy
from uyan.data.shards.shard_writer import ShardWriter
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.engine.task_map import Lost, PacketTask
from uyan.errors import MissingFileError, ShardError
from uyan.storage.access import opened
from uyan.storage.folder import Listed, list_folder, read_part, require_unchanged
from uyan.storage.location import Location

FETCHED_BYTES = 2**22
"""4 MiB: one request, two hundred clips; a long recording takes several."""
GAP_BYTES = 2**17
"""So much between two items costs less than a request of its own."""
LONGEST_BYTES = 2**30
"""A day. An item is in memory while it is verified; a longer one is left to whoever extracts."""
INDEX_BYTES = 2**28
"""What is longer is no index."""
INDICES_AT_ONCE = 16


class Stretch(NamedTuple):
    """Items of one shard that are wanted, near each other."""

    data: Listed
    items: ShardIndex
    """In the order in which they lie there."""


def take(
    store: Location, folder: ShardFolder, names: Sequence[str], workers: int | None, progress: Progress = silent
) -> None:
    """Add to the folder what the store has of these names; interrupted at any moment, the next call goes on.

    The folder's `tell` hears how many there were, and of every shard that is damaged or gone. Raises AccessError,
    StorageError where the store cannot be read or changes meanwhile, ShardError where features cannot be written.
    """
    problems = dict[str, None]()
    stretches = list(find(store, folder.mels, names, problems.setdefault))
    task = Taking(folder.path, folder.mels)
    with closing(run_tasks("stored features", task, stretches, workers, progress, _lost)) as results:
        for problem in results:
            if problem:
                problems.setdefault(problem)
    tidy(folder)
    for problem in problems:
        folder.tell(f"{problem}; features of what it has are made here")
    taken = len(names) - len(folder.missing(names))
    folder.tell(f"{store}: {taken:,} of {len(names):,} features that were missing are taken from there")


def find(store: Location, mels: int, names: Sequence[str], tell: Callable[[str], object]) -> Iterator[Stretch]:
    """Where the store has one or more names, each once. Raises as `take` does; `tell` hears of what is damaged."""
    files = list_folder(store)
    indices = [file for name, file in files.items() if name.endswith(INDEX_SUFFIX) and not name.startswith(".")]
    datas = [files.get(file.file.name.removesuffix(INDEX_SUFFIX) + DATA_SUFFIX) for file in indices]
    wanted = np.unique(names_of(names))
    found = np.zeros(len(wanted), np.bool_)
    with ThreadPoolExecutor(INDICES_AT_ONCE) as pool:
        for shard in pool.map(partial(_opened, mels), indices, datas):
            if isinstance(shard, str):
                tell(shard)
                continue
            data, index = shard
            places = np.minimum(wanted.searchsorted(index.names), len(wanted) - 1)
            usable = (index.frames > 0) & (index.frames <= LONGEST_BYTES // (2 * mels))
            rows = np.flatnonzero((wanted[places] == index.names) & ~found[places] & usable)
            found[places[rows]] = True
            yield from _stretches(data, index, rows)


def _opened(mels: int, file: Listed, data: Listed | None) -> tuple[Listed, ShardIndex] | str:
    """A shard's data and its index, or what is wrong with them."""
    size = file.version.size
    if data is None:
        return f"{file.file}: no {DATA_SUFFIX} beside it"
    if size > INDEX_BYTES:
        return f"{file.file}: {size:,} bytes are no index"
    try:
        index = _read(file.file)
    except (ShardError, MissingFileError) as reason:
        return str(reason)
    said = int(index.frames.sum()) * index.mels * 2
    if index.mels != mels:
        return f"{file.file}: features of {index.mels} mels where {mels} belong"
    if data.version.size != said:
        return f"{data.file}: torn, {data.version.size:,} bytes where its index speaks of {said:,}"
    return data, index


def _read(file: Location) -> ShardIndex:
    """Raises ShardError, MissingFileError, StorageError."""
    try:
        with opened(file) as source:
            if isinstance(source, str):
                with Path(source).open("rb") as local:
                    return parse_index(local, file)
            return parse_index(source, file)
    except FileNotFoundError as reason:
        raise MissingFileError(f"{file}: no such file") from reason


def _stretches(data: Listed, index: ShardIndex, rows: NDArray[np.intp]) -> Iterator[Stretch]:
    """The rows cut to what one request fetches."""
    row_bytes = index.mels * 2
    ordered = rows[np.lexsort((index.frames[rows], index.starts[rows]))]
    begins, ends = index.starts[ordered] * row_bytes, (index.starts[ordered] + index.frames[ordered]) * row_bytes
    first = 0
    for at in range(1, len(ordered) + 1):
        if at < len(ordered) and begins[at] - ends[at - 1] <= GAP_BYTES and ends[at] - begins[first] <= FETCHED_BYTES:
            continue
        yield Stretch(data, index.chosen(ordered[first:at]))
        first = at


@dataclass(frozen=True)
class Taking(PacketTask[Stretch, str | None]):
    """Fetches stretches, a shard a packet; says what is wrong with one, or None."""

    folder: Path
    mels: int

    @contextmanager
    def packet(self) -> Iterator[Callable[[Stretch], str | None]]:
        """See `PacketTask`."""
        with ShardWriter(self.folder, self.mels) as writer:
            yield partial(_take, writer)


def _take(writer: ShardWriter, stretch: Stretch) -> str | None:
    data, items = stretch
    row_bytes, first = items.mels * 2, int(items.starts[0])
    last = int(items.starts[-1] + items.frames[-1])
    try:
        content = memoryview(_content(data, first * row_bytes, last * row_bytes))
    except MissingFileError as reason:
        return str(reason)
    texts, blocks, wrong = texts_of(items.names), items.first_blocks(), ""
    for row, (name, start, frames) in enumerate(zip(texts, items.starts.tolist(), items.frames.tolist(), strict=True)):
        part = content[(start - first) * row_bytes : (start - first + frames) * row_bytes]
        until = blocks[row + 1] if row + 1 < len(blocks) else len(items.checks)
        rows = np.frombuffer(part, "<f2").reshape(frames, items.mels)
        if not as_written(part, items.checks[blocks[row] : until], row_bytes):
            wrong = "not the features that were written, by their checksums"
        elif not np.isfinite(rows).all():
            wrong = "not features: infinite, or no numbers"
        else:
            writer.add(name, rows.T)
    if wrong:
        require_unchanged(data)
    return f"{data.file}: {wrong}" if wrong else None


def _content(data: Listed, start: int, stop: int) -> bytearray:
    found = bytearray()
    for begin in range(start, stop, FETCHED_BYTES):
        found += read_part(data, begin, min(begin + FETCHED_BYTES, stop))
    return found


def _lost(stretch: Stretch, why: Lost) -> str:
    return f"{stretch.data.file}: {why.reason}"
