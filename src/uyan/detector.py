"""The detector: samples in, detections out, for any chunk size.

`HopScorer` turns a stream into one score a hop; `Detector` adds the decision rule. A chunk of 10 ms and a block of an
hour go through the same code and give the same detections: the network remembers what it has computed, so that a hop
costs only its own frames and a long push is one dense pass. Time is counted in samples. It knows nothing of files,
microphones or servers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, to_float
from uyan.bundle import STRIDE_FRAMES, Bundle, Memory
from uyan.decision import Decision, Scores
from uyan.errors import ConfigError
from uyan.frontend import StreamingFrontend, sample_end, seconds_to_frames


@dataclass(frozen=True)
class Detection:
    """The keyword was heard."""

    label: str
    time_s: float
    """When the detector fired, in seconds from the start of the stream."""
    score: float
    """The highest score among the ballots that carried the vote."""


class HopScorer:
    """Scores of a stream, one a hop; hop 0 is the first whole window."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.window_frames = bundle.info.window_frames
        self.hop_frames = seconds_to_frames(bundle.info.detector.hop_s)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._frontend = StreamingFrontend(self.bundle.info.frontend)
        self._pending = np.zeros((self.bundle.info.frontend.mels, 0), np.float32)
        self._memory: Memory = []
        self._needed = self.window_frames

    def push(self, samples: NDArray[np.generic]) -> Scores:
        """Scores of the hops that these samples complete, shape (hops,); int16 or float32 mono at 16 kHz."""
        missing = self._needed - self._pending.shape[1]
        fresh = self._frontend.push(to_float(samples), at_least=missing)
        if fresh.shape[1] < missing:
            return np.zeros(0)
        frames = np.concatenate([self._pending, fresh], axis=1) if self._pending.size else fresh
        used = self._needed + (frames.shape[1] - self._needed) // self.hop_frames * self.hop_frames
        logits, self._memory = self.bundle.step(frames[:, :used], self._memory)
        self._pending, self._needed = frames[:, used:].copy(), self.hop_frames
        # A hop's window ends with the last position of that hop.
        stride = self.hop_frames // STRIDE_FRAMES
        return self.bundle.scores(logits[:, (logits.shape[1] - 1) % stride :: stride])

    def time_s(self, hop: int) -> float:
        """When hop number `hop` is complete, in seconds from the start of the stream."""
        return sample_end(hop * self.hop_frames + self.window_frames - 1) / SAMPLE_RATE


class Detector:
    """One stream's detector. Make one a stream; many may share a bundle."""

    def __init__(self, bundle: Bundle, threshold: float | None = None) -> None:
        """`threshold` None means the operating point the bundle was calibrated to."""
        chosen = bundle.info.threshold if threshold is None else threshold
        if not 0 <= chosen <= 1:
            raise ConfigError(f"threshold must lie in [0, 1], not {chosen}")
        self.bundle = bundle
        self._scorer = HopScorer(bundle)
        self._decision = Decision(chosen, bundle.info.detector)
        self._hops = 0

    def reset(self) -> None:
        """Start a new stream at time 0."""
        self._scorer.reset()
        self._decision.reset()
        self._hops = 0

    def push(self, samples: NDArray[np.generic]) -> list[Detection]:
        """Take the next samples (int16 or float32, mono, 16 kHz); the detections they complete.

        Raises AudioError for another dtype, more than one channel, NaN or Inf.
        """
        found = []
        for score in self._scorer.push(samples):
            if self._decision.push(float(score)):
                time_s = self._scorer.time_s(self._hops)
                found.append(Detection(self.bundle.info.label, time_s, self._decision.peak))
            self._hops += 1
        return found
