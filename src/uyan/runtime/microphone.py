"""A microphone as a stream of chunks, mono at 16 kHz, that outlives overflows and unplugging.

Between PortAudio's thread and the detector lies a bounded queue. When the detector falls behind for so long that it is
full, everything is left out until the queue is empty: one gap, counted in samples, not many. A microphone that falls
silent is closed, looked for by its name and opened again; the stream's clock stands still meanwhile. It knows nothing
of detectors.
"""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from uyan.audio import INT16_SCALE, SAMPLE_RATE, Samples
from uyan.errors import MicrophoneError
from uyan.runtime.devices import BLOCK_S, Device, chosen, devices, is_running, look_again, opened
from uyan.runtime.listener import Chunk

QUEUE_S = 10.0
"""Audio that may wait for the detector."""
GONE_AFTER_S = 2.0
"""Without a block for so long the microphone is taken for unplugged."""
RETRY_S = 1.0
ZEROS_S = 3.0
"""A microphone that delivers nothing but zeros for so long from the start is muted, or this program may not hear it."""
POLL_S = 0.2

Tell = Callable[[str], None]


class Microphone:
    """One microphone, from now on."""

    def __init__(self, device: str | None, tell: Tell, gone_after_s: float = GONE_AFTER_S, retry_s: float = RETRY_S):
        """Opens it; `device` is a number, a name or part of one, None the system's default.

        `tell` hears of everything the user should know. Raises MicrophoneError.
        """
        self._wanted, self._tell = device, tell
        self._gone_after_s, self._retry_s = gone_after_s, retry_s
        self.lost_samples = 0
        """At 16 kHz, left out so far because the detector fell behind."""
        self._zero_samples: int | None = 0
        self.device = chosen(device, devices())
        self._capture = _Capture(self.device)

    def chunks(self) -> Iterator[Chunk]:
        """Without end, until it is closed."""
        cut: int | None = None
        while True:
            block = self._capture.read(self._gone_after_s)
            if block is None:
                yield Chunk(np.zeros(0, np.float32), lost=0)
                self._wait_for_it()
                continue
            if block.cut:
                cut = self._lost(block)
            samples = self._capture.converted(block)
            self._notice_zeros(samples)
            if samples.size or cut is not None:
                yield Chunk(samples, cut)
            cut = None

    def close(self) -> None:
        """Let the microphone go."""
        self._capture.close()

    def _lost(self, block: "_Block") -> int:
        lost = round(block.lost_frames * SAMPLE_RATE / self._capture.format.rate_hz)
        self.lost_samples += lost
        known = f"{lost / SAMPLE_RATE:.2f} s of audio are" if lost else "some audio is"
        self._tell(f"listening fell behind: {known} lost ({self.lost_samples / SAMPLE_RATE:.2f} s so far)")
        return lost

    def _notice_zeros(self, samples: Samples) -> None:
        """Say once that nothing is heard; None means that there is nothing to notice any more."""
        if self._zero_samples is None:
            return
        self._zero_samples = None if samples.any() else self._zero_samples + samples.size
        if self._zero_samples is not None and self._zero_samples >= ZEROS_S * SAMPLE_RATE:
            self._zero_samples = None
            self._tell(
                f"microphone {self.device.name!r} delivers nothing but zeros: is it muted, or is this program not "
                "allowed to use it (the system's privacy settings)?"
            )

    def _wait_for_it(self) -> None:
        """Until it is there again; the clock stands still."""
        self.close()
        self._tell(f"microphone {self.device.name!r} is gone; waiting for it to come back")
        while True:
            time.sleep(self._retry_s)
            try:
                look_again()
                self.device = self._found_again()
                self._capture = _Capture(self.device)
                break
            except MicrophoneError:
                continue  # not there yet, or still busy
        self._tell(f"listening again to microphone {self.device.name!r}")

    def _found_again(self) -> Device:
        """The same one, whose number may have changed; where none was asked for, the default of now."""
        if self._wanted is None:
            return chosen(None, devices())
        same = [each for each in devices() if (each.name, each.host) == (self.device.name, self.device.host)]
        return chosen(self.device.name, same)


@dataclass(frozen=True)
class _Block:
    samples: NDArray[np.int16]
    """Shape (frames, channels)."""
    cut: bool
    """Audio is missing just before it …"""
    lost_frames: int
    """… so much of it, where that is known."""


class _Capture:
    """A microphone while it stays open."""

    def __init__(self, device: Device) -> None:
        self._queue: queue.Queue[_Block] = queue.Queue(round(QUEUE_S / BLOCK_S))
        self._full, self._cut, self._lost_frames = False, False, 0
        self._stream, self.format = opened(device, self._take)
        self._resampler = self._new_resampler()

    def read(self, gone_after_s: float) -> _Block | None:
        """The next block, or None when there was none for so long or the stream has ended."""
        waited_s = 0.0
        while True:
            try:
                return self._queue.get(timeout=min(POLL_S, gone_after_s))
            except queue.Empty:
                waited_s += POLL_S
                if waited_s >= gone_after_s or not is_running(self._stream):
                    return None

    def converted(self, block: _Block) -> Samples:
        """The block as mono at 16 kHz, shape (samples,), in a stream without seams from one cut to the next."""
        if block.cut:
            self._resampler = self._new_resampler()
        samples: Samples = block.samples.mean(axis=1, dtype=np.float32) / np.float32(INT16_SCALE)
        if self._resampler is None:
            return samples
        converted: Samples = self._resampler.resample_chunk(samples)
        return converted

    def close(self) -> None:
        """End the stream, whatever state it is in."""
        self._stream.close()

    def _new_resampler(self) -> soxr.ResampleStream | None:
        rate_hz = self.format.rate_hz
        return None if rate_hz == SAMPLE_RATE else soxr.ResampleStream(rate_hz, SAMPLE_RATE, 1, dtype="float32")

    def _take(self, block: NDArray[np.int16], frames: int, times: Any, status: Any) -> None:
        """Called by PortAudio's thread: must not wait."""
        self._cut = self._cut or bool(status.input_overflow)
        self._full = self._queue.full() or (self._full and not self._queue.empty())
        if self._full:
            self._cut, self._lost_frames = True, self._lost_frames + frames
            return
        self._queue.put_nowait(_Block(block.copy(), self._cut, self._lost_frames))
        self._cut, self._lost_frames = False, 0
