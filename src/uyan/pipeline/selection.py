"""Which epoch is best: events on continuous validation audio, counted by the shipping decision rule.

The streams are joined from cached features, with noise added in the mel-power domain, so that a judgement costs a dense
pass. The threshold is not chosen here: `calibrate` does it later, from audio.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uyan.data.augment import mix_background
from uyan.data.cache import HalfFeatures, to_single
from uyan.data.member import Member
from uyan.decision import DetectorConfig
from uyan.evaluation.metrics import EventCurve, MissRateAtFah, area_over_fah, miss_rate_at_fah
from uyan.evaluation.scores import ScoreTrack, strict_curve
from uyan.evaluation.streams import GAP_S, JOINED_S, SHORT_S, TAIL_S, hiss
from uyan.frontend import HOP_S, log_mel, seconds_to_frames
from uyan.model.network import STRIDE, Network
from uyan.pipeline.prepare import Material
from uyan.pipeline.workspace import Workspace
from uyan.training.best import Judge, Judgement
from uyan.training.dense import Piece, ScanSource, cut, dense_margins, evaluating
from uyan.training.tally import keyword_scores

NOISY_DB = 5.0
"""Clean validation positives alone are soon all heard and tell epochs no longer apart."""
MAX_FAH = 2.0
SEED = 42


@dataclass(frozen=True)
class FeatureStream:
    """A continuous stretch of validation audio as features."""

    name: str
    speaker_id: str
    material_s: float
    heard_frames: tuple[int, int]
    """A detection by a window that ends between these belongs to the recording."""
    features: HalfFeatures
    """(mels, frames)."""


def validation_judge(run: Workspace, material: Material) -> Judge:
    """Judges a network by its mean miss rate at the target FAH, clean and in noise, then by the area over 0–2 FAH."""
    streams = ValidationStreams(run, material)
    target_fah = run.recipe.calibration.target_fah

    def judge(network: Network) -> Judgement:
        heard = heard_on_validation(network, streams, run.recipe.detector, target_fah)
        misses = [missed_at(curve, target_fah).miss_rate for _, curve in heard.values()]
        areas = [area_over_fah(curve, MAX_FAH) for _, curve in heard.values()]
        miss_rate, area = float(np.mean(misses)), float(np.mean(areas))
        return Judgement((miss_rate, area), {"val_miss_rate": miss_rate, "val_area": area})

    return judge


def heard_on_validation(
    network: Network, streams: "ValidationStreams", config: DetectorConfig, target_fah: float
) -> dict[str, tuple[list[ScoreTrack], EventCurve]]:
    """Condition → scores of the positives, and their curve against the negatives up to the target FAH and `MAX_FAH`."""
    negatives = score_features(network, streams.negatives, config.hop_s)
    reach_fah, heard = max(MAX_FAH, target_fah), {}
    for condition, positives in streams.positives.items():
        tracks = score_features(network, positives, config.hop_s)
        heard[condition] = tracks, strict_curve(tracks, negatives, config, reach_fah)
    return heard


def missed_at(curve: EventCurve, target_fah: float) -> MissRateAtFah:
    """What is missed at the target FAH: everything, where no threshold keeps to it."""
    found = miss_rate_at_fah(curve, target_fah)
    return found if found.met else replace(found, misses=found.positives, miss_rate=1.0)


def score_features(network: Network, streams: Sequence[FeatureStream], hop_s: float) -> list[ScoreTrack]:
    """Uncalibrated scores of each stream, one a hop."""
    hop = seconds_to_frames(hop_s)

    def pieces() -> Iterator[tuple[ScanSource, Piece]]:
        for number, stream in enumerate(streams):
            for piece in cut([stream.features], network.window_frames):
                yield ScanSource(str(number), stream.name), piece

    parts: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    with evaluating(network):
        for margins in dense_margins(network, pieces()):
            parts[int(margins.source.key)].append(margins.values)
    return [_track(stream, np.concatenate(parts[n]), hop, network.window_frames) for n, stream in enumerate(streams)]


def _track(stream: FeatureStream, margins: NDArray[np.float32], hop: int, window_frames: int) -> ScoreTrack:
    first, last = (max(0, -(-(frame - window_frames) // hop)) for frame in stream.heard_frames)
    scores = keyword_scores(margins[:: hop // STRIDE])
    return ScoreTrack(stream.name, stream.speaker_id, stream.material_s, slice(first, last), scores)


class ValidationStreams:
    """The validation split as continuous features: positives by condition, and negatives."""

    def __init__(self, run: Workspace, material: Material) -> None:
        self._material = material
        self._rng = np.random.default_rng(SEED)
        self._config = run.recipe.frontend
        self._lead = self._quiet(run.lead_s)
        self._tail, self._gap = self._quiet(TAIL_S), self._quiet(GAP_S)
        keyword = run.recipe.keyword
        clean = [self._positive(member) for member in material.positives("validation", keyword)]
        self.positives = {"clean": clean}
        if noise := material.noise("validation"):
            joined = np.concatenate([self._features(member) for member in noise], axis=1)
            self.positives[f"{NOISY_DB:g} dB SNR"] = [self._noisy(stream, joined) for stream in clean]
        self.negatives = list(self._joined(material.negatives("validation", keyword)))

    def _quiet(self, seconds: float) -> HalfFeatures:
        return log_mel(hiss(seconds, self._rng), self._config).astype(np.float16)

    def _features(self, member: Member) -> HalfFeatures:
        return self._material.cache.read(member.content_sha1)

    def _positive(self, member: Member) -> FeatureStream:
        clip = self._features(member)
        features = np.concatenate([self._lead, clip, self._tail], axis=1)
        heard = self._lead.shape[1], features.shape[1] + 1
        recording = member.recording
        return FeatureStream(recording.path, recording.speaker_id, clip.shape[1] * HOP_S, heard, features)

    def _noisy(self, stream: FeatureStream, noise: HalfFeatures) -> FeatureStream:
        frames = stream.features.shape[1]
        start = int(self._rng.integers(0, max(1, noise.shape[1] - frames)))
        stretch = np.resize(noise[:, start : start + frames].T, (frames, len(noise))).T
        snr_db = np.array([NOISY_DB], np.float32)
        mixed = mix_background(to_single(stream.features)[None], to_single(stretch)[None], snr_db)[0]
        return replace(stream, features=mixed.astype(np.float16))

    def _joined(self, members: Sequence[Member]) -> Iterator[FeatureStream]:
        """Long recordings as they are, short ones one after another."""
        parts: list[HalfFeatures] = []
        seconds = 0.0
        for member in members:
            if member.duration_s >= SHORT_S:
                yield self._negative([self._features(member)], member.duration_s)
                continue
            parts += [self._features(member), self._gap]
            seconds += member.duration_s
            if seconds >= JOINED_S:
                yield self._negative(parts, seconds)
                parts, seconds = [], 0.0
        if parts:
            yield self._negative(parts, seconds)

    def _negative(self, parts: Sequence[HalfFeatures], seconds: float) -> FeatureStream:
        features = np.concatenate([self._lead, *parts, self._tail], axis=1)
        return FeatureStream("validation negatives", "", seconds, (0, features.shape[1] + 1), features)
