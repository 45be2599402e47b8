"""How fast files on disk become cached features: decode, hash, log-mel, write; the page cache is warm.

`uyan features` runs one such process a core. Files are made up unless a folder of recordings is given.
"""

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from bench.measure import Figure, seconds_of, speech_like
from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.cache import FeatureCache, extract
from uyan.data.probe import content_sha1
from uyan.frontend import FrontendConfig

TARGET_REAL_TIMES = 1_500.0
CLIP_S, RECORDING_S = 3.0, 60.0
MOST_FILES = 300
"""Of each format, from a folder of recordings."""


class Codec(NamedTuple):
    """How soundfile names a format."""

    suffix: str
    container: str
    subtype: str


CODECS = {
    "WAV": Codec(".wav", "WAV", "PCM_16"),
    "FLAC": Codec(".flac", "FLAC", "PCM_16"),
    "Opus": Codec(".opus", "OGG", "OPUS"),
}


def extraction_speed(seconds: float = 300.0, repeats: int = 7, data: Path | None = None) -> list[Figure]:
    """Real times a core for each format: `seconds` of clips, as much of recordings, and the files below `data`."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        sets = list(_given(data)) if data else list(_made_up(Path(folder), seconds))
        return [_speed(name, files, Path(folder) / "cache", repeats) for name, files in sets]


def _speed(name: str, files: list[Path], scratch: Path, repeats: int) -> Figure:
    contents = [read(file) for file in files]
    sources = [(file, content_sha1(samples)) for file, samples in zip(files, contents, strict=True)]
    distinct = {sha1: samples.size for (_, sha1), samples in zip(sources, contents, strict=True)}
    seconds = sum(distinct.values()) / SAMPLE_RATE
    del contents
    taken, number = [], count()
    for _ in range(repeats + 1):
        cache = FeatureCache(scratch / str(next(number)), FrontendConfig(), 0.0)
        taken.append(seconds_of(lambda cache=cache: extract(sources, cache, workers=1)))  # type: ignore[misc]
        shutil.rmtree(cache.folder.parent)
    note = f"{len(distinct)} files, {seconds / len(distinct):.1f} s on average"
    speed = seconds / statistics.median(taken[1:])
    return Figure(f"features from files, {name}", speed, "× real time", TARGET_REAL_TIMES, note=note)


def _made_up(folder: Path, seconds: float) -> Iterator[tuple[str, list[Path]]]:
    speech = speech_like(seconds, np.random.default_rng(42))
    for name, codec in CODECS.items():
        for length_s in (CLIP_S, RECORDING_S):
            files = []
            for number, part in enumerate(np.array_split(speech, max(1, round(seconds / length_s)))):
                files.append(folder / f"{length_s:.0f}-{number}{codec.suffix}")
                soundfile.write(files[-1], part, SAMPLE_RATE, codec.subtype, format=codec.container)
            yield f"{name}, {length_s:.0f} s", files


def _given(data: Path) -> Iterator[tuple[str, list[Path]]]:
    for name, codec in CODECS.items():
        files = sorted(data.rglob(f"*{codec.suffix}"))
        if files:
            yield f"{name}, given", files[:: -(-len(files) // MOST_FILES)]
