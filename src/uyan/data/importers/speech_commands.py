"""Speech Commands v1 and v2 (Warden 2018): WORD/SPEAKER_nohash_N.wav, and lists of what validates and tests."""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, audio_below, expect
from uyan.data.recording import OfficialSplit
from uyan.errors import DataError

LICENSE = "CC BY 4.0"
LISTS: dict[str, OfficialSplit] = {"validation_list.txt": "validation", "testing_list.txt": "test"}
NOISE = "_background_noise_"
SPEAKER_END = "_nohash_"


def find(folder: Path) -> Iterator[Found]:
    """Every word a keyword, the background noise as noise."""
    expect(folder, tuple(LISTS), "Speech Commands")
    official = {path: split for name, split in LISTS.items() for path in _listed(folder / name)}
    for path in audio_below(folder, "*/*.wav"):
        word, name = path.split("/")
        if word == NOISE:
            yield Found(path, "noise", "noise", LICENSE)
        elif SPEAKER_END in name:
            speaker = name.partition(SPEAKER_END)[0]
            yield Found(path, "keyword", word, LICENSE, f"sc:{speaker}", official.get(path, "train"), word)


def _listed(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as reason:
        raise DataError(f"{path}: cannot be read ({reason}); it says which recordings are official test") from reason
