"""`tempo` and `augment` for features that stay on the device: the same changes, by large torch operations in place.

Random numbers come from an explicit numpy generator and are drawn by the functions that draw for `augment`; only they
and frame numbers travel to the device. Batches are (batch, frames, mels), as features lie in memory.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uyan.data.augment import LN_POWER_PER_DB, AugmentConfig, Drawn, draw_masks, draw_response_db, everything


def gather_crops(features: Tensor, frames: NDArray[np.int64], lengths: NDArray[np.intp], crop_frames: int) -> Tensor:
    """Crops of `features` (frames, mels) float16 in single precision, shape (batch, crop_frames, mels).

    The first `lengths` (batch,) of `frames` (batch, longest) are heard over `crop_frames`, as `change_tempo` has it.
    """
    if (lengths == crop_frames).all():
        return _gathered(features, frames[:, :crop_frames])
    last = (lengths - 1)[:, None]
    places = last * np.arange(crop_frames) / (crop_frames - 1)
    before = np.minimum(places.astype(np.intp), last - 1)
    share = (places - before).astype(np.float32)[:, :, None]
    crops = _gathered(features, np.take_along_axis(frames, before, axis=1))
    after = _gathered(features, np.take_along_axis(frames, before + 1, axis=1))
    return crops.lerp_(after, _moved(share, features))


class Noise(NamedTuple):
    """Background for some examples of a batch."""

    examples: NDArray[np.int64]
    """Which; (mixed,)."""
    crops: Tensor
    """(mixed, frames, mels)."""
    snr_db: NDArray[np.float32]
    """(mixed,)."""


def augment_batch(
    batch: Tensor,
    noise: Noise | None,
    config: AugmentConfig,
    warps: Tensor,
    rng: np.random.Generator,
    drawn: Drawn | None = None,
) -> Tensor:
    """As `augment.augment`, on crops (batch, frames, mels), which are used up, as is the noise.

    `warps` are `warp_matrices` up to `config.warp_percent`, on the device of the batch.
    """
    (count, own), (_, frames, mels) = drawn or everything(batch), batch.shape
    warp_percent = rng.uniform(-config.warp_percent, config.warp_percent, count)[own]
    chosen = np.rint(warp_percent).astype(np.int64) + len(warps) // 2
    # The level now, and not last: noise is measured by speech, and so gets louder with it.
    response_db = draw_response_db(config, count, mels, rng)
    response_db += rng.uniform(-config.gain_db, config.gain_db, (count, 1)).astype(np.float32)
    response = _moved(response_db[own] * np.float32(LN_POWER_PER_DB), batch)[:, None, :]
    batch = (
        torch.baddbmm(response, batch, warps[_moved(chosen, batch)]) if config.warp_percent else batch.add_(response)
    )
    if noise is not None:
        mixed = _moved(noise.examples, batch)
        speech = batch.index_select(0, mixed)
        batch.index_copy_(0, mixed, mix_in(speech, noise.crops, _moved(noise.snr_db, batch)))
    if config.time_masks or config.mel_masks:
        hidden_frames = draw_masks(config.time_masks, config.time_mask_frames, count, frames, rng)[own]
        hidden_mels = draw_masks(config.mel_masks, config.mel_mask_mels, count, mels, rng)[own]
        hide(batch, _moved(hidden_frames, batch), _moved(hidden_mels, batch))
    return batch


def mix_in(speech: Tensor, background: Tensor, snr_db: Tensor) -> Tensor:
    """As `augment.mix_background`, in place, on (batch, frames, mels) at `snr_db` (batch,)."""
    power, noise = speech.exp_(), background.exp_()
    loudest = max(1, power.shape[1] // 5)
    active = power.mean(dim=2).topk(loudest, dim=1, sorted=False).values.mean(dim=1)
    gain = active / noise.mean(dim=(1, 2)) * (snr_db * -LN_POWER_PER_DB).exp_()
    return power.addcmul_(noise, gain[:, None, None]).log_()


def hide(batch: Tensor, hidden_frames: Tensor, hidden_mels: Tensor) -> Tensor:
    """Put the example's mean where frames (batch, frames) or mels (batch, mels) are hidden, in place.

    >>> hide(torch.tensor([[[0.0, 1.0], [2.0, 5.0]]]), torch.tensor([[False, True]]), torch.tensor([[True, False]]))
    tensor([[[2., 1.],
             [2., 2.]]])
    """
    mean = batch.mean(dim=(1, 2), keepdim=True)
    kept_frames, kept_mels = (~hidden_frames).float()[:, :, None], (~hidden_mels).float()[:, None, :]
    # A third of the time of `where` over a mask of every number.
    return batch.sub_(mean).mul_(kept_frames).mul_(kept_mels).add_(mean)


def _gathered(features: Tensor, frames: NDArray[np.int64]) -> Tensor:
    count, length = frames.shape
    chosen = features.index_select(0, _moved(frames.ravel(), features))
    return chosen.view(count, length, features.shape[1]).float()


def _moved(numbers: NDArray[np.generic], like: Tensor) -> Tensor:
    """Numbers of any shape, on the device of `like`."""
    return torch.from_numpy(numbers).to(like.device, non_blocking=True)
