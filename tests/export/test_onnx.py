import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from uyan.bundle import Bundle, BundleInfo, load
from uyan.errors import BundleError
from uyan.export.onnx import OPSET, PARITY_TOLERANCE, check_parity, make_bundle, network_to_onnx, save_bundle
from uyan.model.network import Network, NetworkConfig


@pytest.fixture(scope="module")
def exported(network: Network) -> bytes:
    return network_to_onnx(network, mels=64)


def run(model: bytes, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of the whole features at once: with nothing remembered."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    memories = {layer.name: np.empty((len(features), layer.shape[1], 1, 0), np.float32) for layer in inputs(session)}
    logits: NDArray[np.float32] = session.run(["logits"], {"features": features, **memories})[0]
    return logits


def inputs(session: onnxruntime.InferenceSession) -> list[Any]:
    """All but the features."""
    return [layer for layer in session.get_inputs() if layer.name != "features"]


def raw_features(rng: np.random.Generator, batch: int, frames: int) -> NDArray[np.float32]:
    return rng.normal(-6, 3, (batch, 64, frames)).astype(np.float32)


def test_the_file_is_valid_onnx_of_opset_17_and_nothing_else(exported: bytes) -> None:
    model = onnx.load_from_string(exported)
    onnx.checker.check_model(model, full_check=True)
    assert OPSET == 17
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_the_saved_bundle_is_valid_onnx_of_opset_17(bundle: Bundle) -> None:
    model = onnx.load(str(bundle.path))
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import] == [17]


def test_input_and_output_have_the_promised_names_and_axes(exported: bytes) -> None:
    graph = onnx.load_from_string(exported).graph

    def axes(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]

    def memories(name: str) -> list[tuple[str, int, list[str | int]]]:
        channels = [64, *[48] * 6]
        names = [name.format(layer) for layer in range(7)]
        return [
            (name, onnx.TensorProto.FLOAT, ["batch", width, 1, name])
            for name, width in zip(names, channels, strict=True)
        ]

    expected = ("features", onnx.TensorProto.FLOAT, ["batch", 64, "time"])
    assert [axes(value) for value in graph.input] == [expected, *memories("memory_{}")]
    expected = ("logits", onnx.TensorProto.FLOAT, ["batch", 2, "positions"])
    assert [axes(value) for value in graph.output] == [expected, *memories("next_{}")]


@pytest.mark.parametrize(("batch", "frames"), [(1, 100), (1, 101), (3, 100), (7, 233), (2, 1000)])
def test_onnx_and_torch_agree_at_any_batch_and_length(
    exported: bytes, network: Network, rng: np.random.Generator, batch: int, frames: int
) -> None:
    features = raw_features(rng, batch, frames)
    with torch.inference_mode():
        expected = network(torch.from_numpy(features)).numpy()
    assert expected.shape == (batch, 2, (frames - 100) // 2 + 1)
    assert np.abs(run(exported, features) - expected).max() <= 1e-4


def test_the_large_network_is_exported_alike(rng: np.random.Generator) -> None:
    features = raw_features(rng, 2, 120)
    with torch.random.fork_rng():
        torch.manual_seed(42)
        large = Network(NetworkConfig(size="large"), 64, window_frames=75).eval()
    with torch.inference_mode():
        expected = large(torch.from_numpy(features)).numpy()
    assert np.abs(run(network_to_onnx(large, mels=64), features) - expected).max() <= 1e-4


def test_cmvn_is_inside_the_file(exported: bytes, network: Network, rng: np.random.Generator) -> None:
    changed = copy.deepcopy(network)
    mean = network.mean[:, 0] + torch.linspace(-1, 1, 64)
    changed.set_cmvn(mean, network.inverse_deviation[:, 0] ** -2 * 4)
    features = raw_features(rng, 1, 130)
    # Features on which the changed statistics give what the first gave on `features`.
    shifted = (torch.from_numpy(features) - network.mean) * 2 + mean[:, None]
    model = network_to_onnx(changed, mels=64)
    assert run(model, shifted.numpy()) == pytest.approx(run(exported, features), abs=1e-4)
    assert np.abs(run(model, features) - run(exported, features)).max() > 0.1


def test_dropout_is_left_out_even_from_a_network_in_training(exported: bytes, network: Network) -> None:
    assert network_to_onnx(copy.deepcopy(network).train(), mels=64) == exported


def test_the_same_network_gives_the_same_bytes(exported: bytes, network: Network, bundle_info: BundleInfo) -> None:
    again = network_to_onnx(copy.deepcopy(network), mels=64)
    assert again == exported
    path = Path("bundle.onnx")
    assert make_bundle(again, bundle_info, path).data == make_bundle(exported, bundle_info, path).data


def test_a_bundle_is_not_written_before_it_is_saved(exported: bytes, bundle_info: BundleInfo, tmp_path: Path) -> None:
    made = make_bundle(exported, bundle_info, tmp_path / "deeper" / "bundle.onnx")
    assert list(tmp_path.iterdir()) == []
    save_bundle(made)
    assert [file.name for file in made.path.parent.iterdir()] == ["bundle.onnx"]
    assert load(made.path).info == bundle_info
    assert made.path.read_bytes() == made.data


def test_sealing_a_bundle_again_replaces_its_metadata(bundle: Bundle) -> None:
    changed = replace(bundle.info, threshold=0.75, measured={"fah": 0.2, "hours": 6.0})
    again = make_bundle(bundle.data, changed, bundle.path)
    assert again.info == changed
    assert make_bundle(again.data, bundle.info, bundle.path).data == bundle.data


def test_metadata_that_no_bundle_may_have_is_refused_at_once(exported: bytes, bundle_info: BundleInfo) -> None:
    with pytest.raises(BundleError, match="threshold"):
        make_bundle(exported, replace(bundle_info, threshold=float("nan")), Path("bundle.onnx"))


def test_parity_holds(network: Network, bundle: Bundle) -> None:
    assert 0 < check_parity(network, bundle) <= PARITY_TOLERANCE


def changed(network: Network, **weights: Any) -> Network:
    other = copy.deepcopy(network)
    with torch.no_grad():
        for name, value in weights.items():
            getattr(other.head, name).add_(value)
    return other


@pytest.mark.parametrize("bias", [1e-3, 1.0, float("nan"), float("inf")])
def test_the_graph_of_other_weights_fails_the_parity_check(network: Network, bundle: Bundle, bias: float) -> None:
    with pytest.raises(BundleError, match="differ"):
        check_parity(changed(network, bias=bias), bundle)


def test_a_network_that_learnt_nan_fails_the_parity_check(network: Network, bundle_info: BundleInfo) -> None:
    broken = changed(network, weight=float("nan"))
    made = make_bundle(network_to_onnx(broken, mels=64), bundle_info, Path("broken.onnx"))
    with pytest.raises(BundleError, match=r"broken\.onnx"):
        check_parity(broken, made)


def test_metadata_of_another_window_fails_the_parity_check(network: Network, bundle: Bundle) -> None:
    longer = make_bundle(bundle.data, replace(bundle.info, window_frames=120), Path("longer.onnx"))
    with pytest.raises(BundleError, match=r"longer\.onnx"):
        check_parity(network, longer)
