"""Speech faster or slower, pitch and formants unchanged: frames of log-mel features resampled in time.

People differ in tempo as much as in voice, and among forty voices few speak very fast or very slowly. On features it
costs an interpolation, so that every draw of an example has a tempo of its own (`variants.speed_percent` does it to
the waveform, once). It knows nothing of labels.
"""

import numpy as np
from numpy.typing import NDArray


def draw_stretches(percent: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How much longer each example becomes, shape (count,): from 1 / (1 + p) to 1 + p, slower as often as faster.

    >>> draw_stretches(0.0, 2, np.random.default_rng(0)).tolist()
    [1.0, 1.0]
    """
    most = np.log1p(percent / 100)
    drawn: NDArray[np.float64] = np.exp(rng.uniform(-most, most, count))
    return drawn


def change_tempo(batch: NDArray[np.float32], lengths: NDArray[np.intp], frames: int) -> NDArray[np.float32]:
    """The first `lengths` (examples,) frames of each example, over `frames` frames each, interpolated linearly.

    `batch` of shape (examples, longest, mels), the result (examples, frames, mels). First and last frame stay what they
    are. `lengths` are at least 2.

    >>> batch = np.array([0.0, 1.0, 2.0, 9.0], np.float32).reshape(1, 4, 1)
    >>> change_tempo(batch, np.array([3]), 5).ravel().tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    last = (lengths - 1)[:, None]
    places = last * np.arange(frames) / (frames - 1)  # exact where the length stays what it is
    before = np.minimum(places.astype(np.intp), last - 1)
    share = (places - before).astype(np.float32)[:, :, None]
    rows = np.arange(len(batch))[:, None]
    changed, after = batch[rows, before], batch[rows, before + 1]
    after -= changed
    after *= share
    changed += after
    return changed
