"""Recordings grouped by voice: average-linkage clustering of speaker embeddings by cosine distance.

It knows nothing of audio, networks or manifests.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

CHUNK = 4000
"""Distances between so many are held at once: 64 MB."""


def cluster(embeddings: NDArray[np.float32], distance: float, chunk: int = CHUNK) -> NDArray[np.intp]:
    """The cluster of each embedding, shape (recordings,), numbered by first appearance.

    `embeddings` are of unit length, shape (recordings, size). Two clusters are one while the mean cosine distance
    between their members is at most `distance`. Above `chunk` recordings, chunks are clustered for themselves and
    then their mean voices with each other.

    >>> cluster(np.float32([[1, 0], [0, 1], [1, 0]]), 0.2).tolist()
    [0, 1, 0]
    """
    if len(embeddings) == 0:
        return np.zeros(0, np.intp)
    if len(embeddings) <= chunk:
        return _by_first(_linked(embeddings, distance))
    found = np.zeros(len(embeddings), np.intp)
    voices: list[NDArray[np.float32]] = []
    for start in range(0, len(embeddings), chunk):
        part = embeddings[start : start + chunk]
        labels = cluster(part, distance, chunk)
        found[start : start + chunk] = labels + len(voices)
        voices += [mean_voice(part[labels == label]) for label in range(labels.max() + 1)]
    # As many clusters as recordings: nothing was joined, and nothing more can be without comparing all with all.
    joined = cluster(np.stack(voices), distance, max(chunk, len(voices)))
    return _by_first(joined[found])


def mean_voice(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """The direction of the mean of unit vectors, shape (size,)."""
    mean = embeddings.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _linked(embeddings: NDArray[np.float32], distance: float) -> NDArray[np.intp]:
    if len(embeddings) == 1:
        return np.zeros(1, np.intp)
    tree = linkage(embeddings.astype(np.float64), method="average", metric="cosine")
    return fcluster(tree, distance, criterion="distance").astype(np.intp)


def _by_first(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Renumbered 0, 1, … in the order of appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
