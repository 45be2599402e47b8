"""Augmentation in the feature domain: background mixing, SpecAugment, gain and the padding around a clip.

All functions work on a batch of log-mel features of shape (batch, mels, frames), draw from an explicit `rng`, and
say their unit in the name. Mixing adds powers, so that noise at any level costs one addition (ARCHITECTURE
decision 3). They know nothing of files or labels.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from uyan.errors import ConfigError

LN_POWER_PER_DB = float(np.log(10) / 10)

Batch = NDArray[np.float32]
"""Log-mel features, shape (batch, mels, frames)."""
Real = TypeVar("Real", bound=np.floating)


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training batches, positives and negatives alike."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    background_share: float = 0.7
    """Share of examples mixed with background; 0 turns mixing off."""
    snr_low_db: float = 0.0
    snr_high_db: float = 30.0
    """The signal-to-noise ratio is drawn uniformly between these."""
    gain_db: float = 12.0
    """Level changes by up to this much either way."""
    time_masks: int = 1
    time_mask_frames: int = 12
    """SpecAugment: masks of up to this many frames; 0 masks turn it off."""
    mel_masks: int = 2
    mel_mask_mels: int = 10
    """SpecAugment: masks of up to this many mels."""

    def __post_init__(self) -> None:
        if not 0 <= self.background_share <= 1:
            raise ConfigError(f"augment.background_share must lie in [0, 1], not {self.background_share}")
        if self.snr_low_db > self.snr_high_db:
            raise ConfigError("augment: snr_low_db is above snr_high_db")
        if min(self.time_masks, self.time_mask_frames, self.mel_masks, self.mel_mask_mels) < 0 or self.gain_db < 0:
            raise ConfigError("augment: masks and gain_db cannot be negative")


def apply_gain(batch: Batch, gain_db: NDArray[np.float32]) -> Batch:
    """Change the level of each example by its `gain_db`, shape (batch,).

    >>> round(float(apply_gain(np.zeros((1, 1, 1), np.float32), np.array([10.0], np.float32))[0, 0, 0]), 4)
    2.3026
    """
    shifted: Batch = batch + (gain_db.astype(np.float32) * np.float32(LN_POWER_PER_DB))[:, None, None]
    return shifted


def mix_background(speech: Batch, background: Batch, snr_db: NDArray[np.float32]) -> Batch:
    """Add background to speech, both (batch, mels, frames), at `snr_db` (batch,); +inf adds nothing.

    The ratio is that of the speech's active level to the background's mean power, as in the evaluation's streams.
    """
    clean = np.isinf(snr_db)
    ratio = np.where(clean, np.float32(0), snr_db) * np.float32(LN_POWER_PER_DB)
    power, noise = np.exp(speech), np.exp(background)
    gain = (_active_power(power) / noise.mean(axis=(1, 2)) * np.exp(-ratio)).astype(np.float32)
    noise *= np.where(clean, np.float32(0), gain)[:, None, None]
    power += noise
    mixed: Batch = np.log(power, out=power)
    return mixed


def _active_power(power: Batch) -> NDArray[np.float32]:
    """Mean power of the loudest fifth of an example's frames, shape (batch,): silence around a word is no speech."""
    frames = power.mean(axis=1)
    loudest = max(1, frames.shape[1] // 5)
    top = np.partition(frames, frames.shape[1] - loudest, axis=1)[:, -loudest:]
    active: NDArray[np.float32] = top.mean(axis=1)
    return active


def draw_snr_db(config: AugmentConfig, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One signal-to-noise ratio an example, +inf (no background) for the share that stays clean, shape (count,)."""
    snr_db = rng.uniform(config.snr_low_db, config.snr_high_db, count)
    clean = rng.random(count) >= config.background_share
    return np.where(clean, np.inf, snr_db).astype(np.float32)


def spec_augment(batch: Batch, config: AugmentConfig, rng: np.random.Generator) -> Batch:
    """Mask random stretches of time and of mels with the example's mean (Park et al. 2019)."""
    masked = batch.copy(order="K")
    fill = batch.mean(axis=(1, 2))
    count, mels, frames = batch.shape
    for masks, longest, axis_length, along_time in (
        (config.time_masks, config.time_mask_frames, frames, True),
        (config.mel_masks, config.mel_mask_mels, mels, False),
    ):
        for _ in range(masks):
            lengths = rng.integers(0, min(longest, axis_length) + 1, count)
            starts = rng.integers(0, axis_length - lengths + 1)
            for example, (start, length) in enumerate(zip(starts, lengths, strict=True)):
                stop = start + length
                where = (example, slice(None), slice(start, stop)) if along_time else (example, slice(start, stop))
                masked[where] = fill[example]
    return masked


def crop_with_padding(features: NDArray[Real], start: int, frames: int, rng: np.random.Generator) -> NDArray[Real]:
    """Frames [start, start + frames) of a recording (mels, frames_in); beyond its ends, quiet frames of its own.

    A real microphone hears the room before and after a word, so the padding is drawn from the quietest tenth of the
    recording instead of being silent.
    """
    total = features.shape[1]
    left, right = max(0, -start), max(0, start + frames - total)
    inside = features[:, max(0, start) : max(0, min(total, start + frames))]
    if not left and not right:
        return inside
    energy = features.astype(np.float32).mean(axis=0)
    quiet = np.argsort(energy, kind="stable")[: max(1, total // 10)]
    left, right = min(left, frames), min(right, frames)
    pad = features[:, rng.choice(quiet, left + right)]
    return np.concatenate([pad[:, :left], inside, pad[:, left:]], axis=1)
