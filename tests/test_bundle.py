import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.bundle import CHUNK_FRAMES, MAX_BUNDLE_BYTES, Bundle, BundleInfo, load, scores_from_logits
from uyan.container import seal
from uyan.errors import BundleError, ConfigError
from uyan.frontend import Cmvn, FrontendConfig

NAN, INFINITY = float("nan"), float("inf")


def refused(path: Path) -> str:
    """The message with which `load` and then the first use refuse the file; it must name the file."""
    with pytest.raises(BundleError) as caught:
        _ = load(path).session
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def resealed(bundle: Bundle, tmp_path: Path) -> Any:
    """resealed(text): the bundle's network with other metadata and a checksum that fits, as a stranger can make it."""

    def make(text: str) -> Path:
        path = tmp_path / "resealed.onnx"
        path.write_bytes(seal(bundle.data, text))
        return path

    return make


def test_a_bundle_comes_back_as_it_was_saved(bundle: Bundle, bundle_info: BundleInfo) -> None:
    assert load(bundle.path).info == bundle_info
    assert load(str(bundle.path)).data == bundle.path.read_bytes()


@given(st.builds(dict, label=st.text("abcçğıöşü نیمه语", min_size=1), temperature=st.floats(1e-3, 1e3)))
def test_metadata_survives_json(bundle_info: BundleInfo, changes: dict[str, Any]) -> None:
    info = replace(bundle_info, **changes)
    assert BundleInfo.from_json(info.to_json()) == info
    assert BundleInfo.from_json(info.to_json()).to_json() == info.to_json()


def test_whole_numbers_of_hertz_are_the_same_front_end(bundle_info: BundleInfo) -> None:
    whole = replace(bundle_info, frontend=FrontendConfig(low_hz=60, high_hz=7600))
    assert BundleInfo.from_json(whole.to_json()) == bundle_info


def test_a_network_whose_memory_grows_is_refused_before_it_fills_the_computer(
    bundle_info: BundleInfo, tmp_path: Path
) -> None:
    """Of allowed operations, small, and with the right logits; but it remembers twice as much with every pass."""
    path = tmp_path / "growing.onnx"
    path.write_bytes(seal(growing_network(bundle_info.window_frames), bundle_info.to_json()))
    grown = load(path)
    features = np.zeros((64, bundle_info.window_frames), np.float32)
    with pytest.raises(BundleError, match="remembers more of a stream, or less, than it did before"):
        grown.step(features, [])


def growing_network(window: int) -> bytes:
    def constant(name: str, value: int) -> onnx.NodeProto:
        return onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.array([value])))

    def values(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    node = onnx.helper.make_node
    nodes = [
        *(constant(*pair) for pair in (("rows", 2), ("time", 3), ("kept", 2 - window), ("end", 2**62))),
        node("Unsqueeze", ["features", "rows"], ["fresh"]),
        node("Concat", ["memory_0", "fresh"], ["joined"], axis=3),
        node("Conv", ["joined", "weights"], ["found"], kernel_shape=[1, window], strides=[1, 2]),
        node("Squeeze", ["found", "rows"], ["logits"]),
        node("Slice", ["joined", "kept", "end", "time"], ["next_0"]),
        node("Concat", ["memory_1", "fresh"], ["more"], axis=3),
        node("Concat", ["more", "memory_1"], ["next_1"], axis=3),
    ]
    weights = onnx.numpy_helper.from_array(np.zeros((2, 64, 1, window), np.float32), "weights")
    inputs = [values("features", "b", 64, "t"), *(values(f"memory_{n}", "b", 64, 1, f"m{n}") for n in (0, 1))]
    outputs = [values("logits", "b", 2, "p"), *(values(f"next_{n}", "b", 64, 1, f"n{n}") for n in (0, 1))]
    graph = onnx.helper.make_graph(nodes, "growing", inputs, outputs, [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def test_long_features_are_scored_in_chunks_without_a_seam(bundle: Bundle, rng: np.random.Generator) -> None:
    frames = 2 * CHUNK_FRAMES + 123
    features = rng.normal(-6, 3, (64, frames)).astype(np.float32)
    whole = bundle.run(features[None], [])[0][0]
    assert whole.shape == (2, (frames - 100) // 2 + 1)
    assert bundle.logits(features) == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize(("frames", "positions"), [(0, 0), (99, 0), (100, 1), (101, 1), (102, 2)])
def test_positions_of_short_features(bundle: Bundle, frames: int, positions: int) -> None:
    assert bundle.logits(np.zeros((64, frames), np.float32)).shape == (2, positions)


def test_scores_are_the_softmax_at_the_temperature(bundle: Bundle, rng: np.random.Generator) -> None:
    logits = rng.normal(0, 5, (2, 50)).astype(np.float32)
    powers = np.exp(logits.astype(np.float64) / bundle.info.temperature)
    assert bundle.scores(logits) == pytest.approx(powers[1] / powers.sum(axis=0), abs=1e-12)


def test_scores_of_extreme_logits_neither_overflow_nor_collide() -> None:
    logits = np.array([[0, 0, 0, 0], [-5000, 30, 31, 5000]], np.float32)
    scores = scores_from_logits(logits, 1.0)
    assert scores[0] == 0.0
    assert scores[1] < scores[2] < scores[3] == 1.0


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "long name"])
def test_what_is_no_file_of_bytes_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("x" * 5000 if kind == "long name" else "bundle.onnx")
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    refused(path)


def test_a_file_beyond_the_size_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        os.truncate(file.fileno(), MAX_BUNDLE_BYTES + 1)
    assert "256 MB" in refused(path)


@given(st.data())
def test_a_torn_bundle_is_refused(bundle: Bundle, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(bundle.data) - 1))
    with pytest.raises(BundleError, match=r"torn\.onnx"):
        Bundle(Path("torn.onnx"), bundle.data[:size])


@given(st.data())
def test_one_other_byte_anywhere_is_refused(bundle: Bundle, data: st.DataObject) -> None:
    at, mask = data.draw(st.integers(0, len(bundle.data) - 1)), data.draw(st.integers(1, 255))
    altered = bytearray(bundle.data)
    altered[at] ^= mask
    with pytest.raises(BundleError, match=r"altered\.onnx"):
        Bundle(Path("altered.onnx"), bytes(altered))


@given(st.binary(max_size=500))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"random\.onnx"):
        Bundle(Path("random.onnx"), data)


