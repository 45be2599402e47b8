"""Which examples of every batch a process makes, where several train together: each `ranks`-th, from `rank` on.

All of them decide the whole batch, in the same numbers, and each computes its own examples of it: what they have
together is the batch that one process alone would have made. It knows nothing of who the processes are.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Share(NamedTuple):
    """One process's part of every batch."""

    rank: int = 0
    """Number of the process, from 0."""
    ranks: int = 1
    """How many there are."""

    def of(self, examples: int) -> NDArray[np.intp]:
        """Its examples of a batch of so many, in order.

        >>> Share(1, 3).of(8).tolist(), Share().of(3).tolist()
        ([1, 4, 7], [0, 1, 2])
        """
        return np.arange(self.rank, examples, self.ranks)


WHOLE = Share()
"""Of a process that trains alone."""
