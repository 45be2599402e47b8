"""Packed features against one file a clip, as it was before: random reads, opening, extraction, and what kills cost.

Reads are CPU time: everything is in the page cache, so that nothing is waited for, and other work on the machine
counts little. A read of one file is a look-up of its path, `np.load` memory-mapped, and a copy: what the cache did;
one of a shard is a look-up by name, a copy, and its checksum, which no single file had.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from bench.material import made_up_clips, write_clips
from bench.measure import Figure, medians_s, voice_like
from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.cache import FeatureCache, extract
from uyan.data.probe import content_sha1
from uyan.files import replacing
from uyan.frontend import FrontendConfig, log_mel

READ_RATIO, PACKING_PERCENT = 5.0, 100.0
REPEATS = 5
CLIP_S = 1.5
KILLS, KILLED_AFTER = 5, (0.4, 0.8)
"""How often, and after which shares of the time that the whole takes."""

LIST = "sources.json"

Sources = list[tuple[Path, str]]


def shard_reads(clips: int = 20_000) -> list[Figure]:
    """Microseconds of a random read, both ways, and the first read of a cache of so many clips."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        packed, files = Path(folder) / "packed", Path(folder) / "files"
        names = write_clips(FeatureCache(packed, FrontendConfig(), 0.0), clips)
        for name, rows in zip(names, made_up_clips(FrontendConfig().mels, clips, 42), strict=True):
            _save(files, name, rows.T)
        cache = FeatureCache(packed, FrontendConfig(), 0.0)
        begin = time.perf_counter()
        cache.read(names[0])
        opened_ms = 1000 * (time.perf_counter() - begin)
        order = [names[number] for number in np.random.default_rng(0).permutation(clips)]
        shard_us, mapped_us, loaded_us = _cpu_us(
            [
                cache.read,
                lambda name: np.array(np.load(_path(files, name), mmap_mode="r", allow_pickle=False), order="F"),
                lambda name: np.load(_path(files, name), allow_pickle=False),
            ],
            order,
        )
    note = f"{clips:,} clips in random order, from the page cache, CPU time"
    return [
        Figure("random read from a shard, verified", shard_us, "µs", note=note),
        Figure("random read of one file a clip", mapped_us, "µs", note="mapped and copied, as the cache did"),
        Figure("random read of one file a clip, read whole", loaded_us, "µs", note="`np.load` alone"),
        Figure("shards, random reads against one file a clip", mapped_us / shard_us, "×", READ_RATIO),
        Figure(f"first read of a cache of {clips:,} clips", opened_ms, "ms"),
    ]


