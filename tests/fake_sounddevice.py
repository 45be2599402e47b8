"""A stand-in for `sounddevice` that behaves as PortAudio does, for machines without a microphone.

Devices are seen as they were when PortAudio was started. A stream calls back from a thread of its own with blocks whose
memory is used again; it knows some rates and numbers of channels; it can be busy, and it can be unplugged, after which
the callbacks stop, with or without the stream noticing.
"""

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOSTS = ("ALSA", "JACK")


class PortAudioError(Exception):
    """As sounddevice's: what was being done and what happened, then PortAudio's code."""


@dataclass(eq=False)
class Plug:
    """A microphone of the machine."""

    name: str
    sound: NDArray[np.int16] = field(default_factory=lambda: np.zeros((0, 1), np.int16))
    """What it hears, shape (frames, channels); then it hears nothing."""
    rate_hz: int = 48_000
    rates_hz: tuple[int, ...] = (16_000, 48_000)
    channels: tuple[int, ...] = (1,)
    host: int = 0
    busy: bool = False
    block_pause_s: float = 0.0005
    quiet_end: bool = True
    """After its sound it delivers zeros; otherwise it is unplugged then."""
    stream_notices: bool = True
    """Whether a stream of it becomes inactive when it is unplugged."""
    overflow_at: int | None = None
    """The block before which the driver lost audio."""
    plugged: bool = True
    heard: int = 0
    """Frames delivered."""


class FakeSoundDevice:
    """To be put in place of the module."""

    PortAudioError = PortAudioError

    def __init__(self, *plugs: Plug, default: int = 0) -> None:
        self.plugs = list(plugs)
        self.default = SimpleNamespace(device=[default, -1])
        self.opened: list[Stream] = []
        self._initialize()

    def _initialize(self) -> None:
        self._known = [plug for plug in self.plugs if plug.plugged]

    def _terminate(self) -> None:
        assert all(stream.closed for stream in self.opened), "a stream is open while PortAudio is ended"

    def query_devices(self) -> list[dict[str, Any]]:
        """Outputs too, as the real one."""
        microphones = [
            {
                "name": plug.name,
                "hostapi": plug.host,
                "max_input_channels": max(plug.channels),
                "default_samplerate": float(plug.rate_hz),
            }
            for plug in self._known
        ]
        speaker = {"name": "speaker", "hostapi": 0, "max_input_channels": 0, "default_samplerate": 48000.0}
        return [*microphones, speaker]

    def query_hostapis(self) -> list[dict[str, Any]]:
        """Names alone."""
        return [{"name": name} for name in HOSTS]

    def InputStream(self, **asked: Any) -> "Stream":
        """A stopped stream. Raises PortAudioError as PortAudio does."""
        plug = self._known[asked["device"]]
        if plug.busy or not plug.plugged:
            raise PortAudioError("Error opening InputStream: Device unavailable [PaErrorCode -9985]", -9985)
        if asked["channels"] not in plug.channels:
            raise PortAudioError("Error opening InputStream: Invalid number of channels [PaErrorCode -9998]", -9998)
        if asked["samplerate"] not in plug.rates_hz:
            raise PortAudioError("Error opening InputStream: Invalid sample rate [PaErrorCode -9997]", -9997)
        assert asked["dtype"] == "int16"
        self.opened.append(Stream(plug, **asked))
        return self.opened[-1]


class Stream:
    """Calls back from a thread, until it is closed or its microphone unplugged."""

    def __init__(self, plug: Plug, *, samplerate: int, channels: int, blocksize: int, callback: Any, **_: Any) -> None:
        self.plug, self.channels, self.blocksize, self.callback = plug, channels, blocksize, callback
        self.samplerate = samplerate
        self.closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to call back."""
        self._thread.start()

    @property
    def active(self) -> bool:
        """As PortAudio sees it."""
        return not self.closed and (self.plug.plugged or not self.plug.stream_notices)

    def close(self) -> None:
        """No callback comes after it."""
        self.closed = True
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        memory = np.zeros((self.blocksize, self.channels), np.int16)
        number = 0
        while not self.closed and self.plug.plugged:
            sound = self.plug.sound[self.plug.heard : self.plug.heard + self.blocksize]
            if not len(sound) and not self.plug.quiet_end:
                self.plug.plugged = False
                return
            memory[:] = 0
            memory[: len(sound)] = sound
            self.plug.heard += len(sound)
            self.callback(memory, self.blocksize, None, SimpleNamespace(input_overflow=number == self.plug.overflow_at))
            memory[:] = -1
            number += 1
            time.sleep(self.plug.block_pause_s)
