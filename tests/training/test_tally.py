"""Peaks are suppressed greedily, in any chunks, in bounded memory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.training import tally
from uyan.training.tally import Peaks


def greedy(scores: NDArray[np.float64], threshold: float, window: int) -> list[tuple[float, int]]:
    """Non-maximum suppression, said plainly."""
    kept: list[tuple[float, int]] = []
    for score, start in sorted((-score, 2 * place) for place, score in enumerate(scores.tolist()) if score > threshold):
        if all(abs(start - other) >= window for _, other in kept):
            kept.append((score, start))
    return sorted(kept)


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.4, 0.5, 0.7, 0.9]), max_size=120),
    st.sampled_from([4, 7, 10]),
    st.lists(st.integers(0, 120), max_size=6),
)
def test_windows_are_suppressed_greedily_in_any_chunks(values: list[float], window: int, cuts: list[int]) -> None:
    scores, peaks, found = np.array(values), Peaks(0.15, window), []
    edges = sorted({0, len(values), *(min(cut, len(values)) for cut in cuts)})
    for start, stop in pairwise(edges):
        found += peaks.push(2 * start, scores[start:stop])
    assert sorted(found + peaks.finish()) == greedy(scores, 0.15, window)


def test_alarms_without_end_are_deduplicated_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "UNDECIDED_WINDOWS", 50)
    rng, peaks, starts = np.random.default_rng(42), Peaks(0.0, 10), []
    for first in range(0, 2_000, 40):
        starts += [start for _, start in peaks.push(first, rng.uniform(0.5, 1.0, 20))]
        assert peaks._starts.size <= 50 + 20
    starts += [start for _, start in peaks.finish()]
    assert np.diff(sorted(starts)).min() >= 10
    assert np.diff(sorted(starts)).max() < 3 * 10
