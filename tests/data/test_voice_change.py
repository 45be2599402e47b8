"""Speed, pitch and formants each move alone, by what was asked."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from uyan.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples
from uyan.data.voice_change import change_length, change_voice, stretched_length

Tone = Callable[..., NDArray[np.float32]]
F0_HZ, FORMANT_HZ = 120.0, 1200.0


def vowel(f0_hz: float = F0_HZ, formant_hz: float = FORMANT_HZ, duration_s: float = 2.0) -> Samples:
    """A pulse train through one resonance of 150 Hz width, shape (samples,)."""
    pulses = np.diff(np.floor(np.arange(round(duration_s * SAMPLE_RATE) + 1) * f0_hz / SAMPLE_RATE))
    b, a = signal.iirpeak(formant_hz, formant_hz / 150, fs=SAMPLE_RATE)
    sound = signal.lfilter(b, a, pulses) + 0.002 * pulses
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def peak_hz(samples: Samples) -> float:
    inner = samples[2000:-2000]
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(inner.size), 2**17))
    return float(spectrum.argmax() * SAMPLE_RATE / 2**17)


def pitch_hz(samples: Samples) -> float:
    """By autocorrelation, between 60 and 400 Hz."""
    inner = samples[4000:-4000].astype(np.float64)
    agreement = signal.correlate(inner, inner)[inner.size - 1 :]
    shortest = SAMPLE_RATE // 400
    return float(SAMPLE_RATE / (shortest + agreement[shortest : SAMPLE_RATE // 60].argmax()))


def formant_hz(samples: Samples) -> float:
    """The centre of a smoothed spectrum around its peak."""
    hz, power = signal.welch(samples, SAMPLE_RATE, nperseg=4096)
    smooth = signal.oaconvolve(power, np.hanning(2 * 64 + 1), mode="same")  # 500 Hz: wider than the pitch
    return float(hz[smooth.argmax()])


@pytest.mark.parametrize("frequency_hz", [110.0, 440.0, 1000.0, 3000.0])
@pytest.mark.parametrize("speed_percent", [-40.0, -12.0, 5.0, 12.0, 40.0])
def test_a_tone_keeps_its_frequency_at_another_speed(tone: Tone, frequency_hz: float, speed_percent: float) -> None:
    changed = change_voice(tone(frequency_hz, 2.0), speed_percent=speed_percent)
    assert changed.size == round(2 * SAMPLE_RATE / (1 + speed_percent / 100))
    assert peak_hz(changed) == pytest.approx(frequency_hz, rel=0.003, abs=1.0)
    assert np.abs(changed).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("frequency_hz", [110.0, 440.0, 1000.0, 3000.0])
@pytest.mark.parametrize("pitch_semitones", [-12.0, -3.0, 0.5, 3.0, 12.0])
def test_a_tone_moves_by_semitones_and_keeps_its_length(
    tone: Tone, frequency_hz: float, pitch_semitones: float
) -> None:
    changed = change_voice(tone(frequency_hz, 2.0), pitch_semitones=pitch_semitones)
    assert changed.size == 2 * SAMPLE_RATE
    assert peak_hz(changed) == pytest.approx(frequency_hz * 2 ** (pitch_semitones / 12), rel=0.004, abs=1.0)


@pytest.mark.parametrize("formant_percent", [-15.0, 8.0, 15.0])
def test_formants_move_and_pitch_does_not(formant_percent: float) -> None:
    changed = change_voice(vowel(), formant_percent=formant_percent)
    assert pitch_hz(changed) == pytest.approx(pitch_hz(vowel()), rel=0.01)
    assert formant_hz(vowel()) == pytest.approx(FORMANT_HZ, abs=70)
    assert formant_hz(changed) == pytest.approx(FORMANT_HZ * (1 + formant_percent / 100), abs=70)


@pytest.mark.parametrize("pitch_semitones", [-3.0, 3.0])
def test_pitch_moves_and_formants_do_not(pitch_semitones: float) -> None:
    changed = change_voice(vowel(), pitch_semitones=pitch_semitones)
    assert pitch_hz(changed) == pytest.approx(F0_HZ * 2 ** (pitch_semitones / 12), rel=0.015)
    assert formant_hz(changed) == pytest.approx(FORMANT_HZ, abs=80)


def test_all_three_at_once() -> None:
    changed = change_voice(vowel(), speed_percent=10.0, pitch_semitones=2.0, formant_percent=-10.0)
    assert changed.size == round(2 * SAMPLE_RATE / 1.1)
    assert pitch_hz(changed) == pytest.approx(F0_HZ * 2 ** (2 / 12), rel=0.015)
    assert formant_hz(changed) == pytest.approx(FORMANT_HZ * 0.9, abs=80)


@pytest.mark.parametrize("pitch_semitones", [-3.0, 3.0])
def test_a_hiss_keeps_its_band_when_the_pitch_falls(rng: np.random.Generator, pitch_semitones: float) -> None:
    hiss = rng.normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    hz, before = signal.welch(hiss, SAMPLE_RATE, nperseg=512)
    after = signal.welch(change_voice(hiss, pitch_semitones=pitch_semitones), SAMPLE_RATE, nperseg=512)[1]
    heard = (hz > 300) & (hz < 7500)
    assert np.abs(10 * np.log10(after[heard] / before[heard])).max() < 4.0


@pytest.mark.parametrize("speed_percent", [-30.0, -12.0, 12.0, 30.0])
@pytest.mark.parametrize("pitch_semitones", [0.0, 3.0])
def test_a_burst_is_where_the_stretch_puts_it(speed_percent: float, pitch_semitones: float) -> None:
    stretch = 1 / (1 + speed_percent / 100)
    sound = np.zeros(3 * SAMPLE_RATE, np.float32)
    sound[int(1.2 * SAMPLE_RATE) : int(1.5 * SAMPLE_RATE)] = vowel(duration_s=0.3)
    loud = np.flatnonzero(np.abs(change_voice(sound, speed_percent, pitch_semitones)) > 0.02) / SAMPLE_RATE
    # 8 ms of search, 15 of splice, and 16 where the envelope is worked on.
    assert loud[0] == pytest.approx(1.2 * stretch, abs=0.03)
    assert loud[-1] == pytest.approx(1.5 * stretch, abs=0.03)


def test_no_change_changes_nothing(word: Callable[..., Samples]) -> None:
    spoken = word(3)
    np.testing.assert_array_equal(change_voice(spoken), spoken)
    np.testing.assert_allclose(change_length(spoken, spoken.size), spoken, atol=1e-6)
    assert change_voice(spoken) is not spoken


def test_the_envelope_alone_gives_the_sound_back_when_it_stays_in_place(word: Callable[..., Samples]) -> None:
    spoken = word(3)
    barely = change_voice(spoken, formant_percent=1e-6)
    np.testing.assert_allclose(barely, spoken, atol=1e-5)


@settings(max_examples=60)
@given(
    count=st.integers(0, 3000),
    amplitude=st.sampled_from([0.0, 1e-5, 0.1, 1.0]),
    speed_percent=st.floats(-49, 49),
    pitch_semitones=st.floats(-12, 12),
    formant_percent=st.floats(-49, 49),
    seed=st.integers(0, 99),
)
def test_every_recording_survives_every_change(
    count: int, amplitude: float, speed_percent: float, pitch_semitones: float, formant_percent: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    samples = (amplitude * rng.choice([-1.0, 1.0], count)).astype(np.float32)
    changed = change_voice(samples, speed_percent, pitch_semitones, formant_percent)
    assert (changed.shape, changed.dtype) == ((stretched_length(count, speed_percent),), np.float32)
    assert np.isfinite(changed).all()
    assert np.abs(changed).max(initial=0.0) <= 10 * amplitude
    if count >= FRAME_SAMPLES:
        assert changed.size >= FRAME_SAMPLES
