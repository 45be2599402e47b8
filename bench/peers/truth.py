"""What a stream holds: where its keywords are, how much of it is speech, and how much of that is heard only once.

It stands beside the audio as JSON. It knows nothing of how the audio was mixed.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from bench.peers.plan import StreamConfig

AUDIO, TRUTH = "stream.raw", "stream.json"


@dataclass(frozen=True)
class Keyword:
    """One keyword in the stream."""

    word: str
    path: str
    speaker_id: str
    start_s: float
    end_s: float
    """Of the whole recording, silence at its ends included."""


@dataclass(frozen=True)
class Truth:
    """What the stream holds."""

    request: str
    """sha256 of the configuration and of the recordings to choose from."""
    sha256: str
    """Of the audio."""
    config: StreamConfig
    keywords: tuple[Keyword, ...]
    duration_s: float
    background_s: float
    """Without the keywords."""
    speech_s: float
    distinct_speech_s: float
    """How much of the speech and of the noise in the stream is there for the first time."""
    distinct_noise_s: float
    limited_voices: int
    """Below the wanted ratio, because they would have been too loud for int16."""
    clipped_samples: int

    @property
    def hours(self) -> float:
        """In which false alarms are counted: the whole stream."""
        return self.duration_s / 3600

    @property
    def distinct_hours(self) -> float:
        """Hours until the first of speech and noise begins to repeat."""
        shares = [1.0, self.distinct_noise_s / self.duration_s]
        if self.speech_s:
            shares.append(self.distinct_speech_s / self.speech_s)
        return self.hours * min(shares)

    @classmethod
    def load(cls, file: Path) -> "Truth":
        """The inverse of what `make_stream` writes."""
        raw = json.loads(file.read_text(encoding="utf-8"))
        keywords = tuple(Keyword(**each) for each in raw["keywords"])
        return cls(**{**raw, "config": StreamConfig(**raw["config"]), "keywords": keywords})


def intact(folder: Path, request: str) -> Truth | None:
    """The truth of the stream in `folder` if it was made for this request and its audio is all there."""
    if not ((folder / AUDIO).is_file() and (folder / TRUTH).is_file()):
        return None
    try:
        truth = Truth.load(folder / TRUTH)
    except (ValueError, KeyError, TypeError):
        return None
    with (folder / AUDIO).open("rb") as file:
        same = truth.request == request and hashlib.file_digest(file, "sha256").hexdigest() == truth.sha256
    return truth if same else None
