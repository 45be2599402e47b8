"""The network's margin at every window position of whole recordings, in constant memory.

Recordings of any length are cut into pieces of a minute that overlap by a window less one position, so that nothing is
lost at a seam; short ones are put side by side in one pass, and the windows that would hear two of them are dropped.
It knows nothing of what the margins are for.
"""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from uyan.data.augment import crop_with_padding
from uyan.data.cache import HalfFeatures, to_single
from uyan.data.shards.shard_folder import ShardFolder
from uyan.errors import TrainingError
from uyan.frontend import Features
from uyan.model.network import STRIDE, Network

PASS_POSITIONS = 3_000
"""Of one pass, 60 s: 8,500 × real time a core with the default network; 15 s give 6,200, 120 s no more than 60."""
READ_FRAMES = 60_000
"""Of a long recording at once: ten minutes, 7.7 MB."""


AnyFeatures = HalfFeatures | Features
"""Log-mel features, shape (mels, frames): from the cache, or fresh from audio."""


class ScanSource(NamedTuple):
    """A recording to pass over."""

    key: str
    """Its name in the feature cache."""
    path: str
    """As people know it."""


class Piece(NamedTuple):
    """A stretch of one recording, whole windows only."""

    first: int
    """Frame of the recording at which the first window starts; negative in the padding before a short recording."""
    total: int | None
    """Frames of the recording, without padding, in its last piece; None before."""
    features: AnyFeatures
    """(mels, frames), stored frame by frame."""


class Margins(NamedTuple):
    """What the network says of one piece."""

    source: ScanSource
    first: int
    total: int | None
    """Both as in `Piece`."""
    values: NDArray[np.float32]
    """Logit of the keyword less that of background, shape (positions,); window p starts at frame first + 2p."""


def piece_frames(window_frames: int) -> int:
    """Frames of a piece in which `PASS_POSITIONS` windows start and end.

    >>> piece_frames(100)
    6098
    """
    return STRIDE * (PASS_POSITIONS - 1) + window_frames


def padded_frames(window_frames: int) -> int:
    """Recordings shorter than this, one and a half windows, are padded to it.

    >>> padded_frames(100)
    150
    """
    return window_frames + window_frames // 2


def cut(blocks: Iterable[AnyFeatures], window_frames: int) -> Iterator[Piece]:
    """Pieces of a recording that comes as blocks of features (mels, frames), of any lengths, at least one frame in all.

    A short recording stands in the middle of quiet frames of its own, as in a training crop, so that windows hear it
    early and late; they are drawn by its content, and so always the same.
    """
    full, first, ended = piece_frames(window_frames), 0, 0
    held: AnyFeatures | None = None
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=1)
        ended += block.shape[1]
        while held.shape[1] >= full + STRIDE:  # so that a window is left for the last piece
            yield Piece(first, None, held[:, :full])
            held = held[:, STRIDE * PASS_POSITIONS :]
            first += STRIDE * PASS_POSITIONS
    if held is None or not ended:
        raise TrainingError("a recording without a single frame cannot be scanned; it needs 25 ms of audio at least")
    wanted = padded_frames(window_frames)
    if ended < wanted:
        first = -((wanted - ended) // 2)
        rng = np.random.default_rng(content_seed(held))
        held = crop_with_padding(held, first, wanted, rng)
    yield Piece(first, ended, held)


def content_seed(features: AnyFeatures) -> int:
    """A seed for everything random about a recording's features (mels, frames): the same fresh and cached."""
    return zlib.crc32(features.T.astype(np.float16, "C").tobytes())


def cached_blocks(shards: ShardFolder, key: str) -> Iterator[HalfFeatures]:
    """A cached recording as blocks of features (mels, frames)."""
    (frames,) = shards.lengths([key]).tolist()
    for start in range(0, max(1, frames), READ_FRAMES):
        yield shards.read(key, start, start + READ_FRAMES)


def dense_margins(network: Network, pieces: Iterable[tuple[ScanSource, Piece]]) -> Iterator[Margins]:
    """Margins of every piece, in order; the network must be in evaluation mode.

    Raises TrainingError, naming the recording, for a margin that is not a number.
    """
    waiting: list[tuple[ScanSource, Piece]] = []
    room = piece_frames(network.window_frames) + 1
    used = 0
    for source, piece in pieces:
        frames = _even(piece.features.shape[1])
        if used + frames > room:
            yield from _pass(network, waiting)
            waiting, used = [], 0
        waiting.append((source, piece))
        used += frames
    if waiting:
        yield from _pass(network, waiting)


def _pass(network: Network, pieces: list[tuple[ScanSource, Piece]]) -> Iterator[Margins]:
    """One run of the network over pieces side by side, each at an even frame: the network's positions are even."""
    joined: list[AnyFeatures] = []
    for _, piece in pieces:
        joined.append(piece.features.T)
        if piece.features.shape[1] % STRIDE:
            joined.append(piece.features.T[-1:])
    features = np.concatenate(joined)
    single = to_single(cast(HalfFeatures, features)) if features.dtype == np.float16 else features
    with torch.inference_mode():
        logits = network(torch.from_numpy(single).T.unsqueeze(0).to(network.mean.device))[0]
        margins = (logits[1] - logits[0]).cpu().numpy()
    start = 0
    for source, piece in pieces:
        length = piece.features.shape[1]
        begin, count = start // STRIDE, (length - network.window_frames) // STRIDE + 1
        values = margins[begin : begin + count]
        if not np.isfinite(values).all():
            raise TrainingError(
                f"{source.path}: the network's score is not a number; lower training.learning_rate and train again, or "
                "delete the recording's features if other recordings are scored"
            )
        yield Margins(source, piece.first, piece.total, values)
        start += _even(length)


def _even(frames: int) -> int:
    return frames + frames % STRIDE


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """The network in evaluation mode, and back as it was."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
