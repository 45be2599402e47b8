"""Which pairs of recordings may be near-duplicates: those with a similar print, without comparing all pairs.

Prints are whitened, then compared inside cells of similar prints only (an inverted file, Sivic & Zisserman 2003).
It knows nothing of waveforms: whether a candidate is a duplicate is for `correlation` to say.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uyan.data.duplicates.fingerprint import DIMS, Fingerprint, unit
from uyan.engine.parallel import Progress, silent

MIN_COSINE = 0.7
"""Whitened prints at least this similar are candidates; 98 % of tightly trimmed takes are."""
SAME_COSINE = 0.97
"""Prints this similar before whitening count once in the corpus statistics, or copies would whiten themselves away."""
STATISTICS_PRINTS = 4096
CELL_PRINTS = 64
MAX_CELLS = 2048
PROBES = 3
"""Every print stands in its three nearest cells: 99 % of similar pairs share one."""
NEAREST = 10
REPRESENTATIVES = 4
"""In a crowd, a print of a cell is linked to its nearest and to the crowd's first few, which every member shares."""
TRIES = 3
"""Anchor pairs tried for a pair of recordings, most similar first."""


def find_candidates(
    fingerprints: Sequence[Fingerprint], *, seed: int = 42, progress: Progress = silent
) -> NDArray[np.int64]:
    """Pairs of recordings with a similar print: rows (first, second, first frame, second frame), shape (tries, 4).

    first < second. At most TRIES rows a pair, in an order in which neighbours share recordings.
    """
    owner = np.repeat(np.arange(len(fingerprints)), [one.anchors_frames.size for one in fingerprints])
    if not owner.size:
        return np.zeros((0, 4), np.int64)
    frames = np.concatenate([one.anchors_frames for one in fingerprints])
    rng = np.random.default_rng(seed)
    prints = _whiten(np.concatenate([one.prints for one in fingerprints]), rng)
    left, right = _similar_pairs(prints, owner, rng, progress)
    cosine = np.empty(left.size, np.float32)
    for part in _blocks(left.size, 2**16):
        cosine[part] = np.einsum("pd,pd->p", prints[left[part]], prints[right[part]])
    order = np.lexsort((-cosine, owner[right], owner[left]))
    left, right = left[order], right[order]
    rows = np.stack([owner[left], owner[right], frames[left], frames[right]], axis=1).astype(np.int64)
    rows = rows[_rank_in_run(rows[:, 0] * len(fingerprints) + rows[:, 1]) < TRIES]
    return rows[_loading_order(rows, len(fingerprints))]


