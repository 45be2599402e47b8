"""Microphones by name and number, a stream of one, and the loudspeaker, through PortAudio (`sounddevice`, extra `mic`).

Whatever PortAudio says becomes a MicrophoneError that says how to mend it. It knows nothing of detectors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.errors import MicrophoneError

BLOCK_S = 0.05
"""Audio comes in blocks of this length."""
DEVICE_UNAVAILABLE = -9985
"""PortAudio's code for a device that is in use or gone."""

Callback = Callable[[Any, int, Any, Any], None]
"""sounddevice's: block (frames, channels), frames, times, status."""


@dataclass(frozen=True)
class Device:
    """A microphone, as PortAudio describes it."""

    number: int
    name: str
    host: str
    """The system's interface it is reached by: ALSA, Core Audio, WASAPI …"""
    channels: int
    rate_hz: int
    """Its own."""
    default: bool


@dataclass(frozen=True)
class Format:
    """How a microphone was opened."""

    rate_hz: int
    channels: int


def devices() -> list[Device]:
    """All microphones, maybe none. Raises MicrophoneError where PortAudio is missing or does not work."""
    library = portaudio()
    try:
        default = library.default.device[0]
        hosts = [host["name"] for host in library.query_hostapis()]
        return [
            Device(
                number,
                str(each["name"]),
                str(hosts[each["hostapi"]]),
                int(each["max_input_channels"]),
                round(each["default_samplerate"]),
                number == default,
            )
            for number, each in enumerate(library.query_devices())
            if each["max_input_channels"] > 0
        ]
    except library.PortAudioError as reason:
        raise MicrophoneError(f"the microphones cannot be listed ({reason.args[0]})") from reason


def chosen(wanted: str | None, found: Sequence[Device]) -> Device:
    """The microphone of that number, name or part of a name; None means the system's default.

    Raises MicrophoneError, which names those there are, where it is none of them or could be several.
    """
    if not found:
        raise MicrophoneError("there is no microphone; connect one, or give audio files to hear")
    if wanted is None:
        return next((each for each in found if each.default), found[0])
    matching = (
        [each for each in found if str(each.number) == wanted],
        [each for each in found if each.name == wanted],
        [each for each in found if wanted.casefold() in each.name.casefold()],
    )
    fits = next((each for each in matching if each), [])
    if len(fits) == 1:
        return fits[0]
    problem = f"{len(fits)} microphones are called" if fits else "no microphone is called"
    there = "; ".join(f"{each.number}: {each.name} ({each.host})" for each in fits or found)
    raise MicrophoneError(f"{problem} {wanted!r}; choose by number with --device: {there}")


def opened(device: Device, callback: Callback) -> tuple[Any, Format]:
    """A started stream of int16 blocks, at 16 kHz mono where the microphone can, else at what it can.

    Raises MicrophoneError where it is busy, gone, or refuses every format.
    """
    library = portaudio()
    said = ""
    for form in _formats(device):
        stream = None
        try:
            stream = library.InputStream(
                device=device.number,
                samplerate=form.rate_hz,
                channels=form.channels,
                dtype="int16",
                blocksize=round(form.rate_hz * BLOCK_S),
                callback=callback,
            )
            stream.start()
            return stream, form
        except library.PortAudioError as reason:
            if stream is not None:
                stream.close()
            said = str(reason.args[0])
            if DEVICE_UNAVAILABLE in reason.args[1:2]:
                raise MicrophoneError(
                    f"microphone {device.name!r} is busy or gone ({said}); close the program that uses it, or choose "
                    "another one (--list-devices)"
                ) from reason
    raise MicrophoneError(
        f"microphone {device.name!r} cannot be opened at {SAMPLE_RATE} Hz nor at its own {device.rate_hz} Hz "
        f"({said}); choose another one (--list-devices), or allow this program to use it in the system's settings"
    )


def play_file(path: Path) -> None:
    """An audio file through the system's loudspeaker, until its end.

    Raises AudioError where it cannot be decoded, MicrophoneError where there is nothing to play it on.
    """
    samples, library = read(path), portaudio()
    try:
        library.play(samples, SAMPLE_RATE, blocking=True)
    except library.PortAudioError as reason:
        raise MicrophoneError(f"there is no loudspeaker that works ({reason.args[0]})") from reason


def is_running(stream: Any) -> bool:
    """Whether PortAudio still takes the stream for one that delivers."""
    try:
        return bool(stream.active)
    except portaudio().PortAudioError:
        return False


def look_again() -> None:
    """Have PortAudio look for devices anew: it does so only when it starts. No stream may be open."""
    library = portaudio()
    try:
        library._terminate()
        library._initialize()
    except library.PortAudioError as reason:
        raise MicrophoneError(f"the microphones cannot be listed ({reason.args[0]})") from reason


def portaudio() -> Any:
    """The `sounddevice` module. Raises MicrophoneError where it or its library is missing."""
    try:
        import sounddevice
    except ModuleNotFoundError as reason:
        raise MicrophoneError("microphones need one package more: pip install 'uyan[mic]'") from reason
    except OSError as reason:
        raise MicrophoneError(
            f"{reason}: install PortAudio, for example by apt install libportaudio2, dnf install portaudio or "
            "brew install portaudio"
        ) from reason
    return sounddevice


def _formats(device: Device) -> Iterator[Format]:
    """What to try, the best first, each once."""
    wanted = [
        Format(SAMPLE_RATE, 1),
        Format(device.rate_hz, 1),
        Format(device.rate_hz, device.channels),
        Format(SAMPLE_RATE, device.channels),
    ]
    yield from dict.fromkeys(wanted)
