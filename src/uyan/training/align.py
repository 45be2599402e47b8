"""Where the network hears the word in each positive, in place of where its energy is.

Training labels windows positive from the moment the word has ended, so that the margin over a recording rises to a
plateau there. The rise says where words lie relative to one another far better than energy does, which noise, breath or
other words mislead; where on the word it lies, the network settled for itself, and the energy of most recordings says.
It knows nothing of batches.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from uyan.data.augment import crop_with_padding
from uyan.data.cache import FeatureCache
from uyan.data.locate import Span
from uyan.engine.parallel import Progress, silent
from uyan.model.network import STRIDE, Network
from uyan.training.dense import Margins, Piece, ScanSource, content_seed, cut, dense_margins, evaluating

STAGE = "word positions"
SMOOTHING_POSITIONS = 5
"""Median over 100 ms: a single window's dip is no edge, and a step stays where it is."""
BACKGROUND_PERCENTILE = 10


def relocate_word(
    margins: NDArray[np.floating], first_frame: int, energy: Span, window_frames: int, tail_frames: int
) -> Span:
    """The word by the network's margins (positions,), or `energy`, where the network does not hear it.

    Window p covers frames [first_frame + 2p, first_frame + 2p + window_frames) of the recording; with a first frame
    of −window_frames the word may begin with the recording. The word ends where the margin rises through half
    the height between the background (its 10th percentile) and the best plateau of `tail_frames`; it is as long as
    `energy`, one window at most. `energy` is returned when no margin, smoothed, is above 0, or when there is no rise.

    >>> margins = np.full(100, -4.0); margins[60:80] = 3.0
    >>> relocate_word(margins, first_frame=-100, energy=Span(10, 70), window_frames=100, tail_frames=40)
    Span(start=60, end=120)
    """
    edge = _rise(margins, tail_frames)
    if edge is None:
        return energy
    end = first_frame + STRIDE * edge + window_frames
    return Span(end - min(energy.frames, window_frames), end)


def _rise(margins: NDArray[np.floating], tail_frames: int) -> int | None:
    """The position at which the best plateau is reached, or None."""
    half = SMOOTHING_POSITIONS // 2
    padded = np.pad(margins.astype(np.float64), half, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING_POSITIONS), axis=1)
    if smooth.max() <= 0:
        return None
    length = min(max(1, tail_frames // STRIDE), smooth.size)
    levels = np.convolve(smooth, np.full(length, 1 / length), "valid")
    best = int(levels.argmax())
    top = best + int(smooth[best : best + length].argmax())
    background = float(np.percentile(smooth, BACKGROUND_PERCENTILE))
    plateau = max(float(np.median(smooth[best : best + length])), 0.0)
    below = np.flatnonzero(smooth[:top] < (background + plateau) / 2)
    return int(below[-1]) + 1 if below.size else None


def relocate_words(
    network: Network,
    cache: FeatureCache,
    words: Mapping[str, Span],
    tail_frames: int,
    progress: Progress = silent,
) -> dict[str, Span]:
    """The word in every positive, by content hash, from dense passes over its cached features.

    The network's rise lies somewhere between half the word and its end, for every recording alike; the median distance
    from the end by energy, over the words it hears, is taken out, so that ends by energy and by network agree on the
    whole. Words it does not hear keep their span. Raises TrainingError for a score that is not a number.
    """
    window, lengths = network.window_frames, dict(zip(words, cache.lengths(list(words)).tolist(), strict=True))
    heard: dict[str, Span] = {}
    progress(STAGE, 0, len(words))
    done = 0
    with evaluating(network):
        for source, first, margins in _margins(network, cache, words, tail_frames):
            span = relocate_word(margins, first, words[source], window, tail_frames)
            if span is not words[source]:
                heard[source] = span
            done += 1
            progress(STAGE, done, len(words))
    lag = round(float(np.median([heard[key].end - words[key].end for key in heard]))) if heard else 0
    return {key: _within(heard[key], lag, lengths[key]) if key in heard else words[key] for key in words}


def _margins(
    network: Network, cache: FeatureCache, keys: Iterable[str], tail_frames: int
) -> Iterator[tuple[str, int, NDArray[np.float32]]]:
    """Key, frame of the first window and margins (positions,) of each recording, a window of quiet before it."""
    window = network.window_frames

    def pieces() -> Iterator[tuple[ScanSource, Piece]]:
        for key in keys:
            features = cache.read(key)
            rng = np.random.default_rng(content_seed(features))
            padded = crop_with_padding(features, -window, window + features.shape[1] + tail_frames, rng)
            for piece in cut([padded], window):
                yield ScanSource(key, key), piece

    parts: list[Margins] = []
    for margins in dense_margins(network, pieces()):
        parts.append(margins)
        if margins.total is not None:
            yield margins.source.key, parts[0].first - window, np.concatenate([part.values for part in parts])
            parts = []


def _within(span: Span, lag: int, frames: int) -> Span:
    """The span `lag` frames earlier, inside a recording."""
    end = min(max(span.end - lag, 1), frames)
    return Span(min(max(end - span.frames, 0), end - 1), end)
