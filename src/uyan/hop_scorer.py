"""Scores of a stream, one a hop: from samples, or from features that several networks share.

The network remembers what it has computed, so that a hop costs only its own frames and a long push is one dense pass:
a chunk of 10 ms and a block of an hour give the same scores. Test-time averaging (TTA, MISSION 6.3) takes the mean
score over shifts of −40, −20, 0, +20 and +40 ms: neighbouring positions of that same pass, so that it costs 40 ms of
waiting and next to no computing. It knows nothing of decisions.
"""

import numpy as np
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, to_float
from uyan.bundle import STRIDE_FRAMES, Bundle, Memory
from uyan.decision import Scores
from uyan.frontend import Features, StreamingFrontend, sample_end, seconds_to_frames

TTA_REACH = 2
"""Positions on either side of a hop's own, 20 ms apart, whose scores its score is the mean of."""


class FeatureScorer:
    """Scores of a stream of features, one a hop; hop 0 is the first whole window."""

    def __init__(self, bundle: Bundle, tta: bool = False) -> None:
        self.bundle = bundle
        self.hop_frames = seconds_to_frames(bundle.info.detector.hop_s)
        self.reach = TTA_REACH if tta else 0
        self._first_frames = bundle.info.window_frames + STRIDE_FRAMES * self.reach
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._pending = np.zeros((self.bundle.info.frontend.mels, 0), np.float32)
        self._memory: Memory = []
        self._needed = self._first_frames
        self._recent: Scores | None = None

    @property
    def missing(self) -> int:
        """Frames until the next score."""
        return self._needed - self._pending.shape[1]

    def push(self, features: Features) -> Scores:
        """Scores of the hops that these features complete, shape (hops,); features of shape (mels, frames)."""
        frames = np.concatenate([self._pending, features], axis=1) if self._pending.size else features
        if frames.shape[1] < self._needed:
            self._pending = frames.copy()
            return np.zeros(0)
        used = self._needed + (frames.shape[1] - self._needed) // self.hop_frames * self.hop_frames
        logits, self._memory = self.bundle.step(frames[:, :used], self._memory)
        self._pending, self._needed = frames[:, used:].copy(), self.hop_frames
        stride = self.hop_frames // STRIDE_FRAMES
        if not self.reach:  # a hop's window ends with the last position of that hop
            return self.bundle.scores(logits[:, (logits.shape[1] - 1) % stride :: stride])
        return self._averaged(self.bundle.scores(logits), stride)

    def _averaged(self, scores: Scores, stride: int) -> Scores:
        """Means around each hop's position, the last of which ends the `scores`, shape (hops,)."""
        width, before = 2 * self.reach + 1, self._recent
        known = np.concatenate([np.zeros(self.reach) if before is None else before, scores])
        self._recent = known[known.size - max(0, width - stride) :]
        sums = _sums(known, width, stride)
        if before is not None:
            return sums / width
        there = np.ones(known.size)
        there[: self.reach] = 0  # before the first position there is nothing
        return sums / _sums(there, width, stride)

    def time_s(self, hop: int) -> float:
        """When the score of hop number `hop` is there, in seconds from the start of the stream."""
        return sample_end(hop * self.hop_frames + self._first_frames - 1) / SAMPLE_RATE


def _sums(values: Scores, width: int, stride: int) -> Scores:
    """Sums over windows of values (positions,), every `stride` of them, the last window at the end: (hops,)."""
    hops, first = divmod(values.size - width, stride)
    # Term by term, so that the order of a sum does not depend on how many hops are taken at once.
    found = values[first : first + hops * stride + 1 : stride].copy()
    for shift in range(first + 1, first + width):
        found += values[shift : shift + hops * stride + 1 : stride]
    return found


class HopScorer:
    """Scores of a stream of samples, one a hop, by one bundle."""

    def __init__(self, bundle: Bundle, tta: bool = False) -> None:
        self._network = FeatureScorer(bundle, tta)
        self._frontend = StreamingFrontend(bundle.info.frontend)

    def push(self, samples: NDArray[np.generic]) -> Scores:
        """Scores of the hops that these samples complete, shape (hops,); int16 or float32 mono at 16 kHz."""
        return self._network.push(self._frontend.push(to_float(samples), at_least=self._network.missing))

    def time_s(self, hop: int) -> float:
        """When the score of hop number `hop` is there, in seconds from the start of the stream."""
        return self._network.time_s(hop)
