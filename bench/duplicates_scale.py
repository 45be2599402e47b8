"""How the search for near-duplicates grows: made-up fingerprints, many clips of few words, planted copies.

Prints look like real ones: smooth in time and frequency, alike within a word and more so within a voice.
Copies differ as re-encoded, trimmed and noisy takes do. There is no audio: the waveforms' 3-4 ms a pair come on top.
"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bench.measure import Figure
from uyan.data.duplicates.duplicate_candidates import find_candidates
from uyan.data.duplicates.duplicate_groups import DuplicateLink, groups
from uyan.data.duplicates.fingerprint import BANDS, DIMS, Fingerprint

WORDS, VOICES = 300, 1500
PLANTED_GROUPS = 1000
COPY_NOISE = 0.25
"""Length of what a copy's alterations add to a unit print: cosine about 0.97, as tight trims measure."""


def patches(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random smooth unit patches, shape (count, dims)."""
    noise = rng.standard_normal((count, BANDS, DIMS // BANDS), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 1.0, 1.2)).reshape(count, DIMS)
    unit: NDArray[np.float32] = smooth / np.linalg.norm(smooth, axis=1, keepdims=True)
    return unit


def made_up(clips: int, rng: np.random.Generator) -> list[Fingerprint]:
    """Fingerprints of that many clips, one to three anchors each."""
    words, voices = patches(3 * WORDS, rng).reshape(WORDS, 3, DIMS), patches(VOICES, rng)
    common, found = patches(1, rng), []
    for _ in range(clips):
        anchors = rng.choice([1, 2, 3], p=[0.8, 0.15, 0.05])
        voice = voices[rng.integers(VOICES)]
        prints = common + 0.7 * words[rng.integers(WORDS), :anchors] + 0.4 * voice + 0.5 * patches(anchors, rng)
        found.append(_fingerprint(prints))
    return found


def _fingerprint(prints: NDArray[np.float32]) -> Fingerprint:
    unit = prints / np.linalg.norm(prints, axis=1, keepdims=True)
    return Fingerprint(np.arange(len(unit), dtype=np.int32) * 60, unit.astype(np.float16))


def plant(found: list[Fingerprint], rng: np.random.Generator) -> NDArray[np.int64]:
    """Overwrite clips by copies of others; the number of each clip's planted group or -1, shape (clips,)."""
    group_of = np.full(len(found), -1)
    free = iter(rng.permutation(len(found)).tolist())
    for group in range(min(PLANTED_GROUPS, len(found) // 20)):
        members = [next(free) for _ in range(rng.integers(2, 11))]
        original = found[members[0]].prints.astype(np.float32)
        for member in members:
            found[member] = _fingerprint(original + COPY_NOISE * patches(len(original), rng))
            group_of[member] = group
    return group_of


def duplicates_scale(clips: int = 125_000) -> list[Figure]:
    """Seconds and memory of the search, how much it left to compare, and how many planted groups it found whole."""
    rng = np.random.default_rng(42)
    found = made_up(clips, rng)
    group_of = plant(found, rng)
    before_mib = peak_memory_mib()
    begin = time.perf_counter()
    pairs = np.unique(find_candidates(found)[:, :2], axis=0)
    seconds = time.perf_counter() - begin
    true = (group_of[pairs[:, 0]] == group_of[pairs[:, 1]]) & (group_of[pairs[:, 0]] >= 0)
    links = [DuplicateLink(first, second, 1.0) for first, second in pairs[true].tolist()]
    whole = sum(len(group) == np.sum(group_of == group_of[group[0]]) for group in groups(links, len(found)))
    planted = int(group_of.max()) + 1
    prints = sum(one.anchors_frames.size for one in found)
    return [
        Figure("near-duplicate search", seconds, "s", note=f"{clips:,} clips, {prints:,} prints"),
        Figure("near-duplicate search, memory", peak_memory_mib(), "MiB", note=f"{before_mib:.0f} MiB before it"),
        Figure("near-duplicate search, candidates", len(pairs), "pairs", note=f"{true.sum()} of them true"),
        Figure("near-duplicate search, groups found whole", 100 * whole / planted, "%", note=f"of {planted} planted"),
    ]


def peak_memory_mib() -> float:
    """The most this process ever held, MiB. Not `ru_maxrss`, which starts with the parent's. Linux only."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
