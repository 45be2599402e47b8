"""The same take twice: near-duplicate audio among many recordings, without comparing all pairs.

Two recordings are near-duplicates when their waveforms correlate (|NCC| >= 0.9 over the overlap): one take again
with another gain, polarity, offset, trim or encoding. `duplicate_candidates` proposes pairs by their fingerprints,
then the waveforms decide. It knows nothing of files, labels or splits: recordings are numbers, and `load`
brings the seconds of them that are asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.correlation import SEGMENT_SAMPLES, correlation
from uyan.data.duplicate_candidates import find_candidates
from uyan.data.fingerprint import Fingerprint
from uyan.data.parallel import Progress, silent
from uyan.frontend import FRAME_SAMPLES, HOP_SAMPLES

PIECE_S = 30
"""Recordings are decoded by so many seconds: of long ones only the places that are compared."""
LOADED_SAMPLES = 2**26
"""Decoded audio kept at hand: 70 minutes, 256 MiB."""

Load = Callable[[int, int, int], Samples]
"""Seconds [start, stop) of a recording, called as load(recording, start, stop): (samples,), fewer where it ends."""


@dataclass(frozen=True)
class DuplicateLink:
    """Two recordings whose waveforms were found to be the same take."""

    first: int
    second: int
    """Numbers of the recordings, first < second."""
    correlation: float
    """|NCC| at the best lag, in [0, 1]."""


def find_groups(
    fingerprints: Sequence[Fingerprint],
    load: Load,
    *,
    seed: int = 42,
    min_correlation: float = 0.9,
    settled: Collection[int] = (),
    progress: Progress = silent,
) -> list[list[int]]:
    """Groups of near-duplicate recordings: each sorted, at least two members, in order of their first.

    The seed chooses the cells; groups hardly depend on it. Whether two of
    the `settled` recordings are one take is not asked: they share a group only through others.
    """
    links = find_links(
        fingerprints, load, seed=seed, min_correlation=min_correlation, settled=settled, progress=progress
    )
    return groups(links, len(fingerprints))


def groups(links: Sequence[DuplicateLink], count: int) -> list[list[int]]:
    """Connected recordings among `count`, as `find_groups` returns them.

    >>> groups([DuplicateLink(4, 7, 0.95), DuplicateLink(1, 2, 0.99), DuplicateLink(2, 4, 0.92)], 8)
    [[1, 2, 4, 7]]
    """
    forest = _Forest(count)
    for link in links:
        forest.join(link.first, link.second)
    members: dict[int, list[int]] = {}
    for recording in range(count):
        members.setdefault(forest.root(recording), []).append(recording)
    return [group for group in members.values() if len(group) > 1]


class _Forest:
    """Disjoint sets of recordings (union-find with path halving)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, item: int) -> int:
        """The number that stands for the set of `item`."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        """Make one set of the sets of both."""
        self._parent[self.root(second)] = self.root(first)


def find_links(
    fingerprints: Sequence[Fingerprint],
    load: Load,
    *,
    seed: int = 42,
    min_correlation: float = 0.9,
    settled: Collection[int] = (),
    progress: Progress = silent,
) -> list[DuplicateLink]:
    """Pairs confirmed by `correlation`, enough of them to connect every group (n - 1 for n recordings).

    None of two `settled` recordings.
    """
    tries = find_candidates(fingerprints, seed=seed, progress=progress)
    loaded, forest = _Loaded(load), _Forest(len(fingerprints))
    links = []
    for done, (first, second, first_frame, second_frame) in enumerate(tries.tolist(), 1):
        if forest.root(first) != forest.root(second) and not (first in settled and second in settled):
            one, one_anchor = loaded.around(first, _centre_sample(first_frame))
            other, other_anchor = loaded.around(second, _centre_sample(second_frame))
            value = correlation(one, other, one_anchor, other_anchor)
            if value >= min_correlation:
                forest.join(first, second)
                links.append(DuplicateLink(first, second, value))
        progress("confirm duplicates", done, len(tries))
    return sorted(links, key=lambda link: (link.first, link.second))


def _centre_sample(frame: int) -> int:
    return frame * HOP_SAMPLES + FRAME_SAMPLES // 2


class _Loaded:
    """`load` with the pieces used last kept at hand, up to LOADED_SAMPLES together."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept: OrderedDict[tuple[int, int], Samples] = OrderedDict()
        self._samples = 0

    def around(self, recording: int, anchor: int) -> tuple[Samples, int]:
        """All that `correlation` needs of a recording near an anchor sample, and where in it the anchor is."""
        size = PIECE_S * SAMPLE_RATE
        pieces = range(max(0, anchor - SEGMENT_SAMPLES) // size, (anchor + SEGMENT_SAMPLES - 1) // size + 1)
        found = [self._piece(recording, piece) for piece in pieces]
        return found[0] if len(found) == 1 else np.concatenate(found), anchor - pieces[0] * size

    def _piece(self, recording: int, piece: int) -> Samples:
        key = recording, piece
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        samples = self._load(recording, piece * PIECE_S, (piece + 1) * PIECE_S)
        self._kept[key] = samples
        self._samples += samples.size
        while self._samples > LOADED_SAMPLES and len(self._kept) > 1:
            self._samples -= self._kept.popitem(last=False)[1].size
        return samples
