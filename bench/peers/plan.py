"""Where everything stands in the stream: keywords and stretches of speech at random places that do not overlap.

The published protocol of the field's vendor benchmark (Picovoice wake-word-benchmark): keyword recordings within hours
of background that is speech for a fifth of the time; ambient noise, 10 dB below the voices, lies under everything. Here
the stretches of speech are exactly that share. It knows durations and draws places; no audio is opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.data.recording import Recording
from uyan.errors import ConfigError, DataError

SPACE_S = 2.0
"""Noise alone on either side of a keyword: the windows in which two of them may be detected cannot overlap."""
STRETCH_S = 15.0
"""Speech is cut into stretches of at most this."""
SHORTEST_STRETCH_S = 0.5
KEYWORD_SHARE = 0.5
"""Of the noise-only time at most so much is space around keywords: beyond it their places are hardly random."""


@dataclass(frozen=True)
class StreamConfig:
    """What the stream is to be."""

    hours: float
    """Of background; keywords come on top."""
    speech_share: float = 0.2
    snr_db: float = 10.0
    keywords: int | None = None
    """Takes of each word; None: as many as there are and fit."""
    seed: int = 42
    repeat: bool = False
    """Whether recordings may be used again where there are too few for the hours."""

    def __post_init__(self) -> None:
        if not 0 < self.hours <= 1000:
            raise ConfigError(f"--hours must lie between 0 and 1000, not {self.hours:g}")
        if not 0 <= self.speech_share < 1:
            raise ConfigError(f"--speech-share must lie in [0, 1), not {self.speech_share:g}")
        if self.keywords is not None and self.keywords < 1:
            raise ConfigError(f"--keywords must be at least 1, not {self.keywords}")
        if not -50 <= self.snr_db <= 100:
            raise ConfigError(f"--snr-db must lie between -50 and 100, not {self.snr_db:g}")

    @property
    def background_samples(self) -> int:
        """Length of the stream without the keywords."""
        return round(self.hours * 3600 * SAMPLE_RATE)

    @property
    def speech_samples(self) -> int:
        """Length of all stretches of speech together."""
        return round(self.speech_share * self.background_samples)


@dataclass(frozen=True)
class Voice:
    """A stretch of one recording and where it stands."""

    recording: Recording
    first: int
    """Its first sample within the recording."""
    samples: int
    start: int
    """Its first sample within the stream."""
    keyword: bool


@dataclass(frozen=True)
class Plan:
    """A stream before there is any audio."""

    voices: tuple[Voice, ...]
    """In the order of the stream; none overlap."""
    samples: int
    speech_available_s: float
    """Distinct speech, used or not."""


def plan_stream(
    keywords: Mapping[str, Sequence[Recording]],
    speech: Sequence[Recording],
    config: StreamConfig,
    rng: np.random.Generator,
) -> Plan:
    """Draw takes, stretches and places. Raises DataError where the recordings are too few for what is asked."""
    takes = _takes(keywords, config, rng)
    stretches = _stretches(speech, config, rng)
    space = round(SPACE_S * SAMPLE_RATE)
    items = [(take, 0, length(take), True) for take in takes] + [(*stretch, False) for stretch in stretches]
    order = rng.permutation(len(items)).tolist()
    free = config.background_samples - config.speech_samples - 2 * space * len(takes)
    # Cuts at uniformly random places make every division of the free noise equally likely.
    gaps = np.diff(np.sort(rng.integers(0, free + 1, len(items))), prepend=0).tolist()
    voices: list[Voice] = []
    at = 0
    for index, gap in zip(order, gaps, strict=True):
        recording, first, samples, keyword = items[index]
        beside = space if keyword else 0
        voices.append(Voice(recording, first, samples, at + gap + beside, keyword))
        at += gap + samples + 2 * beside
    total = config.background_samples + sum(length(take) for take in takes)
    return Plan(tuple(voices), total, sum(r.duration_s for r in speech))


def length(recording: Recording) -> int:
    """Whole samples of a recording, by its manifest."""
    return int(recording.duration_s * SAMPLE_RATE)


def _takes(
    keywords: Mapping[str, Sequence[Recording]], config: StreamConfig, rng: np.random.Generator
) -> list[Recording]:
    noise = config.background_samples - config.speech_samples
    fit = int(KEYWORD_SHARE * noise / (2 * SPACE_S * SAMPLE_RATE) / len(keywords))
    takes: list[Recording] = []
    for word, found in keywords.items():
        wanted = max(1, min(len(found), fit)) if config.keywords is None else config.keywords
        if wanted > len(found):
            raise DataError(f'{wanted} takes of "{word}" asked for, {len(found)} are there to be used')
        if wanted > fit:
            raise DataError(
                f'{wanted} takes of "{word}" do not fit into {config.hours:g} h: at most {fit}; ask for more --hours'
            )
        takes += [found[index] for index in rng.permutation(len(found))[:wanted]]
    return takes


def _stretches(
    speech: Sequence[Recording], config: StreamConfig, rng: np.random.Generator
) -> list[tuple[Recording, int, int]]:
    """(recording, first sample, samples) of stretches that together are exactly the speech asked for."""
    distinct = [stretch for recording in speech for stretch in _cut(recording)]
    available = sum(samples for _, _, samples in distinct)
    if config.speech_samples and not available:
        raise DataError("no stretch of speech is long enough to be used")
    if available < config.speech_samples and not config.repeat:
        raise DataError(
            f"{_hours(config.speech_samples)} of speech are needed for {config.hours:g} h of background, the manifests "
            f"hold {_hours(available)}: ask for fewer --hours, a smaller --speech-share, or allow --repeat"
        )
    taken: list[tuple[Recording, int, int]] = []
    missing = config.speech_samples
    for recording, first, samples in _shuffled_forever(distinct, rng) if missing else ():
        taken.append((recording, first, min(samples, missing)))
        missing -= taken[-1][2]
        if not missing:
            break
    return taken


def _cut(recording: Recording) -> Iterator[tuple[Recording, int, int]]:
    step, whole = round(STRETCH_S * SAMPLE_RATE), length(recording)
    for first in range(0, whole, step):
        samples = min(step, whole - first)
        if samples >= SHORTEST_STRETCH_S * SAMPLE_RATE:
            yield recording, first, samples


def _shuffled_forever(
    stretches: Sequence[tuple[Recording, int, int]], rng: np.random.Generator
) -> Iterator[tuple[Recording, int, int]]:
    while True:
        for index in rng.permutation(len(stretches)).tolist():
            yield stretches[index]


def _hours(samples: int) -> str:
    return f"{samples / SAMPLE_RATE / 3600:.2f} h"
