"""A warped voice has its resonances where a shorter vocal tract has them, and the matrices are the interpolation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.data.mel_warp import (
    KNEE_SHARE,
    PRODUCT_LIMIT,
    band_centres_hz,
    warp_hz,
    warp_matrices,
    warp_matrix,
    warp_mels,
)
from uyan.errors import ConfigError
from uyan.frontend import FFT_SAMPLES, FrontendConfig, log_mel, mel_filters

CONFIG = FrontendConfig()
MATRICES = warp_matrices(CONFIG, 15.0)


def some_batch(count: int, frames: int, mels: int = 64) -> NDArray[np.float32]:
    """Frame by frame in memory, as batches are."""
    values = np.random.default_rng(count).uniform(-13, 5, (count, frames, mels)).astype(np.float32)
    return values.swapaxes(1, 2)


def obviously_warped(features: NDArray[np.float32], percent: float) -> NDArray[np.float64]:
    """One frame and one band after the other; where a band comes from is searched for in a table of where all go."""
    hz = np.linspace(0.0, CONFIG.high_hz, 200_001)
    gone_to = warp_hz(hz, percent, CONFIG.high_hz)
    centres_mel = 2595 * np.log10(1 + band_centres_hz(CONFIG) / 700)
    warped = np.empty(features.shape)
    for band, centre_hz in enumerate(band_centres_hz(CONFIG)):
        from_hz = hz[np.searchsorted(gone_to, centre_hz)]
        for frame in range(features.shape[1]):
            warped[band, frame] = np.interp(2595 * np.log10(1 + from_hz / 700), centres_mel, features[:, frame])
    return warped


def tone(frequency_hz: float) -> NDArray[np.float32]:
    """Features of a tone in faint hiss, shape (mels, frames)."""
    time_s = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(time_s.size)
    return log_mel((0.3 * np.sin(2 * np.pi * frequency_hz * time_s) + hiss).astype(np.float32), CONFIG)


@pytest.mark.parametrize("percent", [-15, -7, 0, 1, 15])
def test_a_warp_is_the_obvious_interpolation(percent: int) -> None:
    batch = some_batch(2, 7)
    warped = warp_mels(batch, np.full(2, float(percent)), MATRICES)
    for example, expected in zip(warped, batch, strict=True):
        np.testing.assert_allclose(example, obviously_warped(expected, percent), atol=2e-2)  # the table's steps
    assert warped.dtype == np.float32


def test_no_warp_changes_nothing() -> None:
    np.testing.assert_array_equal(warp_matrix(CONFIG, 0.0), np.eye(64))
    batch = some_batch(3, 20)
    np.testing.assert_array_equal(warp_mels(batch, np.zeros(3), MATRICES), batch)


@pytest.mark.parametrize("percent", [-15.0, -8.0, 8.0, 15.0])
@pytest.mark.parametrize("frequency_hz", [500.0, 1200.0, 2500.0, 3500.0])
def test_a_peak_moves_by_the_factor(frequency_hz: float, percent: float) -> None:
    """To the band where a tone of that frequency is heard; half a band either way comes from rounding."""
    warped = warp_mels(tone(frequency_hz)[None], np.array([percent]), MATRICES)[0]
    moved = tone(frequency_hz * (1 + percent / 100))
    assert abs(int(warped.mean(axis=1).argmax()) - int(moved.mean(axis=1).argmax())) <= 1


@given(percent=st.floats(-45, 45), top_hz=st.floats(1000, 8000))
def test_frequencies_scale_up_to_the_knee_and_the_top_stays(percent: float, top_hz: float) -> None:
    hz = np.linspace(0, top_hz, 200)
    warped = warp_hz(hz, percent, top_hz)
    assert (np.diff(warped) > 0).all()  # no two frequencies change places
    assert (warped[0], warped[-1]) == (0.0, top_hz)
    scaled = np.maximum(hz, warped) < KNEE_SHARE * top_hz * 0.999
    np.testing.assert_allclose(warped[scaled], hz[scaled] * (1 + percent / 100))
    assert scaled.sum() > 200 * KNEE_SHARE * 0.65


def test_centres_are_those_of_the_front_ends_filters() -> None:
    """A triangle's tip, found on a grid of FFT bins."""
    for config in (CONFIG, FrontendConfig(mels=40, low_hz=20.0, high_hz=8000.0)):
        tips_hz = mel_filters(config).argmax(axis=0) * SAMPLE_RATE / FFT_SAMPLES
        assert np.abs(tips_hz - band_centres_hz(config)).max() <= SAMPLE_RATE / FFT_SAMPLES


def test_every_warped_band_is_a_mean_of_at_most_two_neighbours() -> None:
    assert MATRICES.shape == (31, 64, 64) and MATRICES.dtype == np.float32
    np.testing.assert_allclose(MATRICES.sum(axis=1), 1.0, atol=1e-6)
    assert MATRICES.min() >= 0.0
    assert (np.count_nonzero(MATRICES > 1e-6, axis=1) <= 2).all()


def test_each_example_has_its_own_warp_rounded_to_a_percent() -> None:
    batch = some_batch(4, 10)
    warped = warp_mels(batch, np.array([-14.6, 0.4, 3.2, 15.0]), MATRICES)
    for number, percent in enumerate((-15.0, 0.0, 3.0, 15.0)):
        alone = warp_mels(batch[number : number + 1], np.array([percent]), MATRICES)
        np.testing.assert_allclose(warped[number : number + 1], alone, atol=1e-5)
    with pytest.raises(ConfigError, match=r"16 % is beyond the matrices, made up to 15 %"):
        warp_mels(batch[:1], np.array([-16.0]), MATRICES)


@given(frames=st.integers(0, 200), mels=st.sampled_from([1, 40, 64, 128]), seed=st.integers(0, 99))
def test_any_shape_is_warped_frame_by_frame(frames: int, mels: int, seed: int) -> None:
    """Products are made in pieces of frames: none is lost or moved, in whatever order the batch lies in memory."""
    matrices = warp_matrices(replace(CONFIG, mels=mels), 3.0)
    percent = np.random.default_rng(seed).integers(-3, 4, 2)
    batch = some_batch(2, frames, mels)
    expected = np.einsum("bif,bij->bjf", batch.astype(np.float64), matrices[percent + 3])
    for same in (batch, np.ascontiguousarray(batch)):
        warped = warp_mels(same, percent.astype(np.float32), matrices)
        assert warped.swapaxes(1, 2).flags.c_contiguous
        np.testing.assert_allclose(warped, expected, atol=1e-4)


def test_steps_between_warps_are_small() -> None:
    """A whole percent is at most a few tenths of a band at the knee: finer steps would bring no other voices."""
    bands = np.arange(64) @ MATRICES  # which band is heard, shape (warps, mels)
    assert np.abs(np.diff(bands, axis=0)).max() < 0.5
    assert (PRODUCT_LIMIT - 1) // 64**2 == 63
