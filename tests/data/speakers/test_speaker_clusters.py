"""Voices in groups: known arrangements, any order, chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.data.speakers.speaker_clusters import cluster, mean_voice


def people(count: int, each: int, spread: float, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Recordings around `count` directions, shuffled, and who speaks in each."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 64))
    who = rng.permutation(np.repeat(np.arange(count), each))
    found = directions[who] / np.linalg.norm(directions[who], axis=1, keepdims=True) + rng.normal(
        0, spread, (len(who), 64)
    )
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), who


def same_partition(left: NDArray[np.intp], right: NDArray[np.intp]) -> bool:
    return bool(np.array_equal(left[:, None] == left, right[:, None] == right))


@given(count=st.integers(1, 8), each=st.integers(1, 6), seed=st.integers(0, 1000))
def test_clear_voices_are_told_apart(count: int, each: int, seed: int) -> None:
    embeddings, who = people(count, each, 0.01, seed)
    directions = np.stack([embeddings[who == speaker][0] for speaker in range(count)])
    if count > 1 and (1 - directions @ directions.T + 2 * np.eye(count)).min() < 0.4:
        return  # two of the drawn people happen to sound alike
    labels = cluster(embeddings, 0.2)
    assert same_partition(labels, who)
    assert labels[0] == 0 and set(labels) == set(range(count))


def test_chunks_find_the_same_groups() -> None:
    embeddings, who = people(6, 20, 0.02)
    assert same_partition(cluster(embeddings, 0.3, chunk=17), who)
    assert same_partition(cluster(embeddings, 0.3), who)


def test_chunks_end_where_nothing_is_joined() -> None:
    labels = cluster(np.eye(9, dtype=np.float32), 0.3, chunk=2)
    assert labels.tolist() == list(range(9))


@pytest.mark.parametrize(("distance", "groups"), [(0.0, 3), (0.35, 2), (1.0, 1)])
def test_the_distance_is_the_mean_between_members(distance: float, groups: int) -> None:
    """Directions at 0, 45 and 90 degrees: cosine distances of 0.29 and, between the pair and the third, 0.65."""
    at = np.deg2rad([0.0, 45.0, 90.0])
    assert len(set(cluster(np.stack([np.cos(at), np.sin(at)], axis=1).astype(np.float32), distance))) == groups


def test_none_and_one() -> None:
    assert cluster(np.zeros((0, 4), np.float32), 0.2).tolist() == []
    assert cluster(np.float32([[1, 0]]), 0.2).tolist() == [0]
    assert mean_voice(np.float32([[1, 0], [0, 1]])) == pytest.approx([0.5**0.5] * 2)
