"""The stream as a file: ambient noise from end to end, voices 10 dB above it, and where the keywords stand.

Every noise recording is brought to one level; every voice to the wanted ratio over the noise that lies under it, as in
the vendor's benchmark. int16, raw, 16 kHz mono, written block by block; the truth stands beside it as JSON. The same
request gives the same bytes. It knows nothing of engines.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench.peers.plan import Plan, StreamConfig, Voice, length, plan_stream
from bench.peers.recordings import Material
from bench.peers.truth import AUDIO, TRUTH, Keyword, Truth, intact
from uyan.audio import INT16_SCALE, SAMPLE_RATE, Samples
from uyan.audio_file import read
from uyan.data.recording import Recording
from uyan.errors import DataError
from uyan.evaluation.streams import active_power
from uyan.files import replacing

NOISE_DB = -40.0
"""Mean power of every noise recording, dBFS: voices at +10 dB are those of a speaker across a room."""
QUIETEST_NOISE_DB = -60.0
"""Under a voice noise counts as at least this loud: where it pauses, the voice is not to vanish with it."""
PEAK = 0.9
"""A voice is never made louder than this."""
BLOCK_S = 60
DURATION_SLACK_S = 0.1
"""By how much a manifest's duration may exceed the decoded audio; the rest is silence."""


def make_stream(
    material: Material,
    config: StreamConfig,
    folder: Path,
    rng: np.random.Generator,
    progress: Callable[[str], None] = lambda _: None,
) -> Truth:
    """Write `stream.raw` and `stream.json` into `folder`, unless they are there for the same request.

    `rng` is that of `config.seed`, which stands for it in the request. Raises DataError where the recordings are too
    few, or shorter than their manifest says; AudioError for one that cannot be decoded.
    """
    request = _request(material, config)
    known = intact(folder, request)
    if known:
        progress(f"stream: kept, {known.hours:.2f} h")
        return known
    plan = plan_stream(material.keywords, material.speech, config, rng)
    bed = NoiseBed(material.noise, rng)
    if bed.available_samples < plan.samples and not config.repeat:
        raise DataError(
            f"{plan.samples / SAMPLE_RATE / 3600:.2f} h of noise are needed, the manifests hold "
            f"{bed.available_samples / SAMPLE_RATE / 3600:.2f} h: ask for fewer --hours, or allow --repeat"
        )
    mixed = _Mixer(bed, config.snr_db)
    digest = hashlib.sha256()
    with replacing(folder / AUDIO) as partial, partial.open("wb") as file:
        reported = 0
        for end, block in mixed.blocks(plan):
            pcm = mixed.to_pcm(block)
            file.write(pcm)
            digest.update(pcm)
            if 10 * end // plan.samples > reported:
                reported = 10 * end // plan.samples
                progress(f"stream: {10 * reported} % of {plan.samples / SAMPLE_RATE / 3600:.2f} h")
    truth = _truth(request, digest.hexdigest(), config, plan, mixed)
    with replacing(folder / TRUTH) as partial:
        partial.write_text(json.dumps(asdict(truth), indent=1, ensure_ascii=False), encoding="utf-8")
    return truth


class NoiseBed:
    """Ambient noise without end: the recordings one after another, each at one level, in another order every round."""

    def __init__(self, recordings: Sequence[Recording], rng: np.random.Generator) -> None:
        self.available_samples = sum(length(recording) for recording in recordings)
        self._pieces = self._shuffled(recordings, rng)
        self._left: Samples = np.zeros(0, np.float32)

    def take(self, samples: int) -> Samples:
        """The next stretch, shape (samples,)."""
        parts: list[Samples] = []
        missing = samples
        while missing:
            if not self._left.size:
                self._left = next(self._pieces)
            parts.append(self._left[:missing])
            self._left = self._left[missing:]
            missing -= parts[-1].size
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    @staticmethod
    def _shuffled(recordings: Sequence[Recording], rng: np.random.Generator) -> Iterator[Samples]:
        while True:
            for index in rng.permutation(len(recordings)).tolist():
                piece = _stretch(recordings[index], 0, length(recordings[index]))
                gain = np.sqrt(_power(NOISE_DB) / np.square(piece, dtype=np.float64).mean())
                yield (piece * np.float32(gain)).astype(np.float32)


