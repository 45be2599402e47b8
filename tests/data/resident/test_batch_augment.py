"""On tensors as on arrays: the same numbers where nothing is random, and the same spread where it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from uyan.data.augment import AugmentConfig, augment, draw_snr_db, mix_background
from uyan.data.mel_warp import warp_matrices
from uyan.data.resident.batch_augment import Noise, augment_batch, gather_crops, hide, mix_in
from uyan.data.tempo import change_tempo
from uyan.frontend import FrontendConfig

COUNT, FRAMES, MELS = 24, 40, 64
OFF = AugmentConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0, 12, 0, 10, 0.0, 0.0)
WARPS = torch.from_numpy(warp_matrices(FrontendConfig(), 20.0))


@pytest.fixture
def batch(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(-8, 2, (COUNT, FRAMES, MELS)).astype(np.float32))


def test_nothing_is_changed_by_nothing(batch: Tensor, rng: np.random.Generator) -> None:
    assert torch.equal(augment_batch(batch.clone(), None, OFF, WARPS[20:21], rng), batch)


def test_crops_are_the_rows_in_single_precision(rng: np.random.Generator) -> None:
    features = torch.from_numpy(rng.normal(-8, 2, (300, MELS)).astype(np.float16))
    frames = rng.integers(0, 300, (COUNT, FRAMES))
    found = gather_crops(features, frames, np.full(COUNT, FRAMES), FRAMES)
    assert torch.equal(found, features.float()[torch.from_numpy(frames)])
    longer = gather_crops(features, np.pad(frames, ((0, 0), (0, 9))), np.full(COUNT, FRAMES), FRAMES)
    assert torch.equal(found, longer)


def test_tempo_is_that_of_arrays(rng: np.random.Generator) -> None:
    features = torch.from_numpy(rng.normal(-8, 2, (300, MELS)).astype(np.float16))
    frames, lengths = rng.integers(0, 300, (COUNT, 50)), rng.integers(2, 51, COUNT)
    expected = change_tempo(features.float().numpy()[frames], lengths, FRAMES)
    np.testing.assert_allclose(gather_crops(features, frames, lengths, FRAMES).numpy(), expected, atol=1e-5)


def test_background_is_mixed_as_in_arrays(batch: Tensor, rng: np.random.Generator) -> None:
    noise = rng.normal(-6, 1, (COUNT, FRAMES, MELS)).astype(np.float32)
    snr_db = rng.uniform(-5, 30, COUNT).astype(np.float32)
    expected = mix_background(batch.numpy().swapaxes(1, 2), noise.swapaxes(1, 2), snr_db).swapaxes(1, 2)
    found = mix_in(batch.clone(), torch.from_numpy(noise.copy()), torch.from_numpy(snr_db))
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)
    some = np.array([1, 5, 20])
    given = Noise(some, torch.from_numpy(noise[some]), snr_db[some])
    mixed = augment_batch(batch.clone(), given, OFF, WARPS[20:21], rng)
    np.testing.assert_allclose(mixed[some].numpy(), expected[some], atol=2e-5)
    others = np.setdiff1d(np.arange(COUNT), some)
    assert torch.equal(mixed[others], batch[others])


def test_hidden_is_the_mean_and_nothing_else_is_touched(batch: Tensor, rng: np.random.Generator) -> None:
    frames, mels = (torch.from_numpy(rng.random((COUNT, size)) < 0.2) for size in (FRAMES, MELS))
    found = hide(batch.clone(), frames, mels)
    hidden = frames[:, :, None] | mels[:, None, :]
    mean = batch.mean(dim=(1, 2), keepdim=True).expand_as(batch)
    torch.testing.assert_close(found[hidden], mean[hidden])
    torch.testing.assert_close(found[~hidden], batch[~hidden])


@pytest.mark.parametrize(
    "config",
    [
        replace(OFF, warp_percent=20.0),
        replace(OFF, tilt_db=6.0),
        replace(OFF, gain_db=12.0),
        replace(OFF, background_share=0.7, snr_high_db=30.0),
        replace(OFF, time_masks=1, mel_masks=2),
        AugmentConfig(tempo_percent=0.0),
    ],
    ids=["warp", "tilt", "gain", "background", "masks", "all"],
)
def test_the_spread_is_that_of_arrays(config: AugmentConfig) -> None:
    """Mean and deviation of what is changed, by mel band, over many draws."""
    rng, count = np.random.default_rng(3), 3000
    slope = np.linspace(-4, -10, MELS, dtype=np.float32)
    plain = (slope + rng.normal(0, 0.5, (count, 12, MELS))).astype(np.float32)
    noise = rng.normal(-6, 1, (count, 12, MELS)).astype(np.float32)
    matrices = warp_matrices(FrontendConfig(), config.warp_percent)
    mixing = config.background_share > 0
    theirs = augment(
        plain.swapaxes(1, 2), noise.swapaxes(1, 2) if mixing else None, config, matrices, np.random.default_rng(1)
    ).swapaxes(1, 2)
    generator = np.random.default_rng(2)
    snr_db = draw_snr_db(config, count, generator)
    some = np.flatnonzero(np.isfinite(snr_db))
    given = Noise(some, torch.from_numpy(noise[some]), snr_db[some]) if mixing else None
    ours = augment_batch(torch.from_numpy(plain.copy()), given, config, torch.from_numpy(matrices), generator).numpy()
    for statistic in (np.mean, np.std, lambda values, axis: np.abs(np.diff(values, axis=2)).mean(axis=(0, 1))[:-1]):
        found, expected = (statistic((changed - plain), axis=(0, 1)) for changed in (ours, theirs))
        np.testing.assert_allclose(found, expected, atol=0.12)
