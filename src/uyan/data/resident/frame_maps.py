"""Which frame of the resident features each frame of a crop is: crops, cut-ups and near-words as arithmetic on indices.

What `augment.crop_with_padding` and `near_words` do to one recording's features is done here to the numbers of its
frames, for many at once; features move once, at the end. Randomness comes as numbers in [0, 1). It knows nothing of
labels.
"""

import numpy as np
from numpy.typing import NDArray

from uyan.data.resident.batch_placing import Chance, Frames, Spans, one_of, rounded
from uyan.data.resident.resident_features import Layout

FrameMap = NDArray[np.int64]
"""Frames of the resident features, shape (crops, frames)."""


def crop_map(layout: Layout, recordings: NDArray[np.intp], starts: Frames, chance: Chance) -> FrameMap:
    """Frames from `starts` on of `recordings`, both (crops,), as many as `chance` (crops, frames) has.

    Beyond a recording's ends, quiet frames of its own by `chance`, as `crop_with_padding` has it.
    """
    places = starts[:, None] + np.arange(chance.shape[1])
    inside = (places >= 0) & (places < layout.frames[recordings][:, None])
    return _resident(layout, recordings, np.where(inside, places, _quiet(layout, recordings, chance)))


def cut_up_map(first: FrameMap, second: FrameMap, cuts: Frames) -> FrameMap:
    """Each crop's first up to its frame `cuts` (crops,), the second from there.

    >>> cut_up_map(np.array([[1, 2, 3]]), np.array([[7, 8, 9]]), np.array([1])).tolist()
    [[1, 8, 9]]
    """
    return np.where(np.arange(first.shape[1]) < cuts[:, None], first, second)


def near_word_map(
    layout: Layout,
    recordings: NDArray[np.intp],
    words: Spans,
    starts: Frames,
    chance: Chance,
    kinds: Frames,
    kept_shares: NDArray[np.float64],
    speech: FrameMap,
    lengths: Frames,
) -> FrameMap:
    """`crop_map` of near-words of `kinds` (crops,), numbered as in `near_words.near_word`.

    `speech` are crops of negatives, of which the first `lengths` (crops,) frames count. Padding is of the recording as
    it was, whatever stands in it.
    """
    total = layout.frames[recordings][:, None]
    start = np.clip(words.start[:, None], 0, total)
    end = np.clip(words.end[:, None], start, total)
    kept = rounded(kept_shares[:, None] * (end - start))
    kind = kinds[:, None]
    places = starts[:, None] + np.arange(chance.shape[1])
    inside = (places >= 0) & (places < total)
    moved = _moved(places, start, end, kind)
    silent = ((kind == 0) & (places >= start + kept) & (places < end)) | (
        (kind == 1) & (places >= start) & (places < end - kept)
    )
    heard = _resident(layout, recordings, np.where(inside & ~silent, moved, _quiet(layout, recordings, chance)))
    after, before = (kind == 2) & (places >= start + kept), (kind == 3) & (places < end - kept)
    spoken = np.take_along_axis(speech, (places - np.where(after, start + kept, 0)) % lengths[:, None], axis=1)
    return np.where(inside & (after | before), spoken, heard)


def _moved(places: Frames, start: Frames, end: Frames, kind: Frames) -> Frames:
    """The frame that stands at each place when the word is reversed (kind 4) or its halves are swapped (5)."""
    within = (places >= start) & (places < end)
    length = np.maximum(1, end - start)
    swapped = start + (places - start + length // 2) % length
    moved = np.where(within & (kind == 4), start + end - 1 - places, places)
    return np.where(within & (kind == 5), swapped, moved)


def _quiet(layout: Layout, recordings: NDArray[np.intp], chance: Chance) -> NDArray[np.int32]:
    """Any of the quiet frames of each recording, shape of `chance` (crops, frames)."""
    number = one_of(layout.quiet_counts[recordings][:, None], chance)
    frames: NDArray[np.int32] = layout.quiet[layout.quiet_starts[recordings][:, None] + number]
    return frames


def _resident(layout: Layout, recordings: NDArray[np.intp], frames: NDArray[np.integer]) -> FrameMap:
    found: FrameMap = layout.starts[recordings][:, None] + frames
    return found
