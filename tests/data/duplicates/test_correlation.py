import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.data.duplicates.correlation import correlation


def test_silence_correlates_with_nothing(rng):
    samples = rng.standard_normal(16000).astype(np.float32)
    assert correlation(samples, np.zeros_like(samples), 8000, 8000) == 0.0


def test_noise_lowers_the_correlation_by_the_share_of_its_power(rng):
    samples, noise = rng.standard_normal((2, 16000)).astype(np.float32)
    assert correlation(samples, samples + noise, 8000, 8000) == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_a_sliver_does_not_match():
    """The clips share their last and first 0.2 s; 0.3 s are asked for."""
    rng = np.random.default_rng(6)
    shared, a, b = (rng.standard_normal(n).astype(np.float32) for n in (3200, 16000, 16000))
    first, second = np.concatenate([a, shared]), np.concatenate([shared, b])
    assert correlation(first, second, 16000, 0) < 0.2
    assert correlation(first[12800:], second[:6400], 3200, 0) < 0.2
    assert correlation(first[14400:], second[:4800], 1600, 0) > 0.99  # 0.2 of 0.3 s: enough of so short a clip


@settings(max_examples=30, deadline=None)
@given(
    gain=st.floats(-10, 10).filter(lambda g: abs(g) > 1e-3), shift=st.integers(0, 3000), slip=st.integers(-1500, 1500)
)
def test_correlation_ignores_gain_and_shift_and_is_symmetric(word, gain, shift, slip):
    samples = word(0)
    moved = (gain * np.concatenate([np.zeros(shift), samples])).astype(np.float32)
    forth = correlation(samples, moved, 8000, 8000 + shift + slip)
    assert forth > 0.99
    assert correlation(moved, samples, 8000 + shift + slip, 8000) == pytest.approx(forth, abs=1e-3)
