"""The demo's background noises and noise floors: hiss, wind, hum, strikes and babble, each another every time.

Every noise draws from an explicit `rng` and has any level. It knows nothing of files.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.voices.demo_speech import LANGUAGES, at_peak, trimmed
from uyan.voices.demo_text import SENTENCES
from uyan.voices.espeak import many_voices, say

FLOOR_DB = (-70.0, -45.0)
"""RMS of a recording's noise floor, against full scale."""


def noise_floor(count: int, rng: np.random.Generator) -> Samples:
    """The recording's own hiss, shape (samples,): another colour and level every time."""
    return _coloured(count, rng, exponent=rng.uniform(0.0, 2.0)) * np.float32(10 ** (rng.uniform(*FLOOR_DB) / 20))


def _coloured(count: int, rng: np.random.Generator, exponent: float) -> Samples:
    """Gaussian noise of RMS 1, shape (samples,), its power falling as 1/f**exponent above 20 Hz."""
    size = 1 << (count - 1).bit_length()  # a length with large prime factors costs ten times as much
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(size)) * np.maximum(frequency_hz, 20.0) ** (-exponent / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, size)[:count]
    scaled: Samples = (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)
    return scaled


def _wandering(count: int, rng: np.random.Generator, low: float, high: float) -> Samples:
    """A curve of shape (samples,) through a new random value between low and high every second."""
    knots = np.arange(0, count + SAMPLE_RATE, SAMPLE_RATE)
    return np.interp(np.arange(count), knots, rng.uniform(low, high, knots.size)).astype(np.float32)


def _wind(count: int, rng: np.random.Generator) -> Samples:
    return _coloured(count, rng, exponent=1.8) * _wandering(count, rng, 0.05, 1.0) ** 2


def _hum(count: int, rng: np.random.Generator, fundamental_hz: float, drift: float) -> Samples:
    """A motor or the mains, shape (samples,): sixteen harmonics of a pitch that drifts by that fraction."""
    pitch_hz = fundamental_hz * _wandering(count, rng, 1 - drift, 1 + drift)
    phase = 2 * np.pi * np.cumsum(pitch_hz.astype(np.float64)) / SAMPLE_RATE
    hum = sum(rng.uniform(0.2, 1) / k * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 17))
    return (hum + 0.1 * _coloured(count, rng, exponent=1.0)).astype(np.float32)


def _strikes(
    count: int, rng: np.random.Generator, rate_hz: float, band_hz: tuple[float, float], decay_s: float
) -> Samples:
    """Keys, knocks or drips, shape (samples,): ringing, decaying strikes at random times."""
    samples = np.zeros(count, np.float32)
    time_s = np.arange(int(6 * decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    for start in np.sort(rng.integers(0, count - time_s.size, int(rate_hz * count / SAMPLE_RATE))):
        ring = np.sin(2 * np.pi * rng.uniform(*band_hz) * time_s) + 0.3 * rng.standard_normal(time_s.size)
        strike = rng.uniform(0.2, 1) * ring * np.exp(-time_s / decay_s)
        samples[start : start + time_s.size] += strike.astype(np.float32)
    return samples


def _babble(count: int, rng: np.random.Generator, talkers: int) -> Samples:
    """Several people talking at once without a pause, shape (samples,)."""
    babble = np.zeros(count, np.float32)
    for voice in many_voices(talkers, LANGUAGES, rng):
        spoken = np.zeros(0, np.float32)
        while spoken.size < count:
            texts = SENTENCES["tr" if voice.language == "tr" else "en"]
            spoken = np.concatenate([spoken, trimmed(say(texts[rng.integers(len(texts))], voice))])
        babble += at_peak(spoken[:count], rng.uniform(-12, 0))
    return babble


NOISES: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "white": partial(_coloured, exponent=0.0),
    "pink": partial(_coloured, exponent=1.0),
    "brown": partial(_coloured, exponent=2.0),
    "wind": _wind,
    "mains-hum": partial(_hum, fundamental_hz=50.0, drift=0.0),
    "motor": partial(_hum, fundamental_hz=130.0, drift=0.1),
    "keyboard": partial(_strikes, rate_hz=6.0, band_hz=(1500.0, 5000.0), decay_s=0.008),
    "knocks": partial(_strikes, rate_hz=1.5, band_hz=(90.0, 250.0), decay_s=0.06),
    "drips": partial(_strikes, rate_hz=0.8, band_hz=(800.0, 2500.0), decay_s=0.03),
    "babble-few": partial(_babble, talkers=3),
    "babble-many": partial(_babble, talkers=8),
}
"""Each draws one noise file, shape (samples,), at any level."""
