"""A generator that gives what it is told, in the place of numpy's."""

from collections.abc import Iterator
from typing import Any

import numpy as np


class Scripted:
    """Turns given numbers in [0, 1) into integers, one by one, or a whole row of them."""

    def __init__(self, *chances: float, row: Any = ()) -> None:
        self._chances: Iterator[float] = iter(chances)
        self._row = np.asarray(row)

    def integers(self, low: int, high: int | None = None, size: int | None = None) -> Any:
        low, high = (0, low) if high is None else (low, high)
        if size is None:
            return low + int((high - low) * next(self._chances))
        assert size <= len(self._row)
        return low + ((high - low) * self._row[:size]).astype(int)
