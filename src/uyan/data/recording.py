"""A recording and what is known of it: its word, its speaker, its kind, and the id made of them.

It knows nothing of the tables that list recordings, and opens no audio.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["keyword", "negative", "noise", "rir"]
OfficialSplit = Literal["", "train", "validation", "test"]
"""Where the publisher of a data set puts a recording; empty where nobody says."""

SYNTHETIC_SPEAKERS = ("tts:", "tts-")
"""What the ids of synthetic voices begin with; the latter is how folders spell it."""
ESTIMATED_SPEAKER = "est:"
"""What the id of a speaker begins with whom a computer told from others by the voice; nobody has confirmed it."""
UNKNOWN_SPEAKER = "unknown:"
"""What the id of a speaker begins with whom the manifest does not name."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file and what is known of it."""

    path: str
    """POSIX, relative to `root`, without `.` or `..`."""
    root: Path
    """The manifest's folder, absolute."""
    label: str
    """The word of a keyword; for the other kinds a name for the tables."""
    speaker_id: str
    """Whose voice; made up from the path, one per recording, when it is unknown."""
    speaker_known: bool
    duration_s: float
    """As the manifest says; `check` compares it with the audio."""
    kind: Kind
    license: str
    source: str
    said_s: tuple[float, float] | None = None
    """From when to when the word is said, where the manifest knows; otherwise it is found by its energy."""

    split: OfficialSplit = ""
    """Used where `split.official` asks for it."""

    @property
    def file(self) -> Path:
        """Where the audio is."""
        return self.root / self.path

    @property
    def synthetic(self) -> bool:
        """Whether a machine speaks."""
        return is_synthetic(self.speaker_id)

    @property
    def id(self) -> str:
        """sha1 of path, duration and speaker (MISSION 1.3), 40 hex digits; the same wherever root lies."""
        return hashlib.sha1(f"{self.path}|{self.duration_s:.3f}|{self.speaker_id}".encode()).hexdigest()


def is_synthetic(speaker_id: str) -> bool:
    """Whether that is a machine's voice.

    >>> is_synthetic("tts:espeak:tr+f2:r150:p60"), is_synthetic("ada")
    (True, False)
    """
    return speaker_id.startswith(SYNTHETIC_SPEAKERS)


def unknown_speakers(recordings: Sequence[Recording]) -> int:
    """Spoken recordings whose speaker is unknown: with any, a split by speaker may leak."""
    return sum(not r.speaker_known and r.kind in ("keyword", "negative") for r in recordings)


def unknown_speaker_id(path: str) -> str:
    """The speaker made up for a recording without one: stable, and unique within its manifest.

    >>> unknown_speaker_id("jarvis/001.wav")
    'unknown:4a0f1b410871'
    """
    return UNKNOWN_SPEAKER + hashlib.sha1(path.encode()).hexdigest()[:12]


def normal_word(word: str) -> str:
    """A label or speaker without spaces around it, in composed Unicode.

    One speaker spelt in two ways would be two, and could stand in two splits; macOS decomposes folder names.

    >>> normal_word(" Zoe\u0308 ") == "Zo\u00eb"
    True
    """
    return unicodedata.normalize("NFC", word).strip()
