"""Augmentation in the feature domain: voices, microphones, background mixing, gain, SpecAugment, padding around a clip.

All functions work on a batch of log-mel features of shape (batch, mels, frames), draw from an explicit `rng`, and
say their unit in the name. Mixing adds powers, so that noise at any level costs one addition (ARCHITECTURE
decision 3). Shifts in time are not among them: crops are drawn anywhere around the word (`batches.tail_s` and
`batches.extra_s`). They know nothing of files or labels.
"""

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from uyan.data.mel_warp import warp_mels
from uyan.errors import ConfigError

LN_POWER_PER_DB = float(np.log(10) / 10)
BUMP_MEL_SHARE = 1 / 6
"""Width (standard deviation) of the bump in a spectral response, as a share of the mel axis."""
QUIET_ONE_IN = 10
"""Frames of a recording of which the quietest one counts as quiet."""

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
    tempo_percent: float = 25.0
    """Speech is faster or slower by up to this much, pitch and formants unchanged (`tempo`); 0 turns it off."""
    gain_db: float = 12.0
    """Level changes by up to this much either way."""
    time_masks: int = 1
    time_mask_frames: int = 12
    """SpecAugment: masks of up to this many frames; 0 masks turn it off."""
    mel_masks: int = 2
    mel_mask_mels: int = 10
    """SpecAugment: masks of up to this many mels."""
    warp_percent: float = 20.0
    """Voices' frequencies are scaled by up to this much either way, a longer or shorter vocal tract; 0 turns it off."""
    tilt_db: float = 6.0
    """A smooth spectral response, a tilt and a broad bump, of up to this much either way; 0 turns it off."""

    def __post_init__(self) -> None:
        if not 0 <= self.background_share <= 1:
            raise ConfigError(f"augment.background_share must lie in [0, 1], not {self.background_share}")
        if self.snr_low_db > self.snr_high_db:
            raise ConfigError("augment: snr_low_db is above snr_high_db")
        if min(self.time_masks, self.time_mask_frames, self.mel_masks, self.mel_mask_mels) < 0 or self.gain_db < 0:
            raise ConfigError("augment: masks and gain_db cannot be negative")
        for name in ("warp_percent", "tempo_percent"):
            if not 0 <= getattr(self, name) < 50:
                raise ConfigError(f"augment.{name} must lie in [0, 50), not {getattr(self, name)}")
        if self.tilt_db < 0:
            raise ConfigError(f"augment.tilt_db cannot be negative, as {self.tilt_db} is")


class Drawn(NamedTuple):
    """Random numbers are drawn for a whole batch, of which these examples are computed."""

    examples: int
    """Of the whole batch."""
    own: NDArray[np.intp]
    """Numbers of those at hand, shape (batch,)."""


def everything(batch: Sized) -> Drawn:
    """A batch that is whole."""
    return Drawn(len(batch), np.arange(len(batch)))


def augment(
    batch: Batch,
    background: Batch | None,
    config: AugmentConfig,
    matrices: NDArray[np.float32],
    rng: np.random.Generator,
    drawn: Drawn | None = None,
) -> Batch:
    """All of it on a batch (batch, mels, frames): the voice and its microphone, then background, then level and masks.

    `background` of the same shape, None for none; `matrices` are `warp_matrices` up to `config.warp_percent`; `drawn`
    says which examples of a larger batch these are.
    """
    (count, own), mels = drawn or everything(batch), batch.shape[1]
    if config.warp_percent:
        batch = warp_mels(batch, rng.uniform(-config.warp_percent, config.warp_percent, count)[own], matrices)
    if config.tilt_db:
        batch = apply_response(batch, draw_response_db(config, count, mels, rng)[own])
    if background is not None:
        batch = mix_background(batch, background, draw_snr_db(config, count, rng)[own])
    gain_db = rng.uniform(-config.gain_db, config.gain_db, count).astype(np.float32)
    return spec_augment(apply_gain(batch, gain_db[own]), config, rng, Drawn(count, own))