def test_the_metadata_of_another_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = seal(bundle.data, replace(bundle.info, threshold=0.1).to_json())
    mixed, donor = onnx.load_from_string(bundle.data), onnx.load_from_string(other)
    mixed.metadata_props[0].value = donor.metadata_props[0].value
    path = tmp_path / "mixed.onnx"
    path.write_bytes(mixed.SerializeToString())
    assert "altered" in refused(path)


def test_an_extra_entry_of_metadata_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    model = onnx.load_from_string(bundle.data)
    extra = model.metadata_props.add()
    extra.key, extra.value = "author", "nobody"
    path = tmp_path / "extra.onnx"
    onnx.save(model, str(path))
    assert "metadata" in refused(path)


def test_an_onnx_file_that_is_no_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    model = onnx.load_from_string(bundle.data)
    del model.metadata_props[:]
    path = tmp_path / "plain.onnx"
    onnx.save(model, str(path))
    assert "not a uyan bundle" in refused(path)


def test_weights_kept_in_another_file_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "external.onnx"
    model = onnx.load_from_string(bundle.data)
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    path.write_bytes(seal(path.read_bytes(), bundle.info.to_json()))
    assert "outside" in refused(path)


def test_a_bundle_for_another_front_end_is_refused(resealed: Any, bundle_info: BundleInfo) -> None:
    other = FrontendConfig(low_hz=80.0)
    statistics = replace(bundle_info.cmvn, frontend=other.digest())
    assert "another front end" in refused(resealed(replace(bundle_info, cmvn=statistics).to_json()))
    assert "another front end" in refused(resealed(replace(bundle_info, frontend=other).to_json()))
    raw = json.loads(bundle_info.to_json()) | {"frontend_digest": other.digest()}
    assert "another front end" in refused(resealed(json.dumps(raw)))


TOP_LEVEL: list[tuple[str, Any]] = [
    ("format", 1),
    ("format", None),
    ("frontend_digest", None),
    ("frontend_digest", []),
    ("label", None),
    ("label", 5),
    ("label", ""),
    ("label", "\x1b[2J"),
    ("label", "two\nlines"),
    ("label", "\ud800"),
    ("frontend", None),
    ("frontend", [1]),
    ("cmvn", None),
    ("cmvn", {}),
    ("window_frames", 0),
    ("window_frames", -100),
    ("window_frames", 8),
    ("window_frames", 10**9),
    ("window_frames", 100.5),
    ("window_frames", "100"),
    ("window_frames", True),
    ("window_frames", INFINITY),
    ("window_frames", NAN),
    ("temperature", NAN),
    ("temperature", INFINITY),
    ("temperature", 0.0),
    ("temperature", -1.0),
    ("temperature", "1.5"),
    ("temperature", 10**400),
    ("threshold", NAN),
    ("threshold", -0.1),
    ("threshold", 1.1),
    ("threshold", None),
    ("threshold", True),
    ("detector", None),
    ("detector", {}),
    ("detector", []),
    ("config_hash", 7),
    ("version", None),
    ("data", None),
    ("data", [["hours", 1]]),
    ("measured", "none"),
]


