"""Resident features are what the cache has, whatever lengths recordings have, and hardly more memory than that."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from uyan.data.augment import quiet_frames
from uyan.data.cache import FeatureCache
from uyan.data.examples import BatchConfig, ExampleMaker, Positive, Segment
from uyan.data.locate import Span
from uyan.data.resident import resident_features as resident
from uyan.data.resident.resident_features import STAGE, ResidentFeatures
from uyan.data.resident.takes import Takes
from uyan.errors import DataError
from uyan.frontend import FrontendConfig

MELS, CPU = 64, torch.device("cpu")
FRAMES = (40, 250, 60, 1007, 9, 100)


class EveryOne:
    """Draws every quiet frame, in order."""

    def integers(self, low: int, high: int, size: int) -> NDArray[np.int64]:
        return np.arange(low, high)[:size]


def takes_of(folder: Path, clips: list[np.ndarray]) -> tuple[Takes, list[np.ndarray]]:
    """Of clips (mels, frames), and those in the order of its rows."""
    cache = FeatureCache(folder, FrontendConfig())
    with cache.writer() as writer:
        for number, clip in enumerate(clips):
            writer.add(f"{number:040x}", clip)
    positives = [Positive(f"{0:040x}", Span(0, 1))]
    negatives = [Segment(f"{number:040x}", 0) for number in range(1, len(clips))]
    takes = Takes([ExampleMaker(cache, positives, negatives, [], BatchConfig(), None, 100)])
    return takes, [clips[int(key, 16)] for key in takes.keys]


def test_long_recordings_are_read_in_ranges_to_the_same_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some frames are as quiet as others, and of those the first ones count."""
    monkeypatch.setattr(resident, "PIECE_FRAMES", 128)
    monkeypatch.setattr(resident, "RANGE_FRAMES", 32)
    monkeypatch.setattr(resident, "ENERGY_FRAMES", 10)
    rng, told = np.random.default_rng(7), list[tuple[str, int, int]]()
    coarse = [rng.integers(-3, 4, (1, frames)).astype(np.float16) for frames in FRAMES]
    clips = [np.repeat(clip, MELS, axis=0) + rng.permutation(MELS)[:, None].astype(np.float16) for clip in coarse]
    takes, in_order = takes_of(tmp_path, clips)
    found = ResidentFeatures(takes.cache, takes, CPU, progress=lambda *how: told.append(how))
    np.testing.assert_array_equal(found.features.numpy().T, np.concatenate(in_order, axis=1))
    layout = found.layout
    assert layout.frames.tolist() == [clip.shape[1] for clip in in_order]
    for row, clip in enumerate(in_order):
        start, count = layout.quiet_starts[row], layout.quiet_counts[row]
        expected = quiet_frames(clip, count, EveryOne())  # type: ignore[arg-type]
        quiet = layout.quiet[start : start + count]
        np.testing.assert_array_equal(clip[:, quiet], expected)
        energy = clip.astype(np.float32).mean(axis=0)
        assert quiet.tolist() == np.argsort(energy, kind="stable")[:count].tolist()
    assert told[0] == (STAGE, 0, len(FRAMES)) and told[-1] == (STAGE, len(FRAMES), len(FRAMES))


def test_one_long_recording_takes_hardly_more_memory_than_its_features(tmp_path: Path) -> None:
    """Five minutes of clips, and an hour in one piece."""
    rng = np.random.default_rng(3)
    clips = [np.tile(rng.normal(-8, 3, (1, frames)), (MELS, 1)) for frames in (*[150] * 200, 360_000)]
    takes, _ = takes_of(tmp_path, [clip.astype(np.float16) for clip in clips])
    takes.cache.reset()
    tracemalloc.start()
    try:
        found = ResidentFeatures(takes.cache, takes, CPU)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.nbytes < peak_bytes < 1.15 * found.nbytes


@pytest.mark.parametrize(("piece_frames", "expected_more"), [(4096, -1), (4096, 1), (32, 1)])
def test_features_that_change_while_they_are_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_frames: int, expected_more: int
) -> None:
    monkeypatch.setattr(resident, "PIECE_FRAMES", piece_frames)
    takes, _ = takes_of(tmp_path, [np.zeros((MELS, frames), np.float16) for frames in (120, 50)])
    takes.frames = takes.frames + expected_more
    with pytest.raises(DataError, match="changed while they were read; run the same command again"):
        ResidentFeatures(takes.cache, takes, CPU)
