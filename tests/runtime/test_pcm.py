from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import to_float
from uyan.errors import AudioError
from uyan.runtime.pcm import MAX_CHANNELS, RATES_HZ, WIDTHS_BYTES, PcmConverter, PcmFormat


def encoded(sound: NDArray[Any], width_bytes: int, channels: int = 1) -> bytes:
    """Floats of shape (samples,) as interleaved integers, the same in every channel."""
    integers = np.round(sound.astype(np.float64) * (2 ** (8 * width_bytes - 1) - 1)).astype("<i8")
    frames = np.repeat(integers[:, np.newaxis], channels, axis=1)
    return np.ascontiguousarray(frames).view(np.uint8).reshape(-1, 8)[:, :width_bytes].tobytes()


def converted(pcm_format: PcmFormat, pcm: bytes, frames: int) -> NDArray[np.float32]:
    """In chunks of that many sample frames."""
    converter, step = PcmConverter(pcm_format), frames * pcm_format.frame_bytes
    parts = [to_float(converter.convert(pcm[at : at + step])) for at in range(0, len(pcm), step)]
    return np.concatenate([*parts, converter.rest()])


def test_what_the_detector_takes_passes_bit_for_bit() -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32768, 1000).astype(np.int16)
    converter = PcmConverter(PcmFormat(16_000, 2, 1))
    samples = converter.convert(pcm.tobytes())
    assert samples.dtype == np.int16
    assert np.array_equal(samples, pcm)
    assert converter.rest().size == 0


@pytest.mark.parametrize("width_bytes", WIDTHS_BYTES)
@pytest.mark.parametrize("channels", [1, 2, MAX_CHANNELS])
def test_every_width_is_the_same_sound_within_its_own_step(
    changing_sound: Any, width_bytes: int, channels: int
) -> None:
    sound = changing_sound(0.5)
    found = converted(PcmFormat(16_000, width_bytes, channels), encoded(sound, width_bytes, channels), 1280)
    assert np.abs(found - sound).max() <= 2.0 ** (1 - 8 * width_bytes) + 2e-7


def test_channels_are_averaged() -> None:
    pcm = np.array([[100, 300], [-200, -400]], "<i2").tobytes()
    assert PcmConverter(PcmFormat(16_000, 2, 2)).convert(pcm).tolist() == [200 / 32768, -300 / 32768]


@pytest.mark.parametrize("rate_hz", [*RATES_HZ, 8_000, 11_025, 44_100, 48_000])
def test_another_rate_in_chunks_is_that_rate_at_once(tone: Any, rate_hz: int) -> None:
    sound = tone(440.0, 1.0, rate_hz=rate_hz)
    found = converted(PcmFormat(rate_hz, 4, 1), encoded(sound, 4), rate_hz * 80 // 1000)
    assert abs(found.size - 16_000) <= 1
    whole = soxr.resample(sound, rate_hz, 16_000)
    size = min(found.size, whole.size)
    assert np.abs(found[:size] - whole[:size]).max() < 1e-5


@given(st.integers(-(2**40), 2**40), st.integers(-10, 10) | st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_any_format_is_converted_or_refused_in_words(rate_hz: int, width_bytes: int, channels: int) -> None:
    fits = RATES_HZ[0] <= rate_hz <= RATES_HZ[1] and width_bytes in WIDTHS_BYTES and 1 <= channels <= MAX_CHANNELS
    try:
        PcmFormat(rate_hz, width_bytes, channels)
    except AudioError as reason:
        assert not fits
        assert any(str(value) in str(reason) for value in (rate_hz, width_bytes, channels))
    else:
        assert fits


def test_a_part_of_a_sample_is_refused() -> None:
    pcm_format = PcmFormat(16_000, 3, 2)
    assert pcm_format.duration_s(bytes(6 * 16_000)) == 1.0
    with pytest.raises(AudioError, match="7 bytes are no whole number of samples of 6 bytes"):
        pcm_format.duration_s(bytes(7))
