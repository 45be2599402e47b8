"""Devices against what is known of them: pass-bands, levels, decay times, and that a generator decides all of it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.errors import EvaluationError
from uyan.evaluation.devices import (
    DEVICES,
    DIRECT_TO_REVERBERANT_DB,
    FAN_DB,
    GAIN_RANGE_DB,
    GAIN_TARGET_DB,
    RATES_HZ,
    RT60_S,
    Device,
    at_rate,
    automatic_gain,
    fan,
    laptop,
    mic,
    phone,
    response_db,
    small_room,
    through_device,
)

Samples = NDArray[np.float32]
Tone = Callable[..., Samples]
Sound = Callable[..., Samples]
PROBED_HZ = np.array([50, 100, 150, 500, 1000, 2000, 3000, 3900, 4500, 5000, 6000, 8000], np.float64)


def level_db(samples: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean()))


def syllables(amplitude: float, duration_s: float, seed: int = 1) -> Samples:
    """Noise bursts of 150 ms with pauses of 100 ms, as loud as `amplitude` (RMS) while they last."""
    rng = np.random.default_rng(seed)
    size = round(duration_s * SAMPLE_RATE)
    on = np.arange(size) % round(0.25 * SAMPLE_RATE) < round(0.15 * SAMPLE_RATE)
    return (amplitude * on * rng.standard_normal(size)).astype(np.float32)


@pytest.fixture(scope="module")
def responses() -> dict[Device, dict[float, float]]:
    """Device → frequency in Hz → dB, at 16 kHz."""
    return {device: dict(zip(PROBED_HZ.tolist(), response_db(device, PROBED_HZ), strict=True)) for device in DEVICES}


def test_a_phone_carries_300_to_3400_hz(responses: dict[Device, dict[float, float]]) -> None:
    found = responses["phone"]
    assert max(found[hz] for hz in (50, 100, 150, 4500, 6000, 8000)) < -30
    assert max(abs(found[hz]) for hz in (500, 1000, 2000, 3000)) < 1


def test_a_laptop_rolls_off_at_both_ends(responses: dict[Device, dict[float, float]]) -> None:
    """3 dB at the corners; an octave below the lower one 12 dB and more, where the few rooms' own ripple is large."""
    found = responses["laptop"]
    assert max(abs(found[hz]) for hz in (500, 1000, 2000, 3000, 3900)) < 1
    assert found[150] == pytest.approx(-3, abs=1.5) and found[6000] == pytest.approx(-3, abs=1)
    assert found[50] < -12 and found[50] < found[100] - 5
    assert found[8000] < -15


def test_a_microphone_is_flat(responses: dict[Device, dict[float, float]]) -> None:
    assert max(map(abs, responses["mic"].values())) < 1


def test_8_khz_ends_at_4_khz() -> None:
    found = response_db("mic", np.array([1000.0, 3500.0, 5000.0, 8000.0]), 8000)
    assert abs(found[:2]).max() < 1 and found[2:].max() < -50


def test_a_response_outside_the_probe_is_refused() -> None:
    with pytest.raises(EvaluationError, match="from 20 to 8000 Hz"):
        response_db("mic", np.array([10.0, 100.0]))


def test_a_tone_is_kept_or_killed(tone: Tone) -> None:
    """Without the probe: 8 kHz keeps 1 kHz as it is, where it is, and nothing of 6 kHz."""
    kept, killed = at_rate(tone(1000), 8000), at_rate(tone(6000), 8000)
    middle = slice(1600, -1600)
    np.testing.assert_allclose(kept[middle], tone(1000)[middle], atol=1e-3)
    assert level_db(killed[middle]) < -90


def test_16_khz_changes_nothing_and_other_rates_are_refused(tone: Tone) -> None:
    np.testing.assert_array_equal(at_rate(tone(440), SAMPLE_RATE), tone(440))
    with pytest.raises(EvaluationError, match="a rate of 44100 Hz"):
        at_rate(tone(440), 44_100)


def test_a_microphone_leaves_but_a_trace(changing_sound: Sound) -> None:
    """What is not the sound itself, a little louder or softer, lies far below it; quiet stays quiet."""
    sound = changing_sound(4.0)
    for seed in range(5):
        heard = mic(sound, np.random.default_rng(seed))
        gain = float(heard @ sound / (sound @ sound))
        assert abs(20 * np.log10(gain)) < 1
        assert level_db(heard - gain * sound) < level_db(sound) - 18
    assert level_db(mic(np.zeros(16_000, np.float32), np.random.default_rng(0))) == pytest.approx(-80, abs=0.2)


def test_a_phone_knows_both_codecs(changing_sound: Sound) -> None:
    sound = changing_sound(1.0)
    heard = {phone(sound, np.random.default_rng(seed)).tobytes() for seed in range(12)}
    assert len(heard) == 2


@pytest.mark.parametrize("amplitude_db", [-42.0, -35.0, -25.0, -20.0, -10.0, -6.0])
def test_automatic_gain_brings_quiet_and_loud_speech_to_one_level(amplitude_db: float) -> None:
    heard = automatic_gain(syllables(10 ** (amplitude_db / 20), 8.0))
    at_last = heard[-round(2.0 * SAMPLE_RATE) :]
    spoken = at_last[np.abs(at_last) > 0]
    assert level_db(spoken) == pytest.approx(GAIN_TARGET_DB, abs=1.5)


