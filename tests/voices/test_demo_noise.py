import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples
from uyan.voices import demo_noise
from uyan.voices.demo_noise import NOISES


def power_db(samples: Samples, low_hz: float, high_hz: float) -> float:
    power: NDArray[np.float64] = np.abs(np.fft.rfft(samples)) ** 2
    frequency_hz = np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE)
    return float(10 * np.log10(power[(frequency_hz >= low_hz) & (frequency_hz < high_hz)].mean()))


@pytest.mark.parametrize(("exponent", "octave_db"), [(0.0, 0.0), (1.0, 3.01), (2.0, 6.02)])
def test_noise_falls_by_its_exponent(exponent: float, octave_db: float) -> None:
    noise = demo_noise._coloured(10 * SAMPLE_RATE, np.random.default_rng(0), exponent)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1, abs=1e-3)
    three_octaves_db = power_db(noise, 390, 410) - power_db(noise, 3190, 3210)
    assert three_octaves_db == pytest.approx(3 * octave_db, abs=2)


def test_a_mains_hum_stands_at_the_harmonics_of_50_hz() -> None:
    hum = NOISES["mains-hum"](4 * SAMPLE_RATE, np.random.default_rng(0))
    for harmonic_hz in (50, 150, 400):
        assert power_db(hum, harmonic_hz - 1, harmonic_hz + 1) > power_db(hum, harmonic_hz + 15, harmonic_hz + 35) + 15


@pytest.mark.parametrize("name", sorted(NOISES))
def test_every_noise_fills_its_length_and_differs_by_seed(name: str) -> None:
    count = 2 * SAMPLE_RATE
    one, same, other = (NOISES[name](count, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (count,)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.abs(one).max() > 0
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
