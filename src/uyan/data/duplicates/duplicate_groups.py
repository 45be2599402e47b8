"""The same take twice: near-duplicate audio among many recordings, without comparing all pairs.

Two recordings are near-duplicates when their waveforms correlate (|NCC| >= 0.9 over the overlap): one take again
with another gain, polarity, offset, trim or encoding. `duplicate_candidates` proposes pairs by their fingerprints, in
this process, then the waveforms decide, on whichever engine (`duplicate_tries`). It knows nothing of labels or splits.
"""

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uyan.data.duplicates.duplicate_candidates import find_candidates
from uyan.data.duplicates.duplicate_tries import Confirmation, Load, Tries, packets_of
from uyan.data.duplicates.fingerprint import Fingerprint
from uyan.data.duplicates.forest import Forest
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.engine.task_map import Lost
from uyan.errors import DataError

FEW_PACKETS = 8
"""Fewer, some seconds of work, and starting processes costs more than they save."""


@dataclass(frozen=True)
class DuplicateLink:
    """Two recordings whose waveforms were found to be the same take."""

    first: int
    second: int
    """Numbers of the recordings, first < second."""
    correlation: float
    """|NCC| at the best lag, in [0, 1]."""


def groups(links: Sequence[DuplicateLink], count: int) -> list[list[int]]:
    """Near-duplicates among `count` recordings: each group sorted, two members or more, in order of their first.

    >>> groups([DuplicateLink(4, 7, 0.95), DuplicateLink(1, 2, 0.99), DuplicateLink(2, 4, 0.92)], 8)
    [[1, 2, 4, 7]]
    """
    forest = Forest()
    for link in links:
        forest.join(link.first, link.second)
    members: dict[int, list[int]] = {}
    for recording in range(count):
        members.setdefault(forest.root(recording), []).append(recording)
    return [group for group in members.values() if len(group) > 1]


def find_links(
    fingerprints: Sequence[Fingerprint],
    sources: Sequence[Any],
    load: Load,
    *,
    seed: int = 42,
    min_correlation: float = 0.9,
    settled: Collection[int] = (),
    workers: int | None = None,
    progress: Progress = silent,
    mark: Path | None = None,
) -> list[DuplicateLink]:
    """Pairs confirmed by `correlation`, enough of them to connect every group (n - 1 for n recordings).

    `load` brings seconds of what `sources` has for a recording. The seed chooses the cells; groups hardly depend on it.
    Whether two of the `settled` recordings are one take is not asked: they share a group only through others.
    `mark` as in `run_tasks`. Raises DataError where a recording kills whoever reads it.
    """
    tries = find_candidates(fingerprints, seed=seed, progress=progress)
    if settled:
        known = np.isin(tries[:, :2], np.fromiter(settled, np.int64))
        tries = tries[~known.all(axis=1)]
    packets, forest, done = packets_of(tries, sources), Forest(), 0
    links: list[DuplicateLink] = []
    task = Confirmation(load, min_correlation)
    confirmed = run_tasks("confirm duplicates", task, packets, workers, lost=_refuse, least=FEW_PACKETS, mark=mark)
    with closing(confirmed) as results:
        for packet, values in zip(packets, results, strict=True):
            for (first, second), value in zip(packet.rows[:, :2].tolist(), values.tolist(), strict=True):
                # A packet does not know what others found: taken in order, the links are those of one worker.
                if value >= min_correlation and forest.root(first) != forest.root(second):
                    forest.join(first, second)
                    links.append(DuplicateLink(first, second, value))
            done += len(packet.rows)
            progress("confirm duplicates", done, len(tries))
    return sorted(links, key=lambda link: (link.first, link.second))


def _refuse(packet: Tries, why: Lost) -> NDArray[np.float64]:
    names = ", ".join(map(str, packet.sources.values()))
    raise DataError(f"near-duplicates: {why.reason} over one of {names}; leave it out")
