"""MUSAN (Snyder et al. 2015, SLR17): music/SOURCE/….wav, noise/SOURCE/….wav, speech/SOURCE/….wav."""

from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, audio_below, expect

LICENSE = "CC BY 4.0; the LICENSE file of each folder names the works in it"
PARTS = ("music", "noise", "speech")


def find(folder: Path) -> Iterator[Found]:
    """Music and noise as noise; speech, whose speakers it does not name, as negatives."""
    expect(folder, PARTS, "MUSAN")
    for part in PARTS:
        for path in audio_below(folder, f"{part}/*/*.wav"):
            yield Found(path, "negative" if part == "speech" else "noise", part, LICENSE)
