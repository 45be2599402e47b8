"""Rooms, microphones, rails and telephones do to tones and impulses what physics says, and never move a word."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import signal

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.waveform import (
    TELEPHONE_TAPS,
    change_level,
    clip,
    gsm_like,
    mu_law,
    reverberate,
    through_microphone,
    through_telephone,
)
from uyan.errors import AudioError

Tone = Callable[..., NDArray[np.float32]]


def level_db(samples: Samples, reference: Samples) -> float:
    """Level of the middle half of one against the other's."""
    middle = slice(samples.size // 4, -samples.size // 4)
    powers = [float(np.mean(np.square(s[middle], dtype=np.float64))) for s in (samples, reference)]
    return float(10 * np.log10(powers[0] / powers[1]))


def noise(count: int, amplitude: float = 0.3, seed: int = 3) -> Samples:
    return (amplitude * np.random.default_rng(seed).uniform(-1, 1, count)).astype(np.float32)


@given(count=st.integers(1, 900), taps=st.integers(1, 700), seed=st.integers(0, 99))
def test_reverberation_is_convolution_from_the_direct_path_on(count: int, taps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, response = noise(count, seed=seed), (rng.normal(size=taps) * 0.99 ** np.arange(taps)).astype(np.float32)
    direct = next(i for i, tap in enumerate(np.abs(response)) if tap >= np.abs(response).max() / 4)
    unit = response.astype(np.float64) / np.linalg.norm(response)
    expected = np.convolve(samples.astype(np.float64), unit)[direct : direct + count]
    np.testing.assert_allclose(reverberate(samples, response)[: expected.size], expected, atol=3e-6)
    assert reverberate(samples, response).shape == (count,)


@pytest.mark.parametrize("delay", [0, 1, 250])
@pytest.mark.parametrize("height", [1.0, -0.01, 30.0])
def test_an_impulse_leaves_the_sound_as_it_was_however_late_and_loud(delay: int, height: float) -> None:
    response = np.zeros(400, np.float32)
    response[delay] = height
    samples = noise(5000)
    np.testing.assert_allclose(reverberate(samples, response), np.sign(height) * samples, atol=1e-6)


def test_a_room_keeps_the_level_of_noise_and_the_place_of_a_click(rng: np.random.Generator) -> None:
    response = (rng.normal(size=6000) * np.exp(-np.arange(6000) / 1500)).astype(np.float32)
    response[:300] *= 0.01  # the sound on its way
    response[300] = 4.0
    samples = noise(10 * SAMPLE_RATE)
    assert abs(level_db(reverberate(samples, response), samples)) < 0.3
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[7000] = 1.0
    assert np.abs(reverberate(click, response)).argmax() == 7000


def test_the_direct_path_is_the_first_arrival_even_where_a_reflection_is_louder() -> None:
    response = np.zeros(900, np.float32)
    response[[100, 200, 600]] = 0.1, 0.5, 1.0  # 0.1 is 20 dB down: what leaks before the sound
    click = np.zeros(2000, np.float32)
    click[1000] = 1.0
    assert np.flatnonzero(np.abs(reverberate(click, response)) > 0.2).tolist() == [1000, 1400]


def test_a_silent_response_is_refused() -> None:
    with pytest.raises(AudioError, match="nothing but zeros"):
        reverberate(noise(100), np.zeros(50, np.float32))


@pytest.mark.parametrize(("response_db", "seed"), [(0.0, 1), (8.0, 1), (8.0, 2), (20.0, 3)])
def test_a_microphones_response_stays_within_its_bounds_and_has_no_delay(response_db: float, seed: int) -> None:
    click = np.zeros(2048, np.float32)
    click[1024] = 1.0
    heard = through_microphone(click, response_db, np.random.default_rng(seed))
    bins_db = 20 * np.log10(np.abs(np.fft.rfft(heard)))
    assert np.abs(bins_db).max() <= response_db + 0.05
    assert np.ptp(bins_db) >= 0.5 * response_db  # and it is a response
    assert np.abs(np.diff(bins_db)).max() < 0.1 * response_db + 1e-3  # a smooth one: per 8 Hz
    np.testing.assert_allclose(heard[1:], heard[1:][::-1], atol=1e-6)  # about 1024: linear phase, no delay


def test_a_microphone_is_a_function_of_its_generator() -> None:
    one, same, other = (through_microphone(noise(900), 8.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_clipping_makes_flat_tops_at_full_scale(tone: Tone) -> None:
    quiet = tone(100.0, amplitude=0.05)
    clipped = clip(quiet, 6.0206)  # twice: a sine stands above half its peak for two thirds of the time
    assert np.abs(clipped).max() == 1.0
    assert np.mean(np.abs(clipped) == 1.0) == pytest.approx(2 / 3, abs=0.01)
    np.testing.assert_allclose(clip(quiet, 0.0), 20 * quiet, rtol=1e-4)
    inside = np.abs(clipped) < 1.0
    np.testing.assert_allclose(clipped[inside], 40 * quiet[inside], rtol=1e-4)


@given(samples=arrays(np.float32, 64, elements=st.floats(-1, 1, width=32)), drive_db=st.floats(0, 30))
def test_clipping_never_leaves_the_rails_or_turns_the_sign(samples: Samples, drive_db: float) -> None:
    clipped = clip(samples, drive_db)
    assert clipped.dtype == np.float32 and np.isfinite(clipped).all()
    assert np.abs(clipped).max() == (1.0 if samples.any() else 0.0)
    assert (clipped * np.sign(samples) >= 0).all()


def test_gain_is_in_decibels() -> None:
    assert level_db(change_level(noise(1000), -7.5), noise(1000)) == pytest.approx(-7.5, abs=1e-4)


@pytest.mark.parametrize("codec", ["mu-law", "gsm"])
@pytest.mark.parametrize(
    ("frequency_hz", "lowest_db", "highest_db"),
    [
        (50, -300, -26),
        (100, -300, -26),
        (400, -1.5, 1.5),
        (1000, -1, 1),
        (3200, -1.5, 1.5),
        (3900, -300, -26),
        (6000, -300, -60),
    ],
)
def test_a_telephone_hears_300_to_3400_hz(
    tone: Tone, codec: str, frequency_hz: float, lowest_db: float, highest_db: float
) -> None:
    mixed = tone(1000.0, amplitude=0.3) + tone(frequency_hz, amplitude=0.3)
    heard = through_telephone(mixed, codec)
    times_s = np.arange(4000, 12000) / SAMPLE_RATE
    carrier = np.exp(-2j * np.pi * frequency_hz * times_s)
    shares = [np.abs(np.mean(s[4000:12000] * carrier)) for s in (heard, mixed)]
    assert lowest_db <= 20 * np.log10(shares[0] / shares[1] + 1e-12) <= highest_db


@pytest.mark.parametrize("codec", ["mu-law", "gsm"])
def test_a_telephone_does_not_move_speech(word: Callable[..., Samples], codec: str) -> None:
    spoken = word(4)
    heard = through_telephone(spoken, codec)
    lags = signal.correlation_lags(heard.size, spoken.size)
    assert lags[np.argmax(signal.correlate(heard, spoken))] == 0


@pytest.mark.parametrize(("codec", "lowest_db", "highest_db"), [("mu-law", 34, 42), ("gsm", 10, 20)])
def test_a_codecs_noise_is_of_its_kind(
    word: Callable[..., Samples], codec: str, lowest_db: float, highest_db: float
) -> None:
    band = signal.firwin(TELEPHONE_TAPS, (300, 3400), pass_zero=False, fs=8000)
    line = signal.oaconvolve(word(4)[::2], band).astype(np.float32)
    error = (mu_law if codec == "mu-law" else gsm_like)(line) - line
    assert lowest_db < 10 * np.log10(np.square(line).sum() / np.square(error).sum()) < highest_db


def test_too_loud_for_a_telephone_is_turned_down_not_cut_off(tone: Tone) -> None:
    heard = through_telephone(tone(1000.0, amplitude=5.0), "mu-law")[2000:-2000]
    assert np.abs(heard).max() == pytest.approx(1.0, abs=0.05)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert spectrum[round(3000 * heard.size / SAMPLE_RATE)] < 0.01 * spectrum.max()


def test_mu_law_has_known_steps() -> None:
    steps = np.arange(-127, 128)
    levels = (np.sign(steps) * (256.0 ** (np.abs(steps) / 127) - 1) / 255).astype(np.float32)
    np.testing.assert_allclose(mu_law(levels), levels, rtol=2e-5)  # its own levels come back
    assert levels[127 + 64] == pytest.approx(0.06020, abs=1e-5)  # half the steps lie below 6 % of full scale
    every = np.linspace(-1, 1, 20_001, dtype=np.float32)
    assert np.unique(mu_law(every)).size == 255
    # ln 256 / 127 from step to step, of which half is lost at most.
    assert (np.abs(mu_law(every) - every) <= 0.0224 * (np.abs(every) + 1 / 255)).all()


def test_gsm_like_has_eight_levels_in_a_block(rng: np.random.Generator) -> None:
    line = rng.uniform(-0.3, 0.3, 400).astype(np.float32)
    emphasised = signal.lfilter([1.0, -28_180 / 32_768], [1.0], gsm_like(line).astype(np.float64))
    for block in emphasised.reshape(-1, 40):
        assert np.unique(block.round(5)).size <= 8


def everything(samples: Samples, seed: int) -> dict[str, Samples]:
    rng = np.random.default_rng(seed)
    response = rng.normal(size=200).astype(np.float32)
    return {
        "room": reverberate(samples, response),
        "microphone": through_microphone(samples, 8.0, rng),
        "clip": clip(samples, 12.0),
        "gain": change_level(samples, 10.0),
        "mu-law": through_telephone(samples, "mu-law"),
        "gsm": through_telephone(samples, "gsm"),
    }


@settings(max_examples=40)
@given(count=st.integers(0, 900), amplitude=st.sampled_from([0.0, 1e-5, 0.1, 1.0]), seed=st.integers(0, 99))
def test_whatever_comes_in_as_much_comes_out_finite_and_of_sane_level(count: int, amplitude: float, seed: int) -> None:
    samples = np.sign(noise(count, seed=seed)) * np.float32(amplitude)  # full-scale noise of two values
    for name, heard in everything(samples, seed).items():
        assert (heard.shape, heard.dtype) == ((count,), np.float32), name
        assert np.isfinite(heard).all(), name
        assert np.abs(heard).max(initial=0.0) <= max(1.0, 16 * amplitude), name
        if not amplitude:
            assert not heard.any(), name
