import hashlib
from collections.abc import Callable
from typing import get_args

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from uyan.container import CHECKSUM_KEY, METADATA_KEY, MOST_JOINS, seal, sealed_text
from uyan.errors import BundleError
from uyan.export.onnx import network_to_onnx
from uyan.model.network import Network, NetworkConfig, Size

TEXT = '{"label": "günaydın"}'


def tiny_graph(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    ends = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y"))
    inputs, outputs = ([end] for end in ends)
    last = helper.make_node("Identity", ["x"], ["y"])
    return helper.make_graph([*nodes, last], "tiny", inputs, outputs, list(initializers))


def serialized(graph: onnx.GraphProto) -> bytes:
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def model_of(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> bytes:
    return serialized(tiny_graph(*nodes, initializers=initializers))


PLAIN = model_of(initializers=(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]),))
SEALED = seal(PLAIN, TEXT)


@given(st.text())
def test_what_was_sealed_comes_back(text: str) -> None:
    assert sealed_text(seal(PLAIN, text)) == text


def test_the_sealed_file_is_the_same_model_to_onnx_with_two_entries_of_metadata() -> None:
    model = onnx.load_from_string(SEALED)
    onnx.checker.check_model(model)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        METADATA_KEY: TEXT,
        CHECKSUM_KEY: hashlib.sha256(PLAIN + TEXT.encode()).hexdigest(),
    }
    del model.metadata_props[:]
    assert model.SerializeToString() == PLAIN


def test_sealing_again_replaces_the_text() -> None:
    assert seal(SEALED, "another") == seal(PLAIN, "another")


def test_every_truncation_is_noticed() -> None:
    for size in range(len(SEALED)):
        with pytest.raises(BundleError):
            sealed_text(SEALED[:size])


def test_every_flipped_bit_is_noticed() -> None:
    for at in range(len(SEALED)):
        for bit in range(8):
            altered = bytearray(SEALED)
            altered[at] ^= 1 << bit
            with pytest.raises(BundleError):
                sealed_text(bytes(altered))


@given(st.integers(0, len(SEALED)), st.binary(min_size=1, max_size=20))
def test_inserted_bytes_are_noticed(at: int, extra: bytes) -> None:
    with pytest.raises(BundleError):
        sealed_text(SEALED[:at] + extra + SEALED[at:])


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        sealed_text(data)


def test_metadata_of_another_model_is_refused() -> None:
    other = seal(model_of(initializers=(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 3.0]),)), TEXT)
    mixed = onnx.load_from_string(SEALED)
    del mixed.metadata_props[:]
    mixed.metadata_props.extend(onnx.load_from_string(other).metadata_props)
    with pytest.raises(BundleError, match="checksum"):
        sealed_text(mixed.SerializeToString())


@pytest.mark.parametrize("keys", [(), (METADATA_KEY,), (CHECKSUM_KEY,), (METADATA_KEY, CHECKSUM_KEY, "author")])
def test_missing_or_extra_metadata_is_refused(keys: tuple[str, ...]) -> None:
    model = onnx.load_from_string(SEALED)
    values = {entry.key: entry.value for entry in model.metadata_props} | {"author": "nobody"}
    del model.metadata_props[:]
    helper.set_model_props(model, {key: values[key] for key in keys})
    with pytest.raises(BundleError, match="metadata"):
        sealed_text(model.SerializeToString())


def test_a_second_entry_of_the_same_name_is_refused() -> None:
    model = onnx.load_from_string(SEALED)
    twice = model.metadata_props.add()
    twice.key, twice.value = METADATA_KEY, TEXT
    with pytest.raises(BundleError, match="metadata"):
        sealed_text(model.SerializeToString())


def external(name: str = "c") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "8")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def constant() -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["c"], value=external())


def in_initializer() -> bytes:
    return model_of(initializers=(external(),))


def in_constant() -> bytes:
    return model_of(constant())


def in_list_of_tensors() -> bytes:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.append(helper.make_attribute("values", [external()]))
    return model_of(node)


def in_subgraph() -> bytes:
    branch = tiny_graph(constant())
    return model_of(helper.make_node("Identity", ["x"], ["c"], then_branch=branch, else_branch=tiny_graph()))


def in_sparse_attribute() -> bytes:
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    sparse = helper.make_sparse_tensor(external(), indices, [2])
    return model_of(helper.make_node("Constant", [], ["c"], sparse_value=sparse))


