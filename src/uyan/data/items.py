"""What examples are made from: recordings of the keyword, and stretches of everything else.

Each item knows how many variants of its recording are cached besides the recording itself, and how often it is drawn.
It knows nothing of features.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

import numpy as np

from uyan.data.locate import Span

_NO_WORD = -1


class Positive(NamedTuple):
    """One recording of the keyword."""

    sha1: str
    word: Span
    variants: int = 0
    """Draws choose among this many variants and the recording itself."""
    weight: float = 1.0
    """How often it is drawn, relative to others; 0 is never."""


class Segment(NamedTuple):
    """A stretch of negative or noise material."""

    sha1: str
    start: int
    """First frame."""
    variants: int = 0
    """Draws choose among this many variants and the recording itself."""
    weight: float = 1.0
    """How often it is drawn, relative to others; 0 is never."""


Place = TypeVar("Place", Positive, Segment)


class Items(Generic[Place]):
    """Positives or segments as three arrays.

    Reading a Python object writes to its reference count, so a loader process would soon have copied every page of a
    long list; these pages stay shared.
    """

    def __init__(self, items: Sequence[Place]) -> None:
        spans = [(i.word.start, i.word.end) if isinstance(i, Positive) else (i.start, _NO_WORD) for i in items]
        self.spans = np.array(spans, np.int64).reshape(-1, 2)
        """(items, 2): first frame and end of the word, or first frame and nothing that counts."""
        self.variants = np.array([item.variants for item in items], np.int32)
        """(items,)."""
        self.names = np.array([item.sha1 for item in items], np.bytes_)
        """(items,): `sha1` of each, as ASCII."""
        self.weights = np.array([item.weight for item in items], np.float32)
        """(items,)."""

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, number: int) -> Place:
        sha1 = self.names[number].decode()
        (start, end), more = self.spans[number].tolist(), (int(self.variants[number]), float(self.weights[number]))
        return cast(Place, Segment(sha1, start, *more) if end == _NO_WORD else Positive(sha1, Span(start, end), *more))

    def __iter__(self) -> Iterator[Place]:
        return (self[number] for number in range(len(self)))


def segments(sha1: str, frames: int, crop_frames: int, variants: int = 0) -> list[Segment]:
    """A recording cut into stretches one crop apart; a short one gives a single stretch.

    Draws move a stretch by up to half a crop, so that a rest shorter than that needs none of its own.

    >>> [s.start for s in segments("a", 320, 150)], [s.start for s in segments("a", 98, 150)]
    ([0, 150], [0])
    """
    return [Segment(sha1, start, variants) for start in range(0, max(1, frames - crop_frames // 2), crop_frames)]
