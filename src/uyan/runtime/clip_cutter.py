"""Clips out of a stream: exactly the samples around a moment, whatever the chunks, from a ring of a few seconds.

It knows nothing of words, scores or files.
"""

from typing import Generic, TypeVar

import numpy as np

from uyan.audio import Samples

Tag = TypeVar("Tag")


class Ring:
    """The last samples of a stream."""

    def __init__(self, size: int) -> None:
        self._kept = np.zeros(size, np.float32)
        self.cut(0)

    def cut(self, position: int) -> None:
        """Forget everything; the next sample has this number."""
        self._first = self.position = position

    def push(self, samples: Samples) -> None:
        """Take the next samples, shape (samples,)."""
        self.position += samples.size
        last = samples[-self._kept.size :]
        self._kept[np.arange(self.position - last.size, self.position) % self._kept.size] = last

    def part(self, start: int, stop: int) -> Samples:
        """Samples number [start, stop), as far as they are at hand, shape (samples,)."""
        start = max(start, self._first, self.position - self._kept.size)
        taken: Samples = self._kept[np.arange(start, min(stop, self.position)) % self._kept.size]
        return taken


class ClipCutter(Generic[Tag]):
    """Clips of `before` samples up to a moment and `after` from it; fewer where the stream begins, is cut or ends."""

    def __init__(self, before: int, after: int, reach: int) -> None:
        """A moment may be asked for until the stream is `reach` samples further."""
        self._before, self._after = before, after
        self._piece = max(1, after)
        self._ring = Ring(before + max(after, reach) + self._piece)
        self._wanted: list[tuple[int, Tag]] = []

    def want(self, moment: int, tag: Tag) -> None:
        """Ask for the clip around a sample of the stream; `push` gives it, with the tag, when it is complete."""
        self._wanted.append((moment, tag))

    def push(self, samples: Samples) -> list[tuple[Tag, Samples]]:
        """Take the next samples; the clips they complete."""
        ready = []
        for at in range(0, max(1, samples.size), self._piece):
            self._ring.push(samples[at : at + self._piece])
            ready += self._cut_out(self._ring.position)
        return ready

    def cut(self, position: int) -> list[tuple[Tag, Samples]]:
        """The stream was interrupted and goes on at this sample: the clips that wait, as far as they go."""
        ready = self.finish()
        self._ring.cut(position)
        return ready

    def finish(self) -> list[tuple[Tag, Samples]]:
        """The clips that wait for more, as far as they go."""
        return self._cut_out(self._ring.position + self._after)

    def _cut_out(self, until: int) -> list[tuple[Tag, Samples]]:
        due = [each for each in self._wanted if each[0] + self._after <= until]
        self._wanted = [each for each in self._wanted if each[0] + self._after > until]
        return [(tag, self._ring.part(moment - self._before, moment + self._after)) for moment, tag in due]
