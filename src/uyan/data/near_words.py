"""Near-words: what almost is the keyword and must not fire, made from recordings of the keyword.

Half of a phrase, alone or in other speech, or its sounds in another order, has the voice, the sounds and the room of
the keyword: without such negatives a detector learns the sounds and not their sequence. Log-mel frames are symmetric in
time, so a word played backwards is its frames in reverse. It knows nothing of labels; a word that is the same
backwards, or whose halves are alike ("mama"), is no near-word of itself and has to do without.
"""

import numpy as np
from numpy.typing import NDArray

from uyan.data.augment import Real, quiet_frames
from uyan.data.locate import Span

LEAST_KEPT, MOST_KEPT = 0.35, 0.50
"""Share of the word that a partial word keeps."""
KINDS = 6


def first_part(features: NDArray[Real], word: Span, kept_share: float, rng: np.random.Generator) -> NDArray[Real]:
    """Features (mels, frames) with only the first `kept_share` of the word; quiet frames of their own for the rest.

    >>> clip = np.array([[-9, 1, 2, 3, 4, -9]], np.float32)
    >>> first_part(clip, Span(1, 5), 0.5, np.random.default_rng(0)).tolist()
    [[-9.0, 1.0, 2.0, -9.0, -9.0, -9.0]]
    """
    word = _within(word, features)
    return _silenced(features, Span(word.start + round(kept_share * word.frames), word.end), rng)


def last_part(features: NDArray[Real], word: Span, kept_share: float, rng: np.random.Generator) -> NDArray[Real]:
    """Features (mels, frames) with only the last `kept_share` of the word; quiet frames of their own for the rest."""
    word = _within(word, features)
    return _silenced(features, Span(word.start, word.end - round(kept_share * word.frames)), rng)


def reversed_word(features: NDArray[Real], word: Span) -> NDArray[Real]:
    """Features (mels, frames) with the word played backwards.

    >>> reversed_word(np.array([[0, 1, 2, 3, 0]]), Span(1, 4)).tolist()
    [[0, 3, 2, 1, 0]]
    """
    word = _within(word, features)
    near = features.copy(order="K")
    near[:, word.start : word.end] = features[:, word.start : word.end][:, ::-1]
    return near


def swapped_halves(features: NDArray[Real], word: Span) -> NDArray[Real]:
    """Features (mels, frames) with the word's second half before its first.

    >>> swapped_halves(np.array([[0, 1, 2, 3, 4, 0]]), Span(1, 5)).tolist()
    [[0, 3, 4, 1, 2, 0]]
    """
    word = _within(word, features)
    near = features.copy(order="K")
    near[:, word.start : word.end] = np.roll(features[:, word.start : word.end], -(word.frames // 2), axis=1)
    return near


def first_part_then(features: NDArray[Real], word: Span, kept_share: float, speech: NDArray[Real]) -> NDArray[Real]:
    """The first `kept_share` of the word and what is before it, then other speech (mels, frames), to the end.

    >>> first_part_then(np.array([[0, 1, 2, 3, 4, 0]]), Span(1, 5), 0.5, np.array([[7, 8, 9]])).tolist()
    [[0, 1, 2, 7, 8, 9]]
    """
    word = _within(word, features)
    cut = word.start + round(kept_share * word.frames)
    return np.concatenate([features[:, :cut], _of_length(speech, features.shape[1] - cut)], axis=1)


def last_part_after(features: NDArray[Real], word: Span, kept_share: float, speech: NDArray[Real]) -> NDArray[Real]:
    """Other speech (mels, frames), then the last `kept_share` of the word and what is after it.

    >>> last_part_after(np.array([[0, 1, 2, 3, 4, 0]]), Span(1, 5), 0.5, np.array([[7, 8, 9]])).tolist()
    [[7, 8, 9, 3, 4, 0]]
    """
    word = _within(word, features)
    cut = word.end - round(kept_share * word.frames)
    return np.concatenate([_of_length(speech, cut), features[:, cut:]], axis=1)


def near_word(features: NDArray[Real], word: Span, speech: NDArray[Real], rng: np.random.Generator) -> NDArray[Real]:
    """One of the six, each as likely, of features (mels, frames); a partial word keeps 35-50 %.

    `speech` (mels, frames) is of negatives.
    """
    kind, kept_share = int(rng.integers(KINDS)), rng.uniform(LEAST_KEPT, MOST_KEPT)
    if kind == 0:
        return first_part(features, word, kept_share, rng)
    if kind == 1:
        return last_part(features, word, kept_share, rng)
    if kind == 2:
        return first_part_then(features, word, kept_share, speech)
    if kind == 3:
        return last_part_after(features, word, kept_share, speech)
    return reversed_word(features, word) if kind == 4 else swapped_halves(features, word)


def _of_length(speech: NDArray[Real], frames: int) -> NDArray[Real]:
    """The first frames of (mels, frames_in), from the start again where there are too few, shape (mels, frames)."""
    return speech[:, np.arange(frames) % speech.shape[1]]


def _silenced(features: NDArray[Real], part: Span, rng: np.random.Generator) -> NDArray[Real]:
    silenced = features.copy(order="K")
    silenced[:, part.start : part.end] = quiet_frames(features, part.frames, rng)
    return silenced


def _within(word: Span, features: NDArray[Real]) -> Span:
    """The part of the word that the recording holds: a located or stretched span may reach past its end."""
    start = min(max(0, word.start), features.shape[1])
    return Span(start, max(start, min(word.end, features.shape[1])))
