"""Features that stay on the device: all recordings of a training, one after another, in half precision.

One tensor, made once and filled piece by piece, so that no second copy ever exists. Of each recording it also knows the
quietest frames, which padding is drawn from. Windows of recordings that are not among them (hard negatives mined from
audio files) come and go at its end. It knows nothing of labels or batches.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from uyan.data.augment import QUIET_ONE_IN
from uyan.data.cache import FeatureCache, to_single
from uyan.data.items import Items, Segment
from uyan.data.resident.takes import Takes, frame_counts
from uyan.data.shards.shard_index import BLOCK_FRAMES
from uyan.engine.parallel import Progress, silent
from uyan.errors import DataError

PIECE_FRAMES = 2**16
"""Read at once of whole recordings: 8 MB."""
RANGE_FRAMES = 2 * BLOCK_FRAMES
"""Read at once of one that is longer: 1.5 MB."""
ENERGY_FRAMES = 2**13
"""In single precision at once, while their energy is taken: 2 MB."""
STAGE = "features to memory"

Read = Callable[[slice, int, int], NDArray[np.float16]]
"""Frames [start, stop) of what some recordings have, one after another, shape (frames, mels)."""


class Layout(NamedTuple):
    """Where recordings lie in the tensor; all (recordings,) but the last."""

    starts: NDArray[np.int64]
    frames: NDArray[np.int64]
    quiet_starts: NDArray[np.int64]
    """Where their quietest frames begin in `quiet`."""
    quiet_counts: NDArray[np.int64]
    quiet: NDArray[np.int32]
    """Frames of the recordings, each recording's quietest tenth, quietest first."""

    def followed_by(self, other: "Layout") -> "Layout":
        """Both, where `other` lies behind."""
        return Layout(
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.frames, other.frames]),
            np.concatenate([self.quiet_starts, other.quiet_starts + len(self.quiet)]),
            np.concatenate([self.quiet_counts, other.quiet_counts]),
            np.concatenate([self.quiet, other.quiet]),
        )


