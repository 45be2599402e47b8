"""Another tempo: each value where the obvious interpolation puts it, pitch untouched, slower as often as faster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.audio import SAMPLE_RATE
from uyan.data.tempo import change_tempo, draw_stretches
from uyan.frontend import FrontendConfig, log_mel


@given(st.lists(st.integers(2, 30), min_size=1, max_size=5), st.integers(2, 40), st.integers(0, 1000))
def test_it_is_numpys_interpolation_of_every_mel(lengths: list[int], frames: int, seed: int) -> None:
    batch = np.random.default_rng(seed).normal(-8, 3, (len(lengths), max(lengths), 4)).astype(np.float32)
    found = change_tempo(batch, np.array(lengths), frames)
    assert found.shape == (len(lengths), frames, 4)
    for example, length, changed in zip(batch, lengths, found, strict=True):
        places = np.linspace(0, length - 1, frames)
        for mel in range(4):
            wanted = np.interp(places, np.arange(length), example[:length, mel])
            np.testing.assert_allclose(changed[:, mel], wanted, atol=1e-4)


def test_the_same_length_changes_nothing() -> None:
    batch = np.random.default_rng(0).normal(size=(3, 50, 64)).astype(np.float32)
    np.testing.assert_allclose(change_tempo(batch, np.full(3, 50), 50), batch, atol=1e-5)


def test_a_chirp_at_another_tempo_is_the_slower_chirp() -> None:
    """Against the waveform: a sweep that takes 1.25 times as long, through the front end."""

    def sweep(seconds: float) -> np.ndarray:
        share = np.arange(round(seconds * SAMPLE_RATE)) / (seconds * SAMPLE_RATE)
        hertz = 300 + 2000 * share
        return (0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE)).astype(np.float32)

    quick, slow = (log_mel(sweep(seconds), FrontendConfig()).T for seconds in (2.0, 2.5))
    found = change_tempo(quick[None], np.array([len(quick)]), len(slow))[0]
    assert np.mean(found.argmax(axis=1) == slow.argmax(axis=1)) > 0.9
    assert np.abs(found.max(axis=1) - slow.max(axis=1)).mean() < 0.3


def test_slower_as_often_as_faster_and_never_by_more() -> None:
    stretches = draw_stretches(25.0, 4000, np.random.default_rng(3))
    assert 0.8 <= stretches.min() < 0.81 and 1.24 < stretches.max() <= 1.25
    assert np.mean(stretches > 1) == pytest.approx(0.5, abs=0.03)
