"""LibriSpeech (Panayotov et al. 2015): SUBSET/SPEAKER/CHAPTER/….flac and ….trans.txt beside them."""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, audio_below
from uyan.data.recording import OfficialSplit
from uyan.errors import DataError

LICENSE = "CC BY 4.0"
SUBSETS: dict[str, OfficialSplit] = {"train-": "train", "dev-": "validation", "test-": "test"}


def find(folder: Path) -> Iterator[Found]:
    """Every utterance a negative."""
    subsets = [f for f in sorted(folder.glob("*")) if f.is_dir() and f.name.startswith(tuple(SUBSETS))]
    if not subsets:
        raise DataError(f"{folder}: is not LibriSpeech; it should hold train-clean-100 or another subset")
    for subset in subsets:
        split = next(split for start, split in SUBSETS.items() if subset.name.startswith(start))
        texts = dict(_texts(subset))
        for path in audio_below(folder, f"{subset.name}/*/*/*.flac"):
            speaker, _, name = path.split("/")[1:]
            text = texts.get(name.removesuffix(".flac"), "")
            yield Found(path, "negative", "speech", LICENSE, f"librispeech:{speaker}", split, text)


def _texts(subset: Path) -> Iterator[tuple[str, str]]:
    for file in subset.glob("*/*/*.trans.txt"):
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as reason:
            raise DataError(f"{file}: cannot be read ({reason})") from reason
        for line in lines:
            name, _, text = line.partition(" ")
            yield name, text
