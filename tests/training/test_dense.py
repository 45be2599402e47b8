"""Cut into pieces or put side by side, recordings have the margins they have alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.data.cache import FeatureCache
from uyan.errors import TrainingError
from uyan.frontend import FrontendConfig
from uyan.model.network import Network
from uyan.training import dense
from uyan.training.dense import Margins, ScanSource, cached_blocks, cut, dense_margins, evaluating

WINDOW = 100


def random_features(frames: int, seed: int = 42) -> NDArray[np.float16]:
    values = np.random.default_rng(seed).normal(-8, 3, (frames, 64)).astype(np.float16)
    return values.T


def passed(network: Network, recordings: dict[str, NDArray[np.float16]]) -> list[Margins]:
    sources = [(ScanSource(name, name), piece) for name, one in recordings.items() for piece in cut([one], WINDOW)]
    return list(dense_margins(network, sources))


def alone(network: Network, features: NDArray[np.float16]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = network(torch.from_numpy(features[None].astype(np.float32)))[0]
    return (logits[1] - logits[0]).numpy()


def test_a_long_recording_has_no_seams(network: Network) -> None:
    features = random_features(2 * 6098 + 777)
    pieces = passed(network, {"long": features})
    assert [piece.first for piece in pieces] == [0, 6000, 12000]
    assert [piece.total for piece in pieces] == [None, None, features.shape[1]]
    found = np.concatenate([piece.values for piece in pieces])
    np.testing.assert_allclose(found, alone(network, features), atol=2e-4)


def test_recordings_side_by_side_do_not_hear_one_another(network: Network) -> None:
    recordings = {f"{n} frames": random_features(n, n) for n in (150, 151, 333, 6098, 200, 7000, 155)}
    pieces = passed(network, recordings)
    for name, features in recordings.items():
        found = np.concatenate([piece.values for piece in pieces if piece.source.key == name])
        np.testing.assert_allclose(found, alone(network, features), atol=2e-4)


def test_a_short_recording_stands_in_the_middle_of_its_own_quiet() -> None:
    features = random_features(98)
    features[:, 50:] += 20
    (piece,) = cut([features], WINDOW)
    assert (piece.first, piece.total, piece.features.shape) == (-26, 98, (64, 150))
    np.testing.assert_array_equal(piece.features[:, 26:124], features)
    own = {column.tobytes() for column in features[:, :50].T}
    assert {column.tobytes() for column in np.delete(piece.features, np.s_[26:124], axis=1).T} <= own
    (again,) = cut([features.copy()], WINDOW)
    np.testing.assert_array_equal(piece.features, again.features)


@given(st.integers(151, 40_000), st.sampled_from([30, 100, 101]), st.integers(1, 9_000))
def test_every_window_is_in_one_piece_however_the_blocks_come(frames: int, window: int, block: int) -> None:
    features = np.arange(frames, dtype=np.float32)[None]
    blocks = [features[:, start : start + block] for start in range(0, frames, block)]
    starts: list[int] = []
    for piece in cut(blocks, window):
        assert piece.features[0, 0] == piece.first
        assert piece.features.shape[1] <= dense.piece_frames(window) + 2
        starts += [piece.first + 2 * p for p in range((piece.features.shape[1] - window) // 2 + 1)]
    assert starts == list(range(0, frames - window + 1, 2))


def test_a_recording_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "READ_FRAMES", 40)
    cache = FeatureCache(tmp_path, FrontendConfig(), 0.0)
    features = random_features(130)
    cache.put("a" * 40, features)
    blocks = list(cached_blocks(cache.shards, "a" * 40))
    assert [block.shape[1] for block in blocks] == [40, 40, 40, 10]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), features)


def test_a_margin_that_is_no_number_names_the_recording(network: Network) -> None:
    broken = random_features(200)
    broken[3, 180] = np.nan
    with pytest.raises(TrainingError, match=r"broken\.wav: the network's score is not a number"):
        passed(network, {"good.wav": random_features(200), "broken.wav": broken})


def test_nothing_at_all_cannot_be_cut() -> None:
    with pytest.raises(TrainingError, match="without a single frame"):
        list(cut([], WINDOW))


def test_the_network_goes_back_to_its_mode(network: Network) -> None:
    network.train()
    try:
        with evaluating(network):
            assert not network.training
        assert network.training
    finally:
        network.eval()
    with evaluating(network):
        assert not network.training
    assert not network.training