def test_automatic_gain_has_a_limit() -> None:
    still = np.full(10 * SAMPLE_RATE, 10 ** (-60 / 20), np.float32)
    heard = automatic_gain(still)
    assert level_db(heard[:160]) == pytest.approx(-60, abs=0.1)
    assert level_db(heard[-160:]) == pytest.approx(-60 + GAIN_RANGE_DB, abs=0.01)
    one, two = (level_db(heard[at * SAMPLE_RATE :][:160]) for at in (1, 2))
    assert two - one == pytest.approx(6.0, abs=0.01)


@settings(max_examples=40)
@given(st.integers(0, 2000), st.floats(-60, 20), st.integers(0, 99))
def test_automatic_gain_never_clips_nor_flips(size: int, amplitude_db: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = (10 ** (amplitude_db / 20) * rng.standard_normal(size) * (rng.random(size) < 0.3)).astype(np.float32)
    heard = automatic_gain(sound)
    assert heard.shape == sound.shape and heard.dtype == np.float32
    assert np.abs(heard).max(initial=0.0) <= 1
    np.testing.assert_array_equal(np.sign(heard), np.sign(sound))


def test_an_onset_after_a_pause_stays_below_full_scale() -> None:
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(6 * SAMPLE_RATE)
    sound = np.concatenate([quiet, syllables(0.2, 1.0)]).astype(np.float32)
    heard = automatic_gain(sound)
    assert 0.9 < np.abs(heard).max() <= 1
    assert level_db(heard[-4000:-1600]) == pytest.approx(GAIN_TARGET_DB, abs=2)  # the last syllable


def test_the_room_falls_by_60_db_in_its_time(rng: np.random.Generator) -> None:
    """Schroeder's backward integral of the mean of many rooms, its slope between −5 and −25 dB of the tail."""
    rooms = np.array([small_room(rng) for _ in range(50)], np.float64)
    np.testing.assert_array_equal(rooms[:, 0], 1.0)
    tail = np.square(rooms[:, 1:]).mean(axis=0)
    assert 10 * np.log10(tail.sum()) == pytest.approx(-DIRECT_TO_REVERBERANT_DB, abs=0.01)
    decay_db = 10 * np.log10(np.cumsum(tail[::-1])[::-1] / tail.sum())
    used = (decay_db < -5) & (decay_db > -25)
    slope = np.polyfit(np.flatnonzero(used) / SAMPLE_RATE, decay_db[used], 1)[0]
    assert -60 / slope == pytest.approx(RT60_S, rel=0.1)


def test_a_fan_has_its_level_and_a_tone(rng: np.random.Generator) -> None:
    for _ in range(5):
        sound = fan(4 * SAMPLE_RATE, rng)
        assert level_db(sound) == pytest.approx(FAN_DB, abs=0.5)
        power = np.square(np.abs(np.fft.rfft(sound)))
        hz = np.fft.rfftfreq(sound.size, 1 / SAMPLE_RATE)
        loudest = int(np.argmax(power))
        assert 180 <= hz[loudest] <= 320
        assert power[loudest - 2 : loudest + 3].sum() / power.sum() == pytest.approx(0.5, abs=0.1)
        assert power[hz > 4000].sum() < 0.1 * power[hz < 4000].sum()


def test_a_laptop_turns_up_its_own_fan_in_a_pause(rng: np.random.Generator) -> None:
    """From −50 dBFS by 6 dB a second, up to the most it amplifies."""
    heard = laptop(np.zeros(8 * SAMPLE_RATE, np.float32), rng)
    first, last = level_db(heard[1600:4800]), level_db(heard[-3200:])
    assert first == pytest.approx(FAN_DB + 1, abs=2)
    assert last == pytest.approx(FAN_DB + GAIN_RANGE_DB, abs=2)


@pytest.mark.parametrize("device", DEVICES)
def test_a_word_stays_where_it_was(device: Device) -> None:
    """The device's answer to a noise burst is most like the burst when not moved, to within half a millisecond."""
    burst = np.pad(syllables(0.1, 0.14), 8000)
    for seed in range(3):
        heard = through_device(device, burst, np.random.default_rng(seed))
        spectrum = np.fft.rfft(heard) * np.conj(np.fft.rfft(burst))
        moved = int(np.argmax(np.fft.irfft(spectrum, burst.size)))
        assert min(moved, burst.size - moved) <= 8


@settings(max_examples=30)
@given(st.sampled_from(DEVICES), st.sampled_from(RATES_HZ), st.integers(0, 1201), st.integers(0, 99))
def test_a_device_is_a_function_of_sound_and_generator(device: Device, rate_hz: int, size: int, seed: int) -> None:
    sound = (0.5 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)
    untouched = sound.copy()
    first, again = (at_rate(through_device(device, sound, np.random.default_rng(seed)), rate_hz) for _ in range(2))
    assert first.shape == (size,) and first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(sound, untouched)


@pytest.mark.parametrize("device", DEVICES)
def test_other_generators_are_other_devices_within_full_scale(device: Device, changing_sound: Sound) -> None:
    sound = 5 * changing_sound(1.0)
    heard = [through_device(device, sound, np.random.default_rng(seed)) for seed in range(6)]
    assert len({one.tobytes() for one in heard}) > 1
    assert max(float(np.abs(one).max()) for one in heard) <= 1
