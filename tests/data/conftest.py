"""Speech-like sound without recordings."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from uyan.audio import SAMPLE_RATE, Samples


@pytest.fixture(scope="session")
def word() -> Callable[..., Samples]:
    """word(seed, take=0): see `_word`."""
    return _word


def _word(seed: int, *, take: int = 0) -> Samples:
    """A second or so of speech-like sound: four syllables of gliding pitch through moving formants.

    The seed sets the formants and the syllables; the take their pitch, timing and noise.
    """
    sounds, voice = np.random.default_rng(seed), np.random.default_rng([seed, take])
    parts = [np.zeros(2400)]
    for _ in range(4):
        n = int(SAMPLE_RATE * sounds.uniform(0.12, 0.25) * voice.uniform(0.9, 1.1))
        pitch_hz = np.linspace(*voice.uniform(90, 220, 2), n)
        source = signal.sawtooth(2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE) + 0.2 * voice.standard_normal(n)
        formants_hz = sounds.uniform([300, 900, 2200], [900, 2200, 3600], (2, 3))
        start, end = (_formants(source, row) for row in formants_hz)
        fade = np.linspace(0, 1, n)
        parts += [((1 - fade) * start + fade * end) * np.hanning(n) * sounds.uniform(0.3, 1.0), np.zeros(480)]
    samples = np.concatenate([*parts, np.zeros(2400)])
    samples = 0.3 * samples / np.abs(samples).max() + 2e-4 * voice.standard_normal(samples.size)
    return samples.astype(np.float32)


def _formants(source: np.ndarray, centres_hz: np.ndarray) -> np.ndarray:
    peaks = [signal.iirpeak(hz, hz / 120, fs=SAMPLE_RATE) for hz in centres_hz]
    return np.sum([signal.lfilter(b, a, source) / (k + 1) for k, (b, a) in enumerate(peaks)], axis=0)
