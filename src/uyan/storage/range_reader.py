"""A remote file of any length as a file object: fetched in ranges, those that come next in the background.

Memory is a few ranges, however long the file is. A decoder in C asks through callbacks, from which no exception comes
back: what went wrong ends the file there, and is kept for `verify`. It knows nothing of protocols.
"""

import io
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from uyan.errors import StorageError

RANGE_BYTES = 2**22
"""4 MiB: two minutes of WAV, four of FLAC; one request."""
AHEAD = 2
"""Ranges under way beyond the one that is read, where a file is read from front to back."""
KEPT = 2
"""Ranges kept for a decoder that goes back a little."""


class RangeReader(io.RawIOBase):
    """`size` bytes of which `fetch(start, stop)` brings any; `check`, if given, raises where the file has changed."""

    def __init__(
        self, url: str, size: int, fetch: Callable[[int, int], bytes], check: Callable[[], None] | None
    ) -> None:
        super().__init__()
        self.url = url
        self.size = size
        self.failure: StorageError | None = None
        self._fetch = fetch
        self._check = check
        self._at = 0
        self._last = -1
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._coming: dict[int, Future[bytes]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def __str__(self) -> str:
        return self.url

    def begin(self) -> None:
        """Fetch the first range now. Raises StorageError."""
        if self.size:
            self._block(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As many bytes as fit; fewer at the end, and after a failure."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and self._at < self.size and self.failure is None:
            number, offset = divmod(self._at, RANGE_BYTES)
            try:
                part = self._block(number)[offset : offset + len(view) - done]
            except StorageError as reason:
                self.failure = reason
                break
            view[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def verify(self) -> None:
        """Raise StorageError where the file is another one by now, and else for what failed while it was read."""
        if self._check:
            self._check()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        if not self.closed and self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._held.clear()
        self._coming.clear()
        super().close()

    def _block(self, number: int) -> bytes:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        coming = self._coming.pop(number, None)
        # Ahead only of who reads on: the first range may be the only one that is wanted, and a seek wants one or two.
        if number and number == self._last + 1:
            self._order(number)
        block = coming.result() if coming else self._fetch(*self._range(number))
        self._last = number
        self._held[number] = block
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
        return block

    def _order(self, number: int) -> None:
        """Have the ranges behind this one fetched; forget what was ordered for another place."""
        wanted = range(number + 1, min(number + AHEAD, (self.size - 1) // RANGE_BYTES) + 1)
        for other in set(self._coming) - set(wanted):
            self._coming.pop(other).cancel()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AHEAD, "uyan-ranges")
        for other in wanted:
            if other not in self._coming:
                self._coming[other] = self._pool.submit(self._fetch, *self._range(other))

    def _range(self, number: int) -> tuple[int, int]:
        return number * RANGE_BYTES, min((number + 1) * RANGE_BYTES, self.size)
