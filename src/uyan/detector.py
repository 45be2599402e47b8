"""The detector: samples in, detections out, for any chunk size and any number of words.

`HopScorer` turns a stream into one score a hop; the detector adds the decision rule. Words of one front end share it.
Time is counted in samples. It knows nothing of files, microphones or servers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uyan.audio import to_float
from uyan.bundle import Bundle
from uyan.decision import Decision
from uyan.errors import ConfigError
from uyan.frontend import Features, FrontendConfig, StreamingFrontend
from uyan.hop_scorer import FeatureScorer


@dataclass(frozen=True)
class Detection:
    """The keyword was heard."""

    label: str
    time_s: float
    """When the detector fired, in seconds from the start of the stream."""
    score: float
    """The highest score among the ballots that carried the vote."""


class Detector:
    """One stream's detector. Make one a stream, for use by one thread at a time; many may share a bundle."""

    def __init__(
        self, bundles: Bundle | Sequence[Bundle], threshold: float | Sequence[float] | None = None, tta: bool = False
    ) -> None:
        """One word or several, heard in one pass; a threshold for all or for each.

        `threshold` None means the operating point that each bundle was calibrated to. `tta` averages neighbouring
        scores: 40 ms later, with an operating point of its own. Raises ConfigError for a threshold outside [0, 1],
        for thresholds or bundles that do not fit each other, and without any bundle.
        """
        self.bundles = (bundles,) if isinstance(bundles, Bundle) else tuple(bundles)
        chosen = [b.info.operating_threshold(tta) for b in self.bundles] if threshold is None else threshold
        thresholds: list[float] = np.atleast_1d(chosen).astype(np.float64).tolist()
        if not np.ndim(chosen):
            thresholds *= len(self.bundles)
        _check(self.bundles, thresholds)
        self._words = [_Word(b, at, tta) for b, at in zip(self.bundles, thresholds, strict=True)]
        self._frontends: dict[FrontendConfig, StreamingFrontend] = {}
        self.reset()

    def reset(self) -> None:
        """Start a new stream at time 0."""
        for word in self._words:
            word.reset()
        self._frontends = {b.info.frontend: StreamingFrontend(b.info.frontend) for b in self.bundles}

    @property
    def levels(self) -> dict[str, float]:
        """For each word the highest score among the hops that the last push completed; 0 where it completed none."""
        return {word.label: word.level for word in self._words}

    def push(self, samples: NDArray[np.generic]) -> list[Detection]:
        """Take the next samples (int16 or float32, mono, 16 kHz); the detections they complete, in order of time.

        Raises AudioError for another dtype, more than one channel, NaN or Inf.
        """
        samples = to_float(samples)
        found: list[Detection] = []
        for config, frontend in self._frontends.items():
            words = [word for word in self._words if word.frontend == config]
            features = frontend.push(samples, at_least=min(word.missing for word in words))
            for word in words:
                found += word.push(features)
        return sorted(found, key=lambda detection: detection.time_s)


class _Word:
    """One bundle's scores and decisions on a stream of features."""

    def __init__(self, bundle: Bundle, threshold: float, tta: bool) -> None:
        self.label, self.frontend = bundle.info.label, bundle.info.frontend
        self._scorer = FeatureScorer(bundle, tta)
        self._decision = Decision(threshold, bundle.info.detector)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._scorer.reset()
        self._decision.reset()
        self._hops = 0
        self.level = 0.0

    @property
    def missing(self) -> int:
        """Frames until the next score."""
        return self._scorer.missing

    def push(self, features: Features) -> list[Detection]:
        """Detections that these features (mels, frames) complete."""
        found = []
        self.level = 0.0
        if not features.shape[1]:
            return []
        for score in self._scorer.push(features).tolist():
            self.level = max(self.level, score)
            if self._decision.push(score):
                found.append(Detection(self.label, self._scorer.time_s(self._hops), self._decision.peak))
            self._hops += 1
        return found


def _check(bundles: Sequence[Bundle], thresholds: Sequence[float]) -> None:
    if not bundles:
        raise ConfigError("a detector needs one bundle at least")
    if len(thresholds) != len(bundles):
        raise ConfigError(f"{len(thresholds)} thresholds for {len(bundles)} bundles; give one, or one for each")
    if wrong := [threshold for threshold in thresholds if not 0 <= threshold <= 1]:
        raise ConfigError(f"threshold must lie in [0, 1], not {wrong[0]}")
    labels = [bundle.info.label for bundle in bundles]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise ConfigError(f"two bundles listen for {min(twice)!r}; give one of them")
