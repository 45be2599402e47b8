"""Whether candidates are one take: their waveforms compared, in packets that any engine does.

A packet has the tries of neighbours, so that a worker decodes a stretch once for all of its comparisons. It knows
nothing of fingerprints, nor of what other packets find: what a comparison gives does not depend on it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.duplicates.correlation import SEGMENT_SAMPLES, correlation
from uyan.data.duplicates.forest import Forest
from uyan.engine.task_map import PacketTask
from uyan.frontend import FRAME_SAMPLES, HOP_SAMPLES

PIECE_S = 30
"""Recordings are decoded by so many seconds: of long ones only the places that are compared."""
LOADED_SAMPLES = 2**26
"""Decoded audio that a process keeps at hand: 70 minutes, 256 MiB."""
PACKET_TRIES = 64

Load = Callable[[Any, int, int], Samples]
"""Seconds [start, stop) of a recording, called as load(source, start, stop): (samples,), fewer where it ends; for other
processes a function of a module."""


class Tries(NamedTuple):
    """Places of recordings to compare."""

    rows: NDArray[np.int64]
    """(tries, 4): first recording, second recording, frame in the first, frame in the second."""
    sources: Mapping[int, Any]
    """What `load` takes for each recording."""


def packets_of(rows: NDArray[np.int64], sources: Sequence[Any]) -> list[Tries]:
    """Rows of shape (tries, 4) in packets; those of one pair, which follow each other, stay together."""
    pair_starts = np.flatnonzero((np.diff(rows[:, :2], axis=0, prepend=-1) != 0).any(axis=1))
    cuts = pair_starts[np.flatnonzero(np.diff(pair_starts // PACKET_TRIES, prepend=0))]
    parts = [part for part in np.split(rows, cuts) if len(part)]
    return [Tries(part, {n: sources[n] for n in np.unique(part[:, :2]).tolist()}) for part in parts]


@dataclass(frozen=True)
class Confirmation(PacketTask[Tries, NDArray[np.float64]]):
    """The correlation of each try, shape (tries,); NaN where the packet's own tries have connected the two before."""

    load: Load
    min_correlation: float

    @contextmanager
    def packet(self) -> Iterator[Callable[[Tries], NDArray[np.float64]]]:
        """See `PacketTask`."""
        loaded = _Loaded(self.load)
        yield lambda tries: self._values(tries, loaded)

    def _values(self, tries: Tries, loaded: "_Loaded") -> NDArray[np.float64]:
        joined, values = Forest(), np.full(len(tries.rows), np.nan)
        for place, (first, second, first_frame, second_frame) in enumerate(tries.rows.tolist()):
            if joined.root(first) != joined.root(second):
                one, one_anchor = loaded.around(first, tries.sources[first], _centre_sample(first_frame))
                other, other_anchor = loaded.around(second, tries.sources[second], _centre_sample(second_frame))
                values[place] = correlation(one, other, one_anchor, other_anchor)
                if values[place] >= self.min_correlation:
                    joined.join(first, second)
        return values


def _centre_sample(frame: int) -> int:
    return frame * HOP_SAMPLES + FRAME_SAMPLES // 2


class _Loaded:
    """`load` with the pieces used last kept at hand, up to LOADED_SAMPLES together."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept: OrderedDict[tuple[int, int], Samples] = OrderedDict()
        self._samples = 0

    def around(self, recording: int, source: Any, anchor: int) -> tuple[Samples, int]:
        """All that `correlation` needs of a recording near an anchor sample, and where in it the anchor is."""
        size = PIECE_S * SAMPLE_RATE
        pieces = range(max(0, anchor - SEGMENT_SAMPLES) // size, (anchor + SEGMENT_SAMPLES - 1) // size + 1)
        found = [self._piece(recording, source, piece) for piece in pieces]
        return found[0] if len(found) == 1 else np.concatenate(found), anchor - pieces[0] * size

    def _piece(self, recording: int, source: Any, piece: int) -> Samples:
        key = recording, piece
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        samples = self._load(source, piece * PIECE_S, (piece + 1) * PIECE_S)
        self._kept[key] = samples
        self._samples += samples.size
        while self._samples > LOADED_SAMPLES and len(self._kept) > 1:
            self._samples -= self._kept.popitem(last=False)[1].size
        return samples
