"""Every recording that batches draw from, with its variants behind it: their names, lengths and stretches as arrays.

What a recording's item draws is then a number added to that of the recording. It knows nothing of where features lie.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uyan.data.cache import BYTES, FeatureCache
from uyan.data.examples import ExampleMaker


class Takes:
    """Recordings and variants in rows: each recording's variants follow it in the order of their numbers."""

    def __init__(self, makers: Sequence[ExampleMaker]) -> None:
        """Of positives, negatives and backgrounds of these makers; hard negatives are windows of those, or foreign.

        Raises DataError where features are missing.
        """
        self.cache = makers[0].cache
        names, counts = _recordings(makers)
        table = next((maker.variants for maker in makers if maker.variants), None)
        taken = [
            table.take(name.decode(), number) if table else (name.decode(), 1.0)
            for name, count in zip(names, counts.tolist(), strict=True)
            for number in range(1 + count)
        ]
        self.keys = np.array([key for key, _ in taken], np.bytes_)
        """Names in the feature cache, shape (rows,)."""
        self.stretches = np.array([stretch for _, stretch in taken])
        """Lengths as multiples of their recordings', shape (rows,)."""
        self.frames = frame_counts(self.cache, self.keys)
        """(rows,)."""
        self._order = np.argsort(self.keys, kind="stable")

    @property
    def nbytes(self) -> int:
        """What all features take, packed."""
        return int(self.frames.sum()) * self.cache.config.mels * BYTES

    def rows(self, names: NDArray[np.bytes_]) -> NDArray[np.intp]:
        """The row of each name, −1 for one that is not among them, shape (names,)."""
        place = np.searchsorted(self.keys, names, sorter=self._order)
        found = self._order[np.minimum(place, len(self._order) - 1)]
        return np.where(self.keys[found] == names, found, -1)


def frame_counts(cache: FeatureCache, keys: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Frames of each recording, shape (keys,). Raises DataError for a key without features."""
    return cache.lengths([key.decode() for key in keys])


def _recordings(makers: Sequence[ExampleMaker]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Distinct names, and how many variants of each are drawn from."""
    names, counts = [], []
    for maker in makers:
        for items in (maker.sources["positive"], maker.sources["negative"], maker.backgrounds):
            drawn = items.variants if maker.draws_variants and items is not maker.backgrounds else 0 * items.variants
            names.append(items.names)
            counts.append(drawn)
    distinct, number = np.unique(np.concatenate(names), return_inverse=True)
    most = np.zeros(len(distinct), np.int64)
    np.maximum.at(most, number, np.concatenate(counts))
    return distinct, most
