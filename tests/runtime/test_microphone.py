import time
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from fake_sounddevice import Plug
from uyan.audio import SAMPLE_RATE
from uyan.errors import MicrophoneError
from uyan.runtime.devices import BLOCK_S
from uyan.runtime.listener import Chunk
from uyan.runtime.microphone import QUEUE_S, Microphone

BLOCK = round(BLOCK_S * SAMPLE_RATE)
QUEUED = round(QUEUE_S / BLOCK_S)
RETRY_S = 0.123


@pytest.fixture
def told() -> list[str]:
    return []


def mono(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.round(sound * 32767).astype(np.int16)[:, None]
    return pcm


def collected(chunks: Iterator[Chunk], size: int) -> tuple[NDArray[np.float32], list[int]]:
    """So many samples, and what the cuts among them lost."""
    parts, cuts = [np.zeros(0, np.float32)], []
    while sum(part.size for part in parts) < size:
        chunk = next(chunks)
        parts.append(np.asarray(chunk.samples, np.float32))
        if chunk.lost is not None:
            cuts.append(chunk.lost)
    return np.concatenate(parts)[:size], cuts


def test_every_sample_arrives_in_order(plug_in: Any, changing_sound: Any, told: list[str]) -> None:
    sound = mono(changing_sound(5.0))
    plug_in(Plug("usb", sound))
    microphone = Microphone(None, told.append)
    samples, cuts = collected(microphone.chunks(), len(sound))
    microphone.close()
    assert samples.tolist() == (sound[:, 0] / np.float32(32768)).tolist()
    assert (cuts, told, microphone.lost_samples) == ([], [], 0)


def test_another_rate_and_two_channels_become_16_khz_mono_without_a_seam(
    plug_in: Any, changing_sound: Any, told: list[str]
) -> None:
    at_16k = changing_sound(5.0)
    left = mono(soxr.resample(at_16k, SAMPLE_RATE, 48_000))
    stereo = np.concatenate([left, left // 2], axis=1)
    plug_in(Plug("studio", stereo, rates_hz=(48_000,), channels=(2,)))
    microphone = Microphone("studio", told.append)
    samples, cuts = collected(microphone.chunks(), at_16k.size)
    microphone.close()
    expected = soxr.resample(stereo.mean(axis=1).astype(np.float32) / 32768, 48_000, SAMPLE_RATE)
    assert samples == pytest.approx(expected, abs=2e-5)
    assert (cuts, told) == ([], [])


def test_a_detector_that_falls_behind_costs_one_gap_counted_in_samples(plug_in: Any, told: list[str]) -> None:
    """The sound counts its own blocks, so that what is missing shows."""
    blocks = 5 * QUEUED
    sound = np.repeat(np.arange(1, blocks + 1, dtype=np.int16), BLOCK)[:, None]
    plug = Plug("fast", sound, block_pause_s=0.0)
    plug_in(plug)
    microphone = Microphone(None, told.append)
    while plug.heard < 2 * QUEUED * BLOCK:
        time.sleep(0.001)
    chunks = microphone.chunks()
    heard: list[int] = []
    lost: list[int] = []
    for chunk in takewhile(lambda chunk: chunk.samples.any(), chunks):
        heard.append(round(float(chunk.samples[0]) * 32768))
        if chunk.lost is not None:
            lost.append(chunk.lost)
            assert heard[-1] - heard[-2] - 1 == chunk.lost // BLOCK
    microphone.close()
    assert heard[:QUEUED] == list(range(1, QUEUED + 1))
    assert lost
    assert lost[0] >= QUEUED * BLOCK
    assert len(told) >= len(lost)
    assert f"listening fell behind: {lost[0] / SAMPLE_RATE:.2f} s of audio are lost" in told[0]
    assert microphone.lost_samples >= sum(lost)


def test_what_the_driver_lost_is_a_cut_of_unknown_length(plug_in: Any, told: list[str], changing_sound: Any) -> None:
    plug_in(Plug("usb", mono(changing_sound(1.0)), overflow_at=7))
    microphone = Microphone(None, told.append)
    chunks = [next(chunk_source) for chunk_source in [microphone.chunks()] for _ in range(12)]
    microphone.close()
    assert [chunk.lost for chunk in chunks] == [None] * 7 + [0] + [None] * 4
    assert told == ["listening fell behind: some audio is lost (0.00 s so far)"]


@pytest.mark.parametrize("stream_notices", [True, False])
def test_an_unplugged_microphone_is_waited_for_by_its_name(
    plug_in: Any, told: list[str], changing_sound: Any, stream_notices: bool
) -> None:
    first, second = (mono(changing_sound(1.0, seed=seed)) for seed in (1, 2))
    plug = Plug("Jabra", first, quiet_end=False, stream_notices=stream_notices)
    fake = plug_in(Plug("built in"), plug, default=0)
    microphone = Microphone("1", told.append, gone_after_s=1.0, retry_s=0.001)
    chunks = microphone.chunks()
    assert collected(chunks, len(first))[1] == []
    broken = next(chunks)
    assert (broken.samples.size, broken.lost) == (0, 0)

    # Replugged, it has another number; another microphone of a longer name has come too.
    again = Plug("Jabra", second)
    fake.plugs = [Plug("Jabra dock"), Plug("built in"), again]
    samples, cuts = collected(chunks, len(second))
    microphone.close()
    assert samples.tolist() == (second[:, 0] / np.float32(32768)).tolist()
    assert cuts == []
    assert microphone.device.number == 2
    assert told == ["microphone 'Jabra' is gone; waiting for it to come back", "listening again to microphone 'Jabra'"]


def test_while_none_is_there_it_goes_on_looking(
    plug_in: Any, told: list[str], changing_sound: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = mono(changing_sound(0.5))
    fake = plug_in(Plug("usb", sound, quiet_end=False))
    microphone = Microphone(None, told.append, retry_s=RETRY_S)
    chunks = microphone.chunks()
    collected(chunks, len(sound))
    waits: list[float] = []
    sleep = time.sleep

    def wait(seconds: float) -> None:
        if seconds != RETRY_S:
            return sleep(seconds)
        waits.append(seconds)
        if len(waits) == 3:
            fake.plugs = [Plug("taken", busy=True)]
        if len(waits) == 5:
            fake.plugs = [Plug("other", sound)]
        return None

    monkeypatch.setattr("uyan.runtime.microphone.time.sleep", wait)
    assert next(chunks).lost == 0
    assert next(chunks).samples.size
    monkeypatch.undo()
    microphone.close()
    assert len(waits) == 5
    assert told[-1] == "listening again to microphone 'other'"
    assert len(told) == 2


def test_no_microphone_or_a_busy_one_is_an_error_at_once(plug_in: Any, told: list[str]) -> None:
    plug_in()
    with pytest.raises(MicrophoneError, match="no microphone"):
        Microphone(None, told.append)
    plug_in(Plug("taken", busy=True))
    with pytest.raises(MicrophoneError, match="busy"):
        Microphone(None, told.append)
    assert told == []


def test_nothing_but_zeros_is_said_once_and_one_sound_is_enough(plug_in: Any, told: list[str]) -> None:
    plug_in(Plug("muted"))
    microphone = Microphone(None, told.append)
    collected(microphone.chunks(), 5 * SAMPLE_RATE)
    microphone.close()
    assert len(told) == 1
    assert "'muted' delivers nothing but zeros: is it muted" in told[0]

    plug_in(Plug("quiet room", np.array([[1]], np.int16)))
    microphone = Microphone(None, told.append)
    collected(microphone.chunks(), 5 * SAMPLE_RATE)
    microphone.close()
    assert len(told) == 1
