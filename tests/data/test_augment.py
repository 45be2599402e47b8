"""Mixing features is mixing waveforms, gains and responses are decibels, masks and padding touch what they should."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.augment import (
    AugmentConfig,
    apply_gain,
    apply_response,
    augment,
    crop_with_padding,
    draw_response_db,
    draw_snr_db,
    mix_background,
    quiet_frames,
    spec_augment,
)
from uyan.data.mel_warp import band_centres_hz, warp_matrices, warp_mels
from uyan.errors import ConfigError
from uyan.frontend import FrontendConfig, log_mel

CONFIG = FrontendConfig()
NOTHING = AugmentConfig(background_share=0.0, gain_db=0.0, time_masks=0, mel_masks=0, warp_percent=0.0, tilt_db=0.0)
MASKS = AugmentConfig(time_masks=2, time_mask_frames=7, mel_masks=3, mel_mask_mels=5)


def voiced(rng: np.random.Generator, seconds: float = 1.5) -> Samples:
    """Syllables of a harmonic sound over a little hiss, shape (samples,), RMS 0.1."""
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = sum(np.sin(2 * np.pi * 140 * k * time_s + rng.uniform(0, 6)) / k for k in range(1, 40))
    sound = (
        (sound + 0.05 * rng.standard_normal(time_s.size)) * np.sin(2 * np.pi * 1.3 * time_s) ** 2 * (time_s % 0.7 < 0.5)
    )
    return (0.1 * sound / np.std(sound)).astype(np.float32)


def noise(rng: np.random.Generator, exponent: float, seconds: float = 1.5) -> Samples:
    """Noise whose power falls as 1/f**exponent, shape (samples,), RMS 0.1."""
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * SAMPLE_RATE)))
    spectrum *= np.maximum(np.arange(spectrum.size), 1.0) ** (-exponent / 2)
    samples = np.fft.irfft(spectrum)
    return (0.1 * samples / np.std(samples)).astype(np.float32)


def batch_of(*waveforms: Samples) -> NDArray[np.float32]:
    return np.stack([log_mel(samples, CONFIG) for samples in waveforms])


def some_batch(rng: np.random.Generator, count: int = 3, frames: int = 40) -> NDArray[np.float32]:
    return rng.uniform(-13, 5, (count, 64, frames)).astype(np.float32)


def active_db(batch: NDArray[np.floating]) -> NDArray[np.float64]:
    """Level of the loudest fifth of each example's frames, shape (batch,)."""
    frames = np.sort(np.exp(batch.astype(np.float64)).mean(axis=1), axis=1)
    return 10 * np.log10(frames[:, -max(1, frames.shape[1] // 5) :].mean(axis=1))


def mean_db(power: NDArray[np.floating]) -> NDArray[np.float64]:
    """Level of each example, power of shape (batch, mels, frames), shape (batch,)."""
    return 10 * np.log10(power.mean(axis=(1, 2), dtype=np.float64))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_mixing_features_is_mixing_waveforms(snr_db: float, exponent: float, rng: np.random.Generator) -> None:
    """Powers add but for the cross term of the two spectra, which is random in sign: where both are equally strong it
    moves a mel's power by a factor of 0 to 2, elsewhere by little. Measured: 0.11-0.19 on average, hardly biased.
    """
    speech, hiss = voiced(rng), noise(rng, exponent)
    features, background = batch_of(speech), batch_of(hiss)
    gain = 10 ** ((active_db(features)[0] - mean_db(np.exp(background))[0] - snr_db) / 20)
    in_air = log_mel((speech + gain * hiss).astype(np.float32), CONFIG)
    difference = mix_background(features, background, np.array([snr_db], np.float32))[0] - in_air
    assert np.abs(difference).mean() < 0.25
    assert abs(difference.mean()) < 0.1


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_the_ratio_is_of_active_speech_to_mean_background(snr_db: float, rng: np.random.Generator) -> None:
    bursts = noise(rng, 0.0)
    bursts[: bursts.size * 9 // 10] *= 0.01  # nine tenths of it nearly silent: its active level is another
    speech, background = batch_of(voiced(rng), voiced(rng)), batch_of(bursts, noise(rng, 2.0))
    mixed = mix_background(speech, background, np.full(2, snr_db, np.float32))
    added = np.exp(mixed.astype(np.float64)) - np.exp(speech.astype(np.float64))
    assert active_db(speech) - mean_db(added) == pytest.approx(snr_db, abs=0.1)


def test_each_example_has_its_own_ratio_and_infinity_changes_nothing(rng: np.random.Generator) -> None:
    speech, background = some_batch(rng), some_batch(rng)
    mixed = mix_background(speech, background, np.array([np.inf, 10.0, np.inf], np.float32))
    np.testing.assert_allclose(mixed[[0, 2]], speech[[0, 2]], atol=1e-5)  # through exp and log in float32
    alone = mix_background(speech[1:2], background[1:2], np.array([10.0], np.float32))
    np.testing.assert_allclose(mixed[1:2], alone, atol=1e-5)
    assert (mixed[1] > speech[1] - 1e-5).all()  # noise is added, never taken away


def test_a_clip_of_fewer_than_five_frames_is_as_loud_as_its_loudest() -> None:
    clip, quiet = np.full((1, 64, 3), -13.0, np.float32), np.full((1, 64, 3), -9.0, np.float32)
    clip[:, :, 1] = 2.0
    mixed = mix_background(clip, quiet, np.zeros(1, np.float32))
    assert mixed[0, 0].tolist() == pytest.approx([2.0, 2.0 + np.log(2), 2.0], abs=1e-4)


@pytest.mark.parametrize("gain_db", [-12.0, -3.0, 12.0])
def test_a_gain_in_decibels_is_that_of_the_waveform(gain_db: float, rng: np.random.Generator) -> None:
    loud = 3 * noise(rng, 0.0)
    changed = apply_gain(batch_of(loud, loud), np.array([gain_db, 0.0], np.float32))
    louder = (loud * 10 ** (gain_db / 20)).astype(np.float32)
    heard = batch_of(louder)[0] > np.log(CONFIG.floor_power) + 10  # 43 dB above the floor
    assert heard.mean() > 0.9
    np.testing.assert_allclose(changed[0][heard], batch_of(louder)[0][heard], atol=1e-3)
    np.testing.assert_array_equal(changed[1], batch_of(loud)[0])


def test_a_response_in_decibels_is_that_of_the_waveform(rng: np.random.Generator) -> None:
    """A filter that rises steadily from -6 dB at the lowest band to 6 dB at the highest, made with an FFT."""
    sound = 3 * noise(rng, 0.0)
    centres_hz = band_centres_hz(CONFIG)
    response_db = np.linspace(-6, 6, 64, dtype=np.float32)
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(sound.size, 1 / SAMPLE_RATE)
    filtered = np.fft.irfft(spectrum * 10 ** (np.interp(hz, centres_hz, response_db) / 20), sound.size)
    coloured = apply_response(batch_of(sound, sound), np.stack([response_db, np.zeros(64, np.float32)]))
    difference = coloured[0] - batch_of(filtered.astype(np.float32))[0]
    assert np.abs(difference.mean(axis=1)).max() < 0.02  # of up to 1.38
    np.testing.assert_array_equal(coloured[1], batch_of(sound)[0])


def test_responses_are_smooth_bounded_and_reach_their_bound() -> None:
    config = replace(NOTHING, tilt_db=6.0)
    drawn = draw_response_db(config, 3000, 64, np.random.default_rng(0))
    assert (drawn.shape, drawn.dtype) == ((3000, 64), np.float32)
    assert np.abs(drawn).max() == pytest.approx(6.0, abs=0.7)
    assert np.abs(drawn).max() <= 6.0
    assert np.abs(np.diff(drawn, axis=1)).max() < 0.35  # dB from one mel to the next
    assert abs(drawn.mean()) < 0.1
    assert drawn.std(axis=0).min() > 0.9  # every mel is changed
    slope = np.polyfit(np.arange(64), drawn.T, 1)[0]
    assert np.corrcoef(slope, drawn[:, -1] - drawn[:, 0])[0, 1] > 0.9
    assert (slope > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert not draw_response_db(NOTHING, 3, 64, np.random.default_rng(0)).any()


@pytest.mark.parametrize("field", ["background_share", "gain_db", "time_masks", "mel_masks", "warp_percent", "tilt_db"])
def test_each_augmentation_is_switched_by_its_field(field: str, rng: np.random.Generator) -> None:
    batch, background = some_batch(rng, 20), some_batch(rng, 20)
    matrices = warp_matrices(CONFIG, AugmentConfig().warp_percent)
    kept = batch.copy()
    same = augment(batch, None, NOTHING, matrices, np.random.default_rng(1))
    np.testing.assert_array_equal(same, batch)
    one = replace(NOTHING, **{field: getattr(AugmentConfig(), field)})
    one, other, again = (augment(batch, background, one, matrices, np.random.default_rng(seed)) for seed in (1, 2, 1))
    changed = np.abs(one - batch).max(axis=(1, 2)) > 1e-3
    assert changed.mean() > 0.4
    assert (one != other).any()
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(batch, kept)


def test_the_voice_is_changed_and_the_background_is_not(rng: np.random.Generator) -> None:
    """A background 60 dB above the speech comes out as it went in but for its level."""
    config = replace(NOTHING, warp_percent=15.0, tilt_db=6.0, background_share=1.0, snr_low_db=-60.0, snr_high_db=-60.0)
    speech, background = rng.uniform(-1, 1, (2, 3, 64, 40)).astype(np.float32)
    difference = augment(speech, background, config, warp_matrices(CONFIG, 15.0), rng) - background
    assert difference.std(axis=(1, 2)).max() < 0.001
    assert difference.min() > 10


def test_warp_then_response_then_gain(rng: np.random.Generator) -> None:
    """The same draws, done one after the other by hand."""
    config, matrices = replace(NOTHING, warp_percent=9.0, tilt_db=4.0, gain_db=5.0), warp_matrices(CONFIG, 9.0)
    batch, draws = some_batch(rng), np.random.default_rng(7)
    by_hand = warp_mels(batch, draws.uniform(-9, 9, 3), matrices)
    by_hand = apply_response(by_hand, draw_response_db(config, 3, 64, draws))
    by_hand = apply_gain(by_hand, draws.uniform(-5, 5, 3).astype(np.float32))
    np.testing.assert_array_equal(augment(batch, None, config, matrices, np.random.default_rng(7)), by_hand)


def test_the_share_that_stays_clean_and_the_range_of_the_rest() -> None:
    config = AugmentConfig(background_share=0.7, snr_low_db=-3.0, snr_high_db=12.0)
    snr_db = draw_snr_db(config, 5000, np.random.default_rng(0))
    mixed = snr_db[np.isfinite(snr_db)]
    assert (snr_db[~np.isfinite(snr_db)] > 0).all()
    assert mixed.size / 5000 == pytest.approx(0.7, abs=0.03)
    assert (mixed.min(), mixed.max()) == pytest.approx((-3.0, 12.0), abs=0.1)
    assert mixed.min() >= -3.0 and mixed.max() <= 12.0
    assert mixed.mean() == pytest.approx(4.5, abs=0.3)
    for share, clean in ((0.0, True), (1.0, False)):
        drawn = draw_snr_db(replace(config, background_share=share), 100, np.random.default_rng(0))
        assert (np.isinf(drawn) == clean).all()


def masked_runs(changed: NDArray[np.bool_]) -> int:
    """Length of the longest run."""
    return max((len(run) for run in "".join("x" if c else " " for c in changed).split()), default=0)


@given(seed=st.integers(0, 10_000), frames=st.integers(1, 30))
def test_masks_are_bounded_and_leave_the_rest_alone(seed: int, frames: int) -> None:
    batch = some_batch(np.random.default_rng(seed), frames=frames)
    masked = spec_augment(batch, MASKS, np.random.default_rng(seed))
    for before, after in zip(batch, masked, strict=True):
        changed = before != after
        assert (after[changed] == before.mean()).all()
        times, mels = changed.all(axis=0), changed.all(axis=1)
        # Every changed value lies in a whole masked frame or a whole masked mel.
        assert not changed[~mels][:, ~times].any()
        if not mels.all():
            assert times.sum() <= MASKS.time_masks * MASKS.time_mask_frames
        if not times.all():
            assert mels.sum() <= MASKS.mel_masks * MASKS.mel_mask_mels


def test_masks_reach_their_full_length_and_every_place() -> None:
    config = AugmentConfig(time_masks=1, time_mask_frames=4, mel_masks=0)
    batch = some_batch(np.random.default_rng(1), count=600, frames=12)
    masked = spec_augment(batch, config, np.random.default_rng(2)) != batch
    frames = masked.all(axis=1)
    assert set(frames.sum(axis=1).tolist()) == {0, 1, 2, 3, 4}
    assert all(masked_runs(row) == row.sum() for row in frames)
    assert frames.any(axis=0).all()


def test_masks_are_a_function_of_the_generator_and_no_masks_change_nothing(rng: np.random.Generator) -> None:
    batch = some_batch(rng)
    kept = batch.copy()
    one, same, other = (spec_augment(batch, MASKS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_array_equal(batch, kept)
    for off in (AugmentConfig(time_masks=0, mel_masks=0), AugmentConfig(time_mask_frames=0, mel_mask_mels=0)):
        np.testing.assert_array_equal(spec_augment(batch, off, rng), batch)


@given(total=st.integers(1, 60), start=st.integers(-100, 100), frames=st.integers(1, 80), seed=st.integers(0, 99))
def test_a_crop_is_the_recording_and_around_it_its_own_quiet(total: int, start: int, frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clip = rng.permuted(np.arange(total * 4, dtype=np.float16).reshape(4, total), axis=1)
    crop = crop_with_padding(clip, start, frames, rng)
    assert (crop.shape, crop.dtype) == ((4, frames), np.float16)
    quiet = np.argsort(clip.astype(np.float32).mean(axis=0), kind="stable")[: max(1, total // 10)]
    quiet_frames = {tuple(column) for column in clip[:, quiet].T.tolist()}
    for position, column in enumerate(crop.T.tolist()):
        if 0 <= start + position < total:
            assert column == clip[:, start + position].tolist()
        else:
            assert tuple(column) in quiet_frames


def test_quiet_frames_are_of_the_quietest_tenth_all_alike() -> None:
    clip = np.tile(np.arange(40, 0, -1, dtype=np.float16), (4, 1))
    drawn = quiet_frames(clip, 4000, np.random.default_rng(0))
    assert drawn.shape == (4, 4000)
    values, counts = np.unique(drawn[0], return_counts=True)
    assert values.tolist() == [1, 2, 3, 4]
    assert counts.tolist() == pytest.approx([1000] * 4, abs=120)


def test_a_crop_inside_draws_nothing_and_padding_varies() -> None:
    clip = np.random.default_rng(0).normal(size=(64, 200)).astype(np.float16)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(crop_with_padding(clip, 50, 100, rng), clip[:, 50:150])
    assert rng.random() == np.random.default_rng(1).random()
    padded = crop_with_padding(clip, -100, 100, rng)
    assert len({tuple(column) for column in padded.T.tolist()}) > 10  # of 20 quiet frames


@given(arrays(np.float32, (2, 8, 10), elements=st.floats(-14, 12, width=32)), st.integers(0, 99))
def test_augmented_features_are_finite(batch: NDArray[np.float32], seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = AugmentConfig(background_share=1.0, snr_low_db=-40.0, snr_high_db=60.0)
    mixed = mix_background(batch, batch[::-1], draw_snr_db(config, 2, rng))
    assert np.isfinite(spec_augment(apply_gain(mixed, np.float32([-40.0, 40.0])), config, rng)).all()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"background_share": 1.1}, r"background_share must lie in \[0, 1\], not 1.1"),
        ({"background_share": -0.1}, "background_share"),
        ({"snr_low_db": 31.0}, "snr_low_db is above snr_high_db"),
        ({"time_masks": -1}, "cannot be negative"),
        ({"mel_mask_mels": -1}, "cannot be negative"),
        ({"gain_db": -1.0}, "cannot be negative"),
        ({"warp_percent": -1.0}, r"warp_percent must lie in \[0, 50\), not -1.0"),
        ({"warp_percent": 50.0}, "warp_percent"),
        ({"tempo_percent": -1.0}, r"tempo_percent must lie in \[0, 50\), not -1.0"),
        ({"tilt_db": -0.5}, "tilt_db cannot be negative, as -0.5 is"),
    ],
)
def test_the_configuration_is_validated(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        AugmentConfig(**changes)
