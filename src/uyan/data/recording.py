"""A recording and what is known of it: its word, its speaker, its kind, and the id made of them.

It knows nothing of the tables that list recordings, and opens no audio.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from uyan.storage.location import Location

Kind = Literal["keyword", "negative", "noise", "rir"]
OfficialSplit = Literal["", "train", "validation", "test"]
"""Where the publisher of a data set puts a recording; empty where nobody says."""

SYNTHETIC_SPEAKER = "tts:"
"""What the id of a synthetic voice begins with."""
VARIATION = re.compile(r"(:[rpfe][+-]\d+)+$")
"""Rate, pitch, formants and effort at the end of a synthetic speaker's id."""
ESTIMATED_SPEAKER = "est:"
"""What the id of a speaker begins with whom a computer told from others by the voice; nobody has confirmed it."""
UNKNOWN_SPEAKER = "unknown:"
"""What the id of a speaker begins with whom the manifest does not name."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file and what is known of it."""

    path: str
    """POSIX, relative to `root`, without `.` or `..`."""
    root: Location
    """The manifest's folder: an absolute path, or a URL."""
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
    def file(self) -> Location:
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

    >>> is_synthetic("tts:espeak:tr+f2:r+1:p-2"), is_synthetic("ada")
    (True, False)
    """
    return speaker_id.startswith(SYNTHETIC_SPEAKER)


def voices_of(speaker_id: str) -> frozenset[str]:
    """The voices that a synthetic speaker is made of: both of a mixture, whatever the variation; none of a person.

    >>> sorted(voices_of("tts:kokoro:af_bella~am_adam~50:r+1:f-2")), sorted(voices_of("ada"))
    (['tts:kokoro:af_bella', 'tts:kokoro:am_adam'], [])
    """
    if not is_synthetic(speaker_id):
        return frozenset()
    voice = VARIATION.sub("", speaker_id)
    engine, _, name = voice.rpartition(":")
    first, *mixed = name.split("~")
    return frozenset({f"{engine}:{first}", f"{engine}:{mixed[0]}"}) if mixed else frozenset({voice})


def engine_of(speaker_id: str) -> str:
    """What made a synthetic speaker's voice; empty for a person.

    >>> engine_of("tts:espeak:tr+f2:r+1:p-2"), engine_of("ada")
    ('espeak', '')
    """
    return speaker_id.removeprefix(SYNTHETIC_SPEAKER).partition(":")[0] if is_synthetic(speaker_id) else ""


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

    One speaker spelt in two ways would be two, and could stand in two splits; macOS decomposes folder names. An i with
    a second dot is an i: lower case makes it of the Turkish \u0130 where it does not know the language.

    >>> normal_word(" Zoe\u0308 ") == "Zo\u00eb", normal_word("\u0130yi".lower())
    (True, 'iyi')
    """
    return unicodedata.normalize("NFC", word.replace("i\u0307", "i")).strip()