class ResidentFeatures:
    """The features of `takes` on a device, with room for more frames."""

    def __init__(
        self,
        cache: FeatureCache,
        takes: Takes,
        device: torch.device,
        spare_frames: int = 0,
        progress: Progress = silent,
    ) -> None:
        """Read everything; reports recordings to `progress`. Raises DataError where features cannot be read."""
        self.cache, self.takes, self.device = cache, takes, device
        self._used = int(takes.frames.sum())
        # From numpy: torch would fill it, and spare frames take memory only once they are used.
        shape = (self._used + spare_frames, cache.config.mels)
        on_cpu = device.type == "cpu"
        self.features = (
            torch.from_numpy(np.empty(shape, np.float16))
            if on_cpu
            else torch.empty(shape, dtype=torch.float16, device=device)
        )
        """(frames, mels) float16."""
        names = [key.decode() for key in takes.keys]

        def read(rows: slice, start: int, stop: int) -> NDArray[np.float16]:
            progress(STAGE, rows.start, len(names))
            if rows.stop - rows.start == 1:
                return cache.read(names[rows.start], start, stop).T
            return cache.packed(names[rows]).rows

        self._base = self._put(0, takes.frames, read)
        progress(STAGE, len(names), len(names))
        self.layout = self._base
        """Of the recordings, in the order of `takes`, and of the windows held behind them."""

    @property
    def nbytes(self) -> int:
        """Of the recordings, without spare frames."""
        return self._used * self.cache.config.mels * self.features.element_size()

    def hold(
        self, windows: Items[Segment], window_frames: int, reach: int
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Recordings in `layout` that hold these windows, and where in them each starts, both (windows,).

        Of a recording that is not resident, so much is read that a crop of up to `reach` frames can lie anywhere around
        the window; what was read so before is dropped. Raises DataError when there is no room for it.
        """
        rows, starts = self.takes.rows(windows.names), windows.spans[:, 0].copy()
        foreign = np.flatnonzero(rows < 0)
        names = [windows.names[number].decode() for number in foreign]
        totals = frame_counts(self.cache, windows.names[foreign])
        parts = [
            _around(total, start, window_frames, reach)
            for total, start in zip(totals.tolist(), starts[foreign].tolist(), strict=True)
        ]
        frames = np.array([end - first for first, end in parts], np.int64)
        if frames.sum() > len(self.features) - self._used:
            raise DataError(
                f"no room for {len(names)} windows of recordings that are only mined: lower mining.max_windows, or set "
                "data.loader to files and choose another --out"
            )

        def read(chosen: slice, *_: int) -> NDArray[np.float16]:
            pieces = [self.cache.read(n, a, b).T for n, (a, b) in zip(names[chosen], parts[chosen], strict=True)]
            return np.concatenate(pieces)

        self.layout = self._base.followed_by(self._put(self._used, frames, read))
        rows[foreign] = len(self._base.starts) + np.arange(foreign.size)
        starts[foreign] -= np.array([first for first, _ in parts], np.int64)
        return rows, starts

    def _put(self, start: int, frames: NDArray[np.int64], read: Read) -> Layout:
        """Read recordings of so many frames to `start` of the tensor, piece by piece."""
        ends = start + np.cumsum(frames)
        quiet = [np.empty(0, np.int32)]
        for rows in _pieces(frames):
            total, begin = int(frames[rows].sum()), int(ends[rows.start] - frames[rows.start])
            energy = np.empty(total, np.float32)
            for first, stop in _ranges(total):
                self._put_range(begin + first, read(rows, first, stop), energy[first:stop])
            quiet.append(_quietest(energy, frames[rows]))
        counts = _quiet_counts(frames)
        return Layout(ends - frames, frames, np.cumsum(counts) - counts, counts, np.concatenate(quiet))

    def _put_range(self, start: int, rows: NDArray[np.float16], energy: NDArray[np.float32]) -> None:
        """Put `rows` (frames, mels) to `start` of the tensor, and the energy of each into `energy` (frames,)."""
        if len(rows) != len(energy):
            raise DataError(f"{self.cache.folder}: features changed while they were read; run the same command again")
        self.features[start : start + len(rows)].copy_(torch.from_numpy(rows))
        for first in range(0, len(rows), ENERGY_FRAMES):
            part = slice(first, first + ENERGY_FRAMES)
            energy[part] = to_single(rows[part]).mean(axis=1)


def _around(frames: int, window_start: int, window_frames: int, reach: int) -> tuple[int, int]:
    """First frame and end of what crops around a window hear of a recording of so many frames.

    >>> _around(1000, 500, 100, 150), _around(1000, 20, 100, 150), _around(120, -15, 100, 150)
    ((450, 650), (0, 170), (0, 120))
    """
    first = min(max(0, window_start - (reach - window_frames)), frames - 1)
    return first, max(min(frames, window_start + reach), first + 1)


def _pieces(frames: NDArray[np.int64]) -> Iterator[slice]:
    """Recordings of these lengths in groups of about `PIECE_FRAMES`, one at least."""
    start = 0
    while start < len(frames):
        ends = np.cumsum(frames[start : start + PIECE_FRAMES])
        count = max(1, int(np.searchsorted(ends, PIECE_FRAMES, side="right")))
        yield slice(start, start + count)
        start += count


def _ranges(frames: int) -> Iterator[tuple[int, int]]:
    """First frame and end of what is read at once of a piece."""
    step = PIECE_FRAMES if frames <= PIECE_FRAMES else RANGE_FRAMES
    return ((start, min(start + step, frames)) for start in range(0, frames, step))


def _quiet_counts(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(1, frames // QUIET_ONE_IN)


def _quietest(energy: NDArray[np.float32], frames: NDArray[np.int64]) -> NDArray[np.int32]:
    """The quietest frames of each of some recordings, as `augment.quiet_frames` chooses them; `energy` (frames,)."""
    if len(energy) > PIECE_FRAMES:
        return _quietest_of_one(energy)
    starts = np.repeat(np.cumsum(frames) - frames, frames)
    recording = np.repeat(np.arange(len(frames)), frames)
    ranked = np.lexsort((energy, recording))  # within each recording, ties in order
    chosen = np.arange(len(energy)) - starts < np.repeat(_quiet_counts(frames), frames)
    return (ranked - starts)[chosen].astype(np.int32)


def _quietest_of_one(energy: NDArray[np.float32]) -> NDArray[np.int32]:
    """The same of one long recording: only frames that may be among them are sorted."""
    count = max(1, len(energy) // QUIET_ONE_IN)
    least_loud = np.partition(energy, count - 1)[count - 1]
    quiet = np.flatnonzero(~(energy > least_loud)).astype(np.int32)  # NaN ranks last, as in a sort
    return quiet[np.argsort(energy[quiet], kind="stable")[:count]]
