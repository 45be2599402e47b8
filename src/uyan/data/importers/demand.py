"""DEMAND (Thiemann et al. 2013): ENVIRONMENT/ch01.wav to ch16.wav, five minutes by sixteen microphones at once."""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, audio_below
from uyan.errors import DataError

LICENSE = "CC BY-SA 3.0"
CHANNEL = "ch01.wav"
"""One microphone: the other fifteen stand a few centimetres away and hear the same."""


def find(folder: Path) -> Iterator[Found]:
    """One microphone of every environment as noise."""
    paths = list(audio_below(folder, f"*/{CHANNEL}"))
    if not paths:
        raise DataError(f"{folder}: is not DEMAND; it should hold DKITCHEN/{CHANNEL} or another environment")
    for path in paths:
        yield Found(path, "noise", path.split("/")[0].removesuffix("_16k").lower(), LICENSE)