def _rank_in_run(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each key within its run of equal keys, shape (keys,).

    >>> _rank_in_run(np.array([7, 7, 8, 9, 9, 9])).tolist()
    [0, 1, 0, 0, 1, 2]
    """
    position = np.arange(keys.size)
    starts = np.where(np.diff(keys, prepend=-1) != 0, position, 0)
    return position - np.maximum.accumulate(starts)


def _loading_order(rows: NDArray[np.int64], count: int) -> NDArray[np.intp]:
    """An order of the tries that keeps linked recordings close together (reverse Cuthill-McKee)."""
    first, second = rows[:, 0], rows[:, 1]
    graph = sparse.csr_array((np.ones(len(rows)), (first, second)), shape=(count, count))
    rank = np.empty(count, np.int64)
    rank[sparse.csgraph.reverse_cuthill_mckee(graph + graph.T, symmetric_mode=True)] = np.arange(count)
    low, high = np.minimum(rank[first], rank[second]), np.maximum(rank[first], rank[second])
    return np.lexsort((high, low))  # stable: tries of one pair stay in order


def _whiten(prints: NDArray[np.float16], rng: np.random.Generator) -> NDArray[np.float32]:
    """Prints of shape (prints, dims) as unit vectors, less what all of the corpus has in common.

    Mean and covariance come from prints that differ, and few of those move them little: a corpus of copies
    stays a corpus of copies.
    """
    sample = _sample(prints, STATISTICS_PRINTS, rng).astype(np.float32)
    copies = np.triu(sample @ sample.T > SAME_COSINE, 1).any(axis=0)
    sample = sample[~copies]
    trust = len(sample) / (len(sample) + 2 * DIMS)
    mean = trust * sample.mean(axis=0)
    covariance = (sample - mean).T @ (sample - mean) / len(sample)
    variance, axes = np.linalg.eigh(covariance)
    ridge = (0.1 * trust + 1 - trust) * variance.mean()
    whitener = (axes / np.sqrt(trust * np.maximum(variance, 0) + ridge + 1e-9)).astype(np.float32)
    white = np.empty(prints.shape, np.float32)
    for rows in _blocks(len(prints), 2**14):
        white[rows] = unit((prints[rows].astype(np.float32) - mean) @ whitener)
    return white


def _sample(rows: NDArray[np.float16], size: int, rng: np.random.Generator) -> NDArray[np.float16]:
    return rows if len(rows) <= size else rows[np.sort(rng.choice(len(rows), size, replace=False))]


def _blocks(total: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, total, size))


def _similar_pairs(
    prints: NDArray[np.float32], owner: NDArray[np.intp], rng: np.random.Generator, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of prints in a common cell, of two recordings, with cosine >= MIN_COSINE; left < right."""
    cells = _cells(prints, rng)
    order = np.argsort(cells, axis=None, kind="stable")
    sizes = np.bincount(cells.ravel())
    keys = [np.zeros(0, np.int64)]
    for number, members in enumerate(np.split(order // cells.shape[1], np.cumsum(sizes)[:-1]), 1):
        # A crowd of n prints is n x n cosines in its cell, but never more than 14 n pairs.
        for rows in _blocks(len(members), max(1, 2**24 // max(1, len(members)))):
            cosine = prints[members[rows]] @ prints[members].T
            cosine[owner[members[rows], None] == owner[members]] = -1.0
            row, column = _kept(cosine)
            pair = members[rows][row], members[column]
            keys.append(np.minimum(*pair) * len(prints) + np.maximum(*pair))
        progress("compare fingerprints", number, sizes.size)
    unique = np.unique(np.concatenate(keys))
    return unique // len(prints), unique % len(prints)


def _kept(cosine: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the similar prints in (rows, columns); of a crowd, its nearest and its first."""
    similar = cosine >= MIN_COSINE
    crowded = np.flatnonzero(similar.sum(axis=1) > NEAREST + REPRESENTATIVES)
    if crowded.size:
        kept = similar[crowded] & (np.cumsum(similar[crowded], axis=1, dtype=np.int32) <= REPRESENTATIVES)
        nearest = np.argpartition(cosine[crowded], -NEAREST, axis=1)[:, -NEAREST:]
        np.put_along_axis(kept, nearest, True, axis=1)  # exactly so many, however many equal copies there are
        similar[crowded] = kept
    row, column = np.nonzero(similar)
    return row, column


def _cells(prints: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.intp]:
    """The nearest cells of each print, shape (prints, probes), by two rounds of spherical k-means."""
    count = min(MAX_CELLS, max(1, len(prints) // CELL_PRINTS))
    sample = prints[np.sort(rng.choice(len(prints), min(len(prints), count * CELL_PRINTS), replace=False))]
    centres = sample[rng.choice(len(sample), count, replace=False)]
    for _ in range(2):
        nearest = _nearest(sample, centres, 1)[:, 0]
        shape = (count, len(sample))
        assigned = sparse.csr_array((np.ones(len(sample), np.float32), (nearest, np.arange(len(sample)))), shape)
        centres = unit(assigned @ sample + 1e-6 * centres)  # an empty cell keeps its centre
    return _nearest(prints, centres, min(PROBES, count))


def _nearest(prints: NDArray[np.float32], centres: NDArray[np.float32], probes: int) -> NDArray[np.intp]:
    """Numbers of the most similar centres of each print, shape (prints, probes)."""
    nearest = np.empty((len(prints), probes), np.intp)
    for rows in _blocks(len(prints), 4096):
        nearest[rows] = np.argpartition(prints[rows] @ -centres.T, probes - 1, axis=1)[:, :probes]
    return nearest
