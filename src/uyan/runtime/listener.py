"""A detector on a live stream: each piece of audio with the scores and detections it brought, on one clock.

The clock counts samples from the start of the stream and goes on through cuts, after which the detector begins anew:
no word is put together from two sides of a gap. It knows nothing of where the audio comes from or of what is done
about a detection.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE, Samples, to_float
from uyan.bundle import Bundle
from uyan.detector import Detection, Detector
from uyan.hop_scorer import FeatureScorer


@dataclass(frozen=True)
class Chunk:
    """What a microphone delivers."""

    samples: NDArray[np.generic]
    """Mono at 16 kHz, int16 or float32, shape (samples,)."""
    lost: int | None = None
    """None where it follows the chunk before; else the stream was cut, and so many samples are known to be missing."""


@dataclass(frozen=True)
class Score:
    """One word's score of one hop."""

    label: str
    time_s: float
    """When it was there, on the stream's clock."""
    value: float


@dataclass(frozen=True)
class Heard:
    """A piece of audio, at most a hop long, and what it brought."""

    samples: Samples
    start: int
    """On the stream's clock, in samples."""
    scores: list[Score]
    """Of the words whose hop it completed."""
    detections: list[Detection]


class Watcher(Protocol):
    """Whoever wants to know what was heard."""

    def heard(self, heard: Heard) -> None:
        """The next piece."""

    def cut(self, position: int) -> None:
        """The stream was interrupted; it goes on at this sample of its clock."""

    def finish(self) -> None:
        """The stream has ended."""


class Listener:
    """One stream's detector and clock."""

    def __init__(self, bundles: Bundle | Sequence[Bundle], threshold: float | None = None, tta: bool = True) -> None:
        """As `Detector`; raises ConfigError as it does."""
        self._detector = Detector(bundles, threshold, tta)
        self._hops = {b.info.label: _Hops(b, tta) for b in self._detector.bundles}
        self.thresholds = thresholds(self._detector.bundles, threshold, tta)
        self.position = 0
        """Samples on the stream's clock, lost ones included."""
        self._began = 0

    def cut(self, lost: int = 0) -> None:
        """The stream was interrupted, and so many samples are known to be missing."""
        self._detector.reset()
        self.position += lost
        self._began = self.position

    def push(self, samples: NDArray[np.generic]) -> Iterator[Heard]:
        """Take the next samples and give them back in pieces of a hop at most, each with what it brought.

        Raises AudioError as `Detector.push` does. Nothing happens until the pieces are asked for.
        """
        samples = to_float(samples)
        size = min(hops.samples for hops in self._hops.values())
        for at in range(0, samples.size, size):
            yield self._heard(samples[at : at + size])

    def _heard(self, piece: Samples) -> Heard:
        start, began_s = self.position, self._began / SAMPLE_RATE
        detections = [replace(each, time_s=began_s + each.time_s) for each in self._detector.push(piece)]
        self.position += piece.size
        scores = []
        for label, level in self._detector.levels.items():
            before, after = (self._hops[label].done(at - self._began) for at in (start, self.position))
            if after > before:
                end = self._began + self._hops[label].end(after - 1)
                scores.append(Score(label, end / SAMPLE_RATE, level))
        return Heard(piece, start, scores, detections)


def thresholds(bundles: Sequence[Bundle], threshold: float | None, tta: bool) -> dict[str, float]:
    """Of each word: the one given, or its bundle's operating point."""
    return {b.info.label: b.info.operating_threshold(tta) if threshold is None else threshold for b in bundles}


class _Hops:
    """When a word's scores are there, in samples from where its detector began."""

    def __init__(self, bundle: Bundle, tta: bool) -> None:
        scorer = FeatureScorer(bundle, tta)
        self._first = round(scorer.time_s(0) * SAMPLE_RATE)
        self.samples = round(scorer.time_s(1) * SAMPLE_RATE) - self._first

    def done(self, position: int) -> int:
        """Hops that are complete with that many samples."""
        return max(0, (position - self._first) // self.samples + 1)

    def end(self, hop: int) -> int:
        """The sample that completes that hop."""
        return self._first + hop * self.samples


def hear(listener: Listener, chunks: Iterable[Chunk], watchers: Sequence[Watcher]) -> None:
    """Tell the watchers of everything, until the chunks end; they are finished however it ends."""
    try:
        for chunk in chunks:
            if chunk.lost is not None:
                listener.cut(chunk.lost)
                for watcher in watchers:
                    watcher.cut(listener.position)
            for heard in listener.push(chunk.samples):
                for watcher in watchers:
                    watcher.heard(heard)
    finally:
        for watcher in watchers:
            watcher.finish()
