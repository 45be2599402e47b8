import builtins
import sys
from typing import Any

import numpy as np
import pytest

from fake_sounddevice import FakeSoundDevice, Plug, PortAudioError
from uyan.errors import AudioError, MicrophoneError, UyanError
from uyan.runtime.devices import Device, Format, chosen, devices, is_running, look_again, opened, play_file

BUILT_IN = Device(0, "Built-in Audio", "ALSA", 2, 44_100, default=False)
JABRA = Device(3, "Jabra Speak 510", "ALSA", 1, 16_000, default=True)
JABRA_JACK = Device(5, "Jabra Speak 510 USB", "JACK", 1, 16_000, default=False)
ALL = [BUILT_IN, JABRA, JABRA_JACK]


def nothing(*_: Any) -> None:
    """Hears and forgets."""


def test_microphones_are_listed_and_speakers_are_not(plug_in: Any) -> None:
    plug_in(Plug("built in", channels=(1, 2), rate_hz=44_100), Plug("usb", host=1), default=1)
    assert devices() == [
        Device(0, "built in", "ALSA", 2, 44_100, default=False),
        Device(1, "usb", "JACK", 1, 48_000, default=True),
    ]


@pytest.mark.parametrize(
    ("wanted", "device"),
    [(None, JABRA), ("0", BUILT_IN), ("5", JABRA_JACK), ("Jabra Speak 510", JABRA), ("built", BUILT_IN)],
)
def test_a_microphone_is_chosen_by_number_name_or_part_of_a_name(wanted: str | None, device: Device) -> None:
    assert chosen(wanted, ALL) == device


def test_without_a_default_the_first_is_taken() -> None:
    assert chosen(None, [BUILT_IN, JABRA_JACK]) == BUILT_IN


def test_a_name_that_fits_none_or_several_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(
        MicrophoneError, match=r"no microphone is called 'webcam'.*0: Built-in Audio \(ALSA\); 3: Jabra"
    ):
        chosen("webcam", ALL)
    with pytest.raises(MicrophoneError, match=r"2 microphones are called 'jabra'.*3: Jabra.*5: Jabra"):
        chosen("jabra", ALL)
    with pytest.raises(MicrophoneError, match="no microphone; connect one"):
        chosen(None, [])


@pytest.mark.parametrize(
    ("plug", "form"),
    [
        (Plug("mono at any rate"), Format(16_000, 1)),
        (Plug("its own rate", rates_hz=(48_000,)), Format(48_000, 1)),
        (Plug("its own rate in stereo", rates_hz=(48_000,), channels=(2,)), Format(48_000, 2)),
        (Plug("stereo at any rate", rates_hz=(16_000,), channels=(2,)), Format(16_000, 2)),
    ],
)
def test_it_opens_at_16_khz_mono_or_at_what_it_can(plug_in: Any, plug: Plug, form: Format) -> None:
    plug_in(plug)
    stream, found = opened(devices()[0], nothing)
    stream.close()
    assert found == form
    assert (stream.samplerate, stream.channels, stream.blocksize) == (form.rate_hz, form.channels, form.rate_hz // 20)


def test_what_portaudio_refuses_is_said_in_words(plug_in: Any) -> None:
    plug_in(Plug("odd", rate_hz=48_000, rates_hz=(96_000,)), Plug("taken", busy=True))
    odd, taken = devices()
    with pytest.raises(MicrophoneError, match=r"'odd' cannot be opened at 16000 Hz nor at its own 48000 Hz .*rate"):
        opened(odd, nothing)
    with pytest.raises(MicrophoneError, match=r"'taken' is busy or gone .*close the program that uses it"):
        opened(taken, nothing)


def test_a_stream_that_does_not_start_is_closed(plug_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = plug_in(Plug("broken"))

    def refuse(stream: Any) -> None:
        raise PortAudioError("Error starting stream: Unanticipated host error", -9999, (0, -5, "Input/output error"))

    monkeypatch.setattr("fake_sounddevice.Stream.start", refuse)
    with pytest.raises(MicrophoneError, match="'broken' cannot be opened"):
        opened(devices()[0], nothing)
    assert fake.opened
    assert all(stream.closed for stream in fake.opened)


def test_a_system_that_cannot_list_devices_is_said_in_words(plug_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fake: FakeSoundDevice) -> None:
        raise PortAudioError("Error querying host API: PortAudio not initialized", -10000)

    plug_in()
    monkeypatch.setattr(FakeSoundDevice, "query_hostapis", broken)
    with pytest.raises(MicrophoneError, match=r"cannot be listed .*not initialized"):
        devices()


def test_portaudio_that_does_not_start_again_is_said_in_words(plug_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise PortAudioError("Error initializing PortAudio: Host API not found", -9979)

    monkeypatch.setattr(plug_in(), "_initialize", broken)
    with pytest.raises(MicrophoneError, match=r"cannot be listed .*Host API not found"):
        look_again()


def test_a_stream_that_portaudio_does_not_know_any_more_does_not_run(plug_in: Any) -> None:
    class Lost:
        @property
        def active(self) -> bool:
            raise PortAudioError("Error: Invalid stream pointer", -9988)

    plug_in()
    assert not is_running(Lost())


def test_a_file_is_played_to_its_end(plug_in: Any, write_recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[int, int, bool]] = []
    fake = plug_in()
    file = write_recording("a.wav", 0.5)
    monkeypatch.setattr(
        fake, "play", lambda samples, rate_hz, blocking: played.append((samples.size, rate_hz, blocking)), raising=False
    )
    play_file(file)
    assert played == [(8000, 16_000, True)]

    def silent(*_: Any, **__: Any) -> None:
        raise PortAudioError("Error querying device -1", -1)

    monkeypatch.setattr(fake, "play", silent)
    with pytest.raises(MicrophoneError, match="no loudspeaker that works"):
        play_file(file)
    with pytest.raises(AudioError, match=r"none\.wav"):
        play_file(file.with_name("none.wav"))


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ModuleNotFoundError("No module named 'sounddevice'", name="sounddevice"), r"pip install 'uyan\[mic\]'"),
        (OSError("PortAudio library not found"), "PortAudio library not found: .*apt install libportaudio2"),
    ],
)
def test_a_missing_package_or_library_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name == "sounddevice":
            raise raised
        return real(name, *arguments)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MicrophoneError, match=said):
        devices()
    assert issubclass(MicrophoneError, UyanError)


def test_a_block_of_the_fake_is_used_again_as_portaudio_s_is(plug_in: Any) -> None:
    plug_in(Plug("kept", np.ones((800, 1), np.int16)))
    blocks: list[Any] = []
    stream, _ = opened(devices()[0], lambda block, *_: blocks.append(block))
    while not blocks:
        pass
    stream.close()
    assert (blocks[0] == -1).all()
