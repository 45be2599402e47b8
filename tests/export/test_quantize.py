"""Eight bits: the same inputs and outputs, nearly the same logits, in a stream as in one pass."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.bundle import Bundle, load
from uyan.errors import BundleError
from uyan.export.onnx import make_bundle, save_bundle
from uyan.export.quantize import quantized
from uyan.frontend import Features, FrontendConfig, log_mel


@pytest.fixture(scope="module")
def features(changing_sound) -> Features:
    return log_mel(changing_sound(12.0, seed=3), FrontendConfig())


@pytest.fixture(scope="module")
def small(bundle: Bundle, features: Features, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """`bundle` in eight bits, as a file, loaded."""
    examples = [features[:, start : start + 300] for start in range(0, 900, 100)]
    path = tmp_path_factory.mktemp("small") / "bundle.int8.onnx"
    save_bundle(make_bundle(quantized(bundle.data, examples), replace(bundle.info, label="küçük"), path))
    return load(path)


def margins(bundle: Bundle, features: Features) -> NDArray[np.float32]:
    background, keyword = bundle.logits(features)
    return keyword - background


def test_half_the_size_and_nearly_the_same_logits(bundle: Bundle, small: Bundle, features: Features) -> None:
    assert small.info.label == "küçük"
    assert len(small.data) < 0.55 * len(bundle.data)
    expected, found = margins(bundle, features), margins(small, features)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_stream_gives_what_one_pass_gives(small: Bundle, features: Features) -> None:
    window = small.info.window_frames
    first, memory = small.step(features[:, :window], [])
    parts = [first]
    for start in range(window, features.shape[1] - 9, 10):
        logits, memory = small.step(features[:, start : start + 10], memory)
        parts.append(logits)
    streamed = np.concatenate(parts, axis=1)
    assert streamed == pytest.approx(small.logits(features)[:, : streamed.shape[1]], abs=1e-4)


def test_without_examples_there_are_no_ranges(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="needs examples"):
        quantized(bundle.data, [])


def test_the_file_is_sealed_like_any_other(small: Bundle, tmp_path: Path) -> None:
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(small.data[:-1])
    with pytest.raises(BundleError):
        load(torn)