def in_sparse_initializer() -> bytes:
    graph = tiny_graph()
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    graph.sparse_initializer.append(helper.make_sparse_tensor(external(), indices, [2]))
    return serialized(graph)


def in_training_graph() -> bytes:
    model = onnx.load_from_string(PLAIN)
    model.training_info.add().algorithm.CopyFrom(tiny_graph(constant()))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "make",
    [
        in_initializer,
        in_constant,
        in_list_of_tensors,
        in_subgraph,
        in_sparse_attribute,
        in_sparse_initializer,
        in_training_graph,
    ],
)
def test_tensors_in_other_files_are_refused_wherever_they_stand(make: Callable[[], bytes]) -> None:
    with pytest.raises(BundleError, match="outside"):
        sealed_text(seal(make(), TEXT))


@pytest.mark.parametrize(
    "tag",
    [
        "ea80808010",  # field 13 and 2**32: protobuf keeps 32 bits of it
        "ea00",  # field 13 in two bytes where one is enough
    ],
)
def test_a_field_number_in_disguise_is_refused(tag: str) -> None:
    entry = external().external_data[0].SerializeToString()
    tensor = bytes.fromhex(tag) + bytes([len(entry)]) + entry
    graph = bytes([5 << 3 | 2, len(tensor)]) + tensor
    with pytest.raises(BundleError, match="not an ONNX file"):
        sealed_text(bytes([7 << 3 | 2, len(graph)]) + graph)


@pytest.mark.parametrize("operator", ["Loop", "If", "ConstantOfShape", "Tile", "add"])
def test_other_operators_than_the_export_s_are_refused(operator: str) -> None:
    with pytest.raises(BundleError, match=f"operator that uyan does not export: b'{operator}'"):
        sealed_text(seal(model_of(helper.make_node(operator, ["x"], ["c"])), TEXT))
    hidden = tiny_graph(helper.make_node(operator, ["x"], ["c"]))
    with pytest.raises(BundleError, match="operator"):
        sealed_text(seal(model_of(helper.make_node("Identity", ["x"], ["c"], body=hidden)), TEXT))


def test_joins_that_could_fill_the_memory_are_refused() -> None:
    def chain(length: int, inputs: int = 2) -> bytes:
        names = [f"c{number}" for number in range(length)]
        joins = [
            helper.make_node("Concat", [before] * inputs, [after], axis=0)
            for before, after in zip(["x", *names], names, strict=False)
        ]
        return seal(model_of(*joins), TEXT)

    assert sealed_text(chain(MOST_JOINS)) == TEXT
    with pytest.raises(BundleError, match="more than 9 pairs"):
        sealed_text(chain(MOST_JOINS + 1))
    with pytest.raises(BundleError, match="joins 3 arrays at once"):
        sealed_text(chain(1, inputs=3))


def test_operators_of_another_domain_are_refused() -> None:
    with pytest.raises(BundleError, match=r"operator.*com\.microsoft"):
        sealed_text(seal(model_of(helper.make_node("Add", ["x", "x"], ["c"], domain="com.microsoft")), TEXT))


def test_functions_are_refused() -> None:
    model = onnx.load_from_string(PLAIN)
    model.functions.append(helper.make_function("", "Add", [], ["c"], [], [helper.make_opsetid("", 17)]))
    with pytest.raises(BundleError, match="functions of its own"):
        sealed_text(seal(model.SerializeToString(), TEXT))


@pytest.mark.parametrize("size", get_args(Size))
def test_every_network_is_made_of_these_operators(size: Size) -> None:
    network = Network(NetworkConfig(size), mels=64, window_frames=101)
    assert sealed_text(seal(network_to_onnx(network, mels=64), TEXT)) == TEXT


def test_graphs_nested_deeper_than_python_can_recurse_are_walked() -> None:
    def field(number: int, payload: bytes) -> bytes:
        size, digits = len(payload), []
        while size > 0x7F:
            digits.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([number << 3 | 2, *digits, size]) + payload

    graph = field(5, external().SerializeToString())
    for _ in range(700):
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(BundleError, match="outside"):
        sealed_text(seal(field(7, graph), TEXT))


def test_numbers_inside_the_model_stay_as_they_are() -> None:
    weights = np.arange(1000, dtype=np.float32)
    sealed = seal(model_of(initializers=(onnx.numpy_helper.from_array(weights, "w"),)), TEXT)
    initializer = onnx.load_from_string(sealed).graph.initializer[0]
    assert onnx.numpy_helper.to_array(initializer).tolist() == weights.tolist()
