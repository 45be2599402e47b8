"""Checkpoints come back as they were, or not at all, and nothing in them can run."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.errors import TrainingError
from uyan.training import checkpoint
from uyan.training.checkpoint import SafetensorsIO, load_tensors, save_tensors

IO = SafetensorsIO("c0ffee")


def same(found: Any, expected: Any) -> bool:
    """Equal in value and type, all the way down."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(found, expected)
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(
            type(a) is type(b) and same(found[a], expected[b]) for a, b in zip(found, expected, strict=True)
        )
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


def there_and_back(value: dict[str, Any], folder: Path) -> Any:
    IO.save_checkpoint(value, folder / "last.safetensors")
    return IO.load_checkpoint(folder / "last.safetensors")


def test_everything_lightning_stores(tmp_path: Path) -> None:
    state = {
        "epoch": 3,
        "loops": {"fit": {"done": True, "best": None, "share": 0.1, "names": ["a", "ü"], "shape": (1, (2, ()))}},
        "optimizer": {"state": {0: {"step": torch.tensor(7.0), "m": torch.randn(2, 3)}, 1: {}}, "betas": (0.9, 0.999)},
        "dtypes": [torch.tensor([1, 2]), torch.tensor([True]), torch.zeros(2, dtype=torch.float16), torch.zeros(0, 4)],
        "none": {},
    }
    assert same(there_and_back(state, tmp_path), state)


def test_numbers_json_has_no_word_for(tmp_path: Path) -> None:
    found = there_and_back({"best": math.inf, "worst": -math.inf, "unknown": math.nan, "big": 2**80}, tmp_path)
    assert (found["best"], found["worst"], found["big"]) == (math.inf, -math.inf, 2**80)
    assert math.isnan(found["unknown"])


def test_shared_and_sliced_storage(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"whole": whole, "again": whole, "column": whole[:, 1], "turned": whole.T, "grad": whole.requires_grad_()}
    found = there_and_back(state, tmp_path)
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor)
        assert not found[name].requires_grad


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.integers(0, 4).map(lambda size: torch.arange(size)),
)
KEYS = st.one_of(st.integers(0, 3), st.sampled_from(["0", "a", "a/b", "b", "__tensor__", "__items__", "__tuple__", ""]))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_any_tree(tmp_path_factory: pytest.TempPathFactory, tree: dict[Any, Any]) -> None:
    assert same(there_and_back(tree, tmp_path_factory.getbasetemp()), tree)


def test_keys_that_look_alike_keep_their_own_tensors(tmp_path: Path) -> None:
    state: dict[Any, Any] = {
        0: torch.tensor(1),
        "0": torch.tensor(2),
        "a": {"b": torch.tensor(3)},
        "a/b": torch.tensor(4),
    }
    assert same(there_and_back(state, tmp_path), state)


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "last.safetensors"
    IO.save_checkpoint({"epoch": 1}, file)
    with pytest.raises(TrainingError, match=r"last\.safetensors: of another configuration; choose another --out"):
        SafetensorsIO("decaf").load_checkpoint(file)


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_a_torn_file_is_refused(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "last.safetensors"
    IO.save_checkpoint({"weights": torch.ones(100)}, file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(TrainingError, match=r"last\.safetensors: not a readable checkpoint"):
        IO.load_checkpoint(file)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    file, victim = tmp_path / "last.safetensors", tmp_path / "victim"

    class Attack:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (victim,)

    file.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(TrainingError, match="not a readable checkpoint"):
        IO.load_checkpoint(file)
    assert not victim.exists()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a readable checkpoint"):
        load_tensors(tmp_path / "none.safetensors")


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j, Path("x")])
def test_what_is_not_stored_is_named(tmp_path: Path, value: object) -> None:
    with pytest.raises(TrainingError, match=f"callbacks/7 is a {type(value).__name__}, which is not stored"):
        IO.save_checkpoint({"callbacks": {7: value}}, tmp_path / "last.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_saving_pickles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("pickled")

    for module, names in (
        (pickle, ("dump", "dumps", "Pickler", "load", "loads", "Unpickler")),
        (torch, ("save", "load")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    there_and_back({"weights": torch.ones(3), "epoch": 1}, tmp_path)


def test_a_failed_save_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "last.safetensors"
    IO.save_checkpoint({"epoch": 1}, file)

    def disk_full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", disk_full)
    with pytest.raises(OSError, match="No space"):
        IO.save_checkpoint({"epoch": 2}, file)
    assert IO.load_checkpoint(file) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_removing(tmp_path: Path) -> None:
    file = tmp_path / "last.safetensors"
    IO.save_checkpoint({"epoch": 1}, file)
    IO.remove_checkpoint(file)
    assert not file.exists()
    IO.remove_checkpoint(file)  # gone already: no error


def test_tensors_and_metadata(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_tensors(file, {"a": torch.ones(2), "b": torch.tensor(3)}, {"config_hash": "c0ffee"})
    tensors, metadata = load_tensors(file)
    assert tensors["a"].tolist() == [1.0, 1.0] and tensors["b"].item() == 3
    assert metadata == {"config_hash": "c0ffee"}
