"""Disjoint sets: which things are connected, from pairs that are (union-find with path halving)."""


class Forest:
    """Numbers, each alone at first.

    >>> forest = Forest()
    >>> forest.join(4, 7); forest.join(2, 4)
    >>> forest.root(7) == forest.root(2), forest.root(7) == forest.root(1)
    (True, False)
    """

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, item: int) -> int:
        """The number that stands for the set of `item`."""
        parent = self._parent
        while (above := parent.get(item, item)) != item:
            parent[item] = parent.get(above, above)
            item = parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        """Make one set of the sets of both."""
        self._parent[self.root(second)] = self.root(first)