def draw_response_db(config: AugmentConfig, count: int, mels: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One smooth response an example, shape (count, mels), within ±`tilt_db`: half of it a tilt, half a broad bump."""
    mel_share = (np.arange(mels) + 0.5) / mels
    tilt_db, bump_db = rng.uniform(-config.tilt_db / 2, config.tilt_db / 2, (2, count, 1))
    centre = rng.random((count, 1))
    bump = np.exp(-0.5 * ((mel_share - centre) / BUMP_MEL_SHARE) ** 2)
    response_db: NDArray[np.float32] = (tilt_db * (2 * mel_share - 1) + bump_db * bump).astype(np.float32)
    return response_db


def apply_response(batch: Batch, response_db: NDArray[np.float32]) -> Batch:
    """Colour each example by its response over the mel axis, shape (batch, mels)."""
    coloured: Batch = batch + (response_db * np.float32(LN_POWER_PER_DB))[:, :, None]
    return coloured


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
    frames = np.einsum("bmf->bf", power) / power.shape[1]  # a quarter of the time of `mean` over short rows
    loudest = max(1, frames.shape[1] // 5)
    top = np.partition(frames, frames.shape[1] - loudest, axis=1)[:, -loudest:]
    active: NDArray[np.float32] = top.mean(axis=1)
    return active


def draw_snr_db(config: AugmentConfig, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One signal-to-noise ratio an example, +inf (no background) for the share that stays clean, shape (count,)."""
    snr_db = rng.uniform(config.snr_low_db, config.snr_high_db, count)
    clean = rng.random(count) >= config.background_share
    return np.where(clean, np.inf, snr_db).astype(np.float32)


def spec_augment(batch: Batch, config: AugmentConfig, rng: np.random.Generator, drawn: Drawn | None = None) -> Batch:
    """Mask random stretches of time and of mels with the example's mean (Park et al. 2019); `drawn` as in `augment`."""
    (count, own), (_, mels, frames) = drawn or everything(batch), batch.shape
    hidden_frames = draw_masks(config.time_masks, config.time_mask_frames, count, frames, rng)[own]
    hidden_mels = draw_masks(config.mel_masks, config.mel_mask_mels, count, mels, rng)[own]
    hidden = (hidden_frames[:, :, None] | hidden_mels[:, None, :]).swapaxes(1, 2)  # frame by frame, as batches are
    masked = batch.copy(order="K")
    np.copyto(masked, batch.mean(axis=(1, 2), keepdims=True), where=hidden)
    return masked


def draw_masks(masks: int, longest: int, count: int, length: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """What of an axis `masks` random stretches of up to `longest` cover in each example, shape (count, length)."""
    places, covered = np.arange(length), np.zeros((count, length), np.bool_)
    for _ in range(masks):
        lengths = rng.integers(0, min(longest, length) + 1, (count, 1))
        starts = rng.integers(0, length - lengths + 1)
        covered |= (places >= starts) & (places < starts + lengths)
    return covered


def crop_with_padding(
    features: NDArray[Real], start: int, frames: int, rng: np.random.Generator, room: NDArray[Real] | None = None
) -> NDArray[Real]:
    """Frames [start, start + frames) of a recording (mels, frames_in); beyond its ends, quiet frames of its own.

    A real microphone hears the room before and after a word, so the padding is not silent. Of a recording that was
    changed, `room` (mels, any) is what it was.
    """
    total = features.shape[1]
    left, right = max(0, -start), max(0, start + frames - total)
    inside = features[:, max(0, start) : max(0, min(total, start + frames))]
    if not left and not right:
        return inside
    left, right = min(left, frames), min(right, frames)
    pad = quiet_frames(features if room is None else room, left + right, rng)
    return np.concatenate([pad[:, :left], inside, pad[:, left:]], axis=1)


def quiet_frames(features: NDArray[Real], frames: int, rng: np.random.Generator) -> NDArray[Real]:
    """That many frames drawn from the quietest tenth of a recording (mels, frames_in), shape (mels, frames)."""
    energy = features.astype(np.float32).mean(axis=0)
    quiet = np.argsort(energy, kind="stable")[: max(1, features.shape[1] // QUIET_ONE_IN)]
    # Frame by frame, as recordings are cached: each is one stretch of memory.
    return features.T[quiet[rng.integers(0, quiet.size, frames)]].T