def shard_packing(clips: int = 1_000) -> list[Figure]:
    """Time to extract so many clips into shards, in percent of that into one file each; one process."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        sources, runs = _recordings(Path(folder) / "audio", clips), iter(range(1_000))

        def one_file_each() -> None:
            target = Path(folder) / f"files{next(runs)}"
            for file, sha1 in sources:
                samples = read(file)
                assert content_sha1(samples) == sha1
                _save(target, sha1, log_mel(samples, FrontendConfig()))

        def into_shards() -> None:
            cache = FeatureCache(Path(folder) / f"packed{next(runs)}", FrontendConfig(), 0.0)
            assert extract(sources, cache, workers=1) == clips

        files_s, shards_s = medians_s([one_file_each, into_shards], REPEATS)
    note = f"{clips:,} clips of {CLIP_S:g} s: {shards_s:.1f} s, {files_s:.1f} s one file each"
    return [
        Figure("extraction into shards", 100 * shards_s / files_s, "% of one file each", PACKING_PERCENT, True, note)
    ]


def shards_killed(clips: int = 4_000, workers: int = 2) -> list[Figure]:
    """Items that differ or are lost when an extraction is killed at random times, and what that costs."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        audio, whole, killed = (Path(folder) / name for name in ("audio", "whole", "killed"))
        sources = _recordings(audio, clips)
        names = [sha1 for _, sha1 in sources]
        (audio / LIST).write_text(json.dumps([(str(file), sha1) for file, sha1 in sources]), encoding="utf-8")
        begin = time.perf_counter()
        _extracting(audio, whole, workers).wait()
        alone_s, resumed_s = time.perf_counter() - begin, 0.0
        kept = []
        for number in range(KILLS + 1):
            process, begin = _extracting(audio, killed, workers), time.perf_counter()
            try:
                process.wait(alone_s * rng.uniform(*KILLED_AFTER) if number < KILLS else None)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            resumed_s += time.perf_counter() - begin
            kept.append(clips - len(FeatureCache(killed, FrontendConfig(), 0.0).missing(names)))
            if process.returncode == 0:
                break
        ours, theirs = (FeatureCache(path, FrontendConfig(), 0.0) for path in (whole, killed))
        missing = theirs.missing(names)
        differing = sum(not np.array_equal(ours.read(name), theirs.read(name)) for name in set(names) - set(missing))
        shards = len(list(theirs.folder.glob("*.index")))
    lost = sum(after < before for before, after in zip([0, *kept], kept, strict=False))
    note = (
        f"{clips:,} clips, {workers} workers, kept after each kill: {', '.join(map(str, kept[:-1]))}; {shards} shard(s)"
    )
    return [
        Figure(
            "shards, killed at random times, items that differ", differing + len(missing) + lost, "", 0.0, True, note
        ),
        Figure("shards, time with all restarts", resumed_s / alone_s, "× uninterrupted", note=f"{alone_s:.0f} s"),
    ]


def extract_all(audio: Path, folder: Path, workers: int) -> None:
    """What is killed: all recordings that the folder's list names into the cache."""
    sources = [(Path(file), sha1) for file, sha1 in json.loads((audio / LIST).read_text(encoding="utf-8"))]
    extract(sources, FeatureCache(folder, FrontendConfig(), 0.0), workers)


def _extracting(audio: Path, folder: Path, workers: int) -> subprocess.Popen[bytes]:
    code = "import sys; from pathlib import Path; from bench.shards import extract_all as all_of\n"
    code += "if __name__ == '__main__': all_of(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
    arguments = [sys.executable, "-c", code, str(audio), str(folder), str(workers)]
    return subprocess.Popen(arguments, start_new_session=True, stderr=subprocess.DEVNULL)


def _recordings(folder: Path, clips: int) -> Sources:
    """Made-up WAV files, all of them different, and their content hashes."""
    folder.mkdir()
    speech = voice_like(60.0, np.random.default_rng(42))
    sources, samples = [], round(CLIP_S * SAMPLE_RATE)
    for number in range(clips):
        start = number * 7919 % (speech.size - samples)
        sources.append((folder / f"{number:06d}.wav", ""))
        soundfile.write(sources[-1][0], speech[start : start + samples], SAMPLE_RATE, "PCM_16")
        sources[-1] = sources[-1][0], content_sha1(read(sources[-1][0]))
    return sources


def _path(folder: Path, name: str) -> Path:
    return folder / name[:2] / f"{name}.npy"


def _save(folder: Path, name: str, features: np.ndarray) -> None:
    with replacing(_path(folder, name)) as partial, partial.open("wb") as file:
        np.save(file, np.asfortranarray(features, dtype=np.float16), allow_pickle=False)


def _cpu_us(ways: Sequence[Callable[[str], object]], names: Sequence[str]) -> list[float]:
    """Median CPU time of a call of each, over all names; repetitions alternate, the first is left out."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(REPEATS + 1):
        for way, times in zip(ways, taken, strict=True):
            begin = time.process_time()
            for name in names:
                way(name)
            times.append((time.process_time() - begin) / len(names) * 1e6)
    return [float(np.median(times[1:])) for times in taken]