@pytest.mark.parametrize(("name", "value"), TOP_LEVEL)
def test_an_ill_typed_or_impossible_field_is_refused(
    resealed: Any, bundle_info: BundleInfo, name: str, value: Any
) -> None:
    refused(resealed(json.dumps(json.loads(bundle_info.to_json()) | {name: value})))


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("detector", "hop_s", NAN),
        ("detector", "hop_s", INFINITY),
        ("detector", "hop_s", 1e-9),
        ("detector", "hop_s", "0.1"),
        ("detector", "hop_s", 10.0),
        ("detector", "votes", 3.0),
        ("detector", "votes", 0),
        ("detector", "ballots", 10**30),
        ("detector", "hysteresis", NAN),
        ("detector", "hysteresis", 10**400),
        ("detector", "lockout_s", INFINITY),
        ("detector", "unheard_of", 1),
        ("frontend", "mels", 64.0),
        ("frontend", "mels", 0),
        ("frontend", "mels", 32),
        ("frontend", "low_hz", NAN),
        ("frontend", "floor_power", NAN),
        ("frontend", "floor_power", INFINITY),
        ("frontend", "unheard_of", 1),
        ("cmvn", "mean", [0.0]),
        ("cmvn", "mean", [NAN] * 64),
        ("cmvn", "variance", [-1.0] * 64),
        ("cmvn", "variance", None),
        ("cmvn", "frames", INFINITY),
        ("cmvn", "frames", 0),
    ],
)
def test_an_ill_typed_or_impossible_field_of_a_section_is_refused(
    resealed: Any, bundle_info: BundleInfo, section: str, name: str, value: Any
) -> None:
    raw = json.loads(bundle_info.to_json())
    raw[section][name] = value
    if section == "frontend":
        # As a stranger would: all digests those of the impossible front end, where it has one.
        try:
            raw["frontend_digest"] = raw["cmvn"]["frontend"] = FrontendConfig(**raw["frontend"]).digest()
        except (ConfigError, TypeError):
            raw["frontend_digest"] = ""
    refused(resealed(json.dumps(raw)))


def test_every_field_is_needed(resealed: Any, bundle_info: BundleInfo) -> None:
    raw = json.loads(bundle_info.to_json())
    for name in raw:
        refused(resealed(json.dumps({key: value for key, value in raw.items() if key != name})))
    for section in ("detector", "frontend", "cmvn"):
        for name in raw[section]:
            fewer = {key: value for key, value in raw[section].items() if key != name}
            refused(resealed(json.dumps(raw | {section: fewer})))


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "1", '"text"', "NaN", "[" * 100_000, '{"a":' * 100_000, "1" * 10_000]
)
def test_metadata_that_is_no_json_object_is_refused(resealed: Any, text: str) -> None:
    refused(resealed(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data(), json_values)
def test_any_json_in_any_field_is_taken_or_refused_as_a_bundle(
    bundle_info: BundleInfo, data: st.DataObject, value: Any
) -> None:
    raw = json.loads(bundle_info.to_json())
    section = data.draw(st.sampled_from([raw, raw["detector"], raw["frontend"], raw["cmvn"]]))
    section[data.draw(st.sampled_from(sorted(section)))] = value
    try:
        info = BundleInfo.from_json(json.dumps(raw))
    except BundleError:
        return
    assert BundleInfo.from_json(info.to_json()) == info


@pytest.mark.parametrize("window_frames", [98, 99, 102, 3000])
def test_metadata_that_speaks_of_another_window_is_refused(
    resealed: Any, bundle_info: BundleInfo, window_frames: int
) -> None:
    message = refused(resealed(replace(bundle_info, window_frames=window_frames).to_json()))
    assert "two windows" in message


def test_metadata_that_speaks_of_other_mels_is_refused(resealed: Any, bundle_info: BundleInfo) -> None:
    fewer = FrontendConfig(mels=32)
    statistics = Cmvn(10, (0.0,) * 32, (1.0,) * 32, fewer.digest())
    refused(resealed(replace(bundle_info, frontend=fewer, cmvn=statistics).to_json()))


def test_a_sealed_model_that_is_no_such_network_is_refused(bundle_info: BundleInfo, tmp_path: Path) -> None:
    ends = (onnx.helper.make_tensor_value_info(name, 1, ["n"]) for name in ("x", "y"))
    inputs, outputs = ([end] for end in ends)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "other", inputs, outputs)
    opsets = [onnx.helper.make_opsetid("", 17)]
    path = tmp_path / "other.onnx"
    path.write_bytes(
        seal(onnx.helper.make_model(graph, opset_imports=opsets).SerializeToString(), bundle_info.to_json())
    )
    refused(path)


def test_sealed_rubbish_is_refused(bundle_info: BundleInfo, tmp_path: Path) -> None:
    path = tmp_path / "rubbish.onnx"
    path.write_bytes(seal(b"", bundle_info.to_json()))
    refused(path)