class _Mixer:
    """Voices over the bed, and how often one could not be as loud as wanted."""

    def __init__(self, bed: NoiseBed, snr_db: float) -> None:
        self._bed = bed
        self._snr_db = snr_db
        self.noise_available_s = bed.available_samples / SAMPLE_RATE
        self.limited_voices = 0
        self.clipped_samples = 0

    def blocks(self, plan: Plan) -> Iterator[tuple[int, Samples]]:
        """The stream in order: where each block ends, and its samples."""
        at = 0
        for voice in plan.voices:
            yield from self._noise(at, voice.start)
            at = voice.start + voice.samples
            yield at, self._over_noise(voice)
        yield from self._noise(at, plan.samples)

    def _noise(self, start: int, stop: int) -> Iterator[tuple[int, Samples]]:
        for first in range(start, stop, BLOCK_S * SAMPLE_RATE):
            end = min(first + BLOCK_S * SAMPLE_RATE, stop)
            yield end, self._bed.take(end - first)

    def _over_noise(self, voice: Voice) -> Samples:
        noise = self._bed.take(voice.samples)
        samples = _stretch(voice.recording, voice.first, voice.samples)
        power = active_power(samples)
        if not power:  # a pause of digital silence within a long recording
            return noise
        under = max(float(np.square(noise, dtype=np.float64).mean()), _power(QUIETEST_NOISE_DB))
        gain = np.sqrt(under / power * 10 ** (self._snr_db / 10))
        highest = PEAK / float(np.abs(samples).max())
        self.limited_voices += int(gain > highest)
        return (noise + samples * np.float32(min(gain, highest))).astype(np.float32)

    def to_pcm(self, block: Samples) -> bytes:
        """Little-endian int16 of samples (samples,), clipped."""
        scaled = np.round(block * np.float32(INT16_SCALE))
        limited = np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1)
        self.clipped_samples += int((scaled != limited).sum())
        return limited.astype("<i2").tobytes()


def _truth(request: str, sha256: str, config: StreamConfig, plan: Plan, mixed: _Mixer) -> Truth:
    keywords = tuple(
        Keyword(
            voice.recording.label,
            voice.recording.path,
            voice.recording.speaker_id,
            voice.start / SAMPLE_RATE,
            (voice.start + voice.samples) / SAMPLE_RATE,
        )
        for voice in plan.voices
        if voice.keyword
    )
    duration_s, speech_s = plan.samples / SAMPLE_RATE, config.speech_samples / SAMPLE_RATE
    return Truth(
        request=request,
        sha256=sha256,
        config=config,
        keywords=keywords,
        duration_s=duration_s,
        background_s=config.background_samples / SAMPLE_RATE,
        speech_s=speech_s,
        distinct_speech_s=min(speech_s, plan.speech_available_s),
        distinct_noise_s=min(duration_s, mixed.noise_available_s),
        limited_voices=mixed.limited_voices,
        clipped_samples=mixed.clipped_samples,
    )


def _request(material: Material, config: StreamConfig) -> str:
    chosen = [*(r for found in material.keywords.values() for r in found), *material.speech, *material.noise]
    levels = [NOISE_DB, QUIETEST_NOISE_DB, PEAK]
    return hashlib.sha256(json.dumps([asdict(config), levels, [r.id for r in chosen]]).encode()).hexdigest()


def _power(decibels: float) -> float:
    """
    >>> _power(-40.0)
    0.0001
    """
    return float(10 ** (decibels / 10))


@lru_cache(maxsize=8)
def _decoded(recording: Recording) -> Samples:
    return read(recording.file)


def _stretch(recording: Recording, first: int, samples: int) -> Samples:
    """Part of a recording, shape (samples,)."""
    found = _decoded(recording)[first : first + samples]
    missing = samples - found.size
    if missing > DURATION_SLACK_S * SAMPLE_RATE:
        raise DataError(
            f"{recording.file}: {missing / SAMPLE_RATE:.1f} s shorter than its manifest says; scan it again"
        )
    return np.pad(found, (0, missing)) if missing else found
