"""A trunk comes back as it was or not at all, fits only its own shape, and may not have heard who judges."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uyan.data.member import Member, Split
from uyan.data.recording import Recording
from uyan.errors import ConfigError, LeakageError, TrainingError
from uyan.frontend import Cmvn, FrontendConfig
from uyan.model.network import Network, NetworkConfig
from uyan.training import trunk as module
from uyan.training.checkpoint import load_tensors, save_tensors
from uyan.training.trunk import (
    Learnt,
    Shape,
    TrunkInfo,
    change_cmvn,
    guard_trunk,
    load_trunk,
    save_trunk,
    settle_norms,
    start_from,
)

MELS, WINDOW_FRAMES = 64, 30
FRONTEND = FrontendConfig().digest()
SHAPE = Shape("small", WINDOW_FRAMES, MELS, FRONTEND)
INFO = TrunkInfo(SHAPE, ("evet", "hayır"), Learnt(frozenset({"ada", "zoë"}), frozenset({"a" * 40})), "c0ffee")


def new_network(seed: int = 1) -> Network:
    """Random weights, and norms that have seen something."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = Network(NetworkConfig(size="small", window_s=0.3, dropout=0.0), MELS, WINDOW_FRAMES)
        network.set_cmvn(torch.randn(MELS) - 6, 0.5 + torch.rand(MELS))
        network.train()(features(seed=2, count=8))
    return network.eval()


def features(seed: int, count: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(-6, 2, (count, MELS, 60)).astype(np.float32))


def logits(network: Network) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network.eval()(features(seed=3))
    return found


def test_a_trunk_comes_back_and_the_head_stays(tmp_path: Path) -> None:
    learnt, fresh = new_network(1), new_network(2)
    head = fresh.head.weight.clone()
    save_trunk(tmp_path / "t.safetensors", learnt, INFO)
    trunk = load_trunk(tmp_path / "t.safetensors")
    assert trunk.info == INFO
    start_from(fresh, trunk, SHAPE)
    assert torch.equal(fresh.head.weight, head)
    fresh.head = learnt.head
    assert torch.equal(logits(fresh), logits(learnt))


def test_what_it_learnt_from_is_in_the_file(tmp_path: Path) -> None:
    save_trunk(tmp_path / "t.safetensors", new_network(), INFO)
    _, metadata = load_tensors(tmp_path / "t.safetensors")
    raw = json.loads(metadata["trunk"])
    assert metadata["config_hash"] == raw["config_hash"] == "c0ffee"
    assert raw["words"] == ["evet", "hayır"]
    assert raw["learnt"] == {"speakers": ["ada", "zoë"], "sha1s": ["a" * 40]}
    assert raw["shape"] == {"size": "small", "window_frames": WINDOW_FRAMES, "mels": MELS, "frontend": FRONTEND}


def test_weights_of_unknown_origin_are_described_too() -> None:
    unknown = replace(INFO, learnt=None)
    assert TrunkInfo.from_json(unknown.to_json()) == unknown


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"words": "evet"}, {"shape": {}}, {"learnt": {"speakers": [1], "sha1s": []}}]
)
def test_a_damaged_description_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="trunk"):
        TrunkInfo.from_json(json.dumps({**json.loads(INFO.to_json()), **change}))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (SHAPE._replace(size="medium"), "network.size small, this recipe has medium; set network.size to small"),
        (SHAPE._replace(window_frames=100), "network.window_s 0.3, this recipe has 1; set network.window_s to 0.3"),
        (SHAPE._replace(mels=40), "frontend.mels 64, this recipe has 40; set frontend.mels to 64"),
        (SHAPE._replace(frontend="0" * 64), "the front end .* this recipe has 000000000000; use the frontend section"),
    ],
)
def test_another_shape_is_named_with_the_way_out(tmp_path: Path, wanted: Shape, message: str) -> None:
    save_trunk(tmp_path / "t.safetensors", new_network(), INFO)
    with pytest.raises(ConfigError, match=message):
        start_from(new_network(), load_trunk(tmp_path / "t.safetensors"), wanted)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("stem.weight", None, "the tensor stem.weight is missing"),
        ("extra", torch.zeros(1), "the tensor extra is not one of uyan"),
        ("stem.weight", torch.zeros(1), r"the tensor stem.weight is torch.float32 \(1,\), not torch.float32 \(48, 64"),
        ("stem_norm.bias", torch.zeros(48, dtype=torch.float64), "the tensor stem_norm.bias is torch.float64"),
        ("stem_norm.bias", torch.full((48,), torch.nan), "the tensor stem_norm.bias holds numbers that are not finite"),
    ],
)
def test_tensors_of_something_else_are_refused(
    tmp_path: Path, name: str, tensor: torch.Tensor | None, message: str
) -> None:
    save_trunk(tmp_path / "t.safetensors", new_network(), INFO)
    trunk = load_trunk(tmp_path / "t.safetensors")
    tensors = {**trunk.tensors, name: tensor}
    spoilt = replace(trunk, tensors={key: value for key, value in tensors.items() if value is not None})
    network = new_network(2)
    before = logits(network)
    with pytest.raises(TrainingError, match=message):
        start_from(network, spoilt, SHAPE)
    assert torch.equal(logits(network), before)


def test_files_that_are_no_trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.safetensors"
    with pytest.raises(TrainingError, match="no such trunk; make one with `uyan pretrain`"):
        load_trunk(file)
    file.write_bytes(b"torn")
    with pytest.raises(TrainingError, match=r"t\.safetensors: not a trunk"):
        load_trunk(file)
    save_tensors(file, {"a": torch.zeros(1)}, {"config_hash": "c0ffee"})
    with pytest.raises(TrainingError, match=r"not a trunk \(it does not say what it learnt from"):
        load_trunk(file)
    monkeypatch.setattr(module, "MAX_TRUNK_BYTES", 10)
    with pytest.raises(TrainingError, match="larger than 0 MB"):
        load_trunk(file)


def member(number: int, split: Split, speaker: str, known: bool = True, **changes: Any) -> Member:
    name = f"{number}.wav"
    recording = Recording(name, Path("/data"), "evet", speaker, known, 1.0, "keyword", "", "")
    return replace(Member(recording, f"{number}" * 40, 1.0, split, number, True), **changes)


def learnt(speakers: set[str], sha1s: set[str]) -> Learnt:
    return Learnt(frozenset(speakers), frozenset(sha1s))


def test_learnt_comes_back_and_adds_up() -> None:
    both = learnt({"ada"}, {"1" * 40}) | learnt({"bob", "ada"}, set())
    assert both == learnt({"ada", "bob"}, {"1" * 40})
    assert both.to_raw() == {"speakers": ["ada", "bob"], "sha1s": ["1" * 40]}
    assert Learnt.from_raw(both.to_raw()) == both


@pytest.mark.parametrize("raw", [{}, {"speakers": [], "sha1s": "abc"}, {"speakers": [1], "sha1s": []}, 3])
def test_learnt_from_something_else(raw: Any) -> None:
    with pytest.raises((KeyError, TypeError)):
        Learnt.from_raw(raw)


def test_what_only_trains_may_have_been_heard() -> None:
    members = [member(1, "train", "ada"), member(2, "validation", "bob"), member(3, "test", "unknown:1", known=False)]
    guard_trunk(learnt({"ada", "eve"}, {"1" * 40, "9" * 40}), members, Path("t"))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_speaker_who_judges_must_not_have_been_heard(split: Split) -> None:
    members = [member(1, "train", "ada"), member(2, split, "bob")]
    with pytest.raises(
        LeakageError, match=rf"t learnt from the speaker bob, .* in this run's {split} split: /data/2\.wav"
    ):
        guard_trunk(learnt({"bob"}, set()), members, Path("t"))


def test_a_recording_that_judges_must_not_have_been_heard() -> None:
    members = [member(2, "test", "unknown:2", known=False)]
    with pytest.raises(LeakageError, match=r"a recording of speaker unknown:2, .* test split: /data/2\.wav"):
        guard_trunk(learnt({"unknown:2"}, {"2" * 40}), members, Path("t"))


def test_nor_a_near_duplicate_of_it() -> None:
    copy = member(1, "train", "ada", group=2, excluded="near-duplicate of 2.wav in test")
    with pytest.raises(LeakageError, match=r"/data/1\.wav, of which a near-duplicate, by speaker bob,"):
        guard_trunk(learnt(set(), {"1" * 40}), [copy, member(2, "test", "bob")], Path("t"))


def test_other_statistics_leave_the_function_as_it_was() -> None:
    network = new_network()
    before = logits(network)
    rng = np.random.default_rng(4)
    cmvn = Cmvn(100, tuple(rng.normal(-4, 1, MELS).tolist()), tuple(rng.uniform(0.5, 6, MELS).tolist()), FRONTEND)
    change_cmvn(network, cmvn)
    assert torch.allclose(network.mean.squeeze(1), torch.tensor(cmvn.mean))
    assert (logits(network) - before).abs().max() < 1e-4


def test_settled_norms_give_in_training_what_they_give_in_use() -> None:
    network = new_network()
    with torch.no_grad():  # folded away, as after export: identities with a bias
        for norm in (each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)):
            norm.reset_running_stats()
            assert norm.running_var is not None
            norm.running_var.sub_(norm.eps)
            norm.bias.normal_()
    before, batch = logits(network), features(seed=3)
    settle_norms(network, batch)
    assert (logits(network) - before).abs().max() < 1e-4
    with torch.no_grad():
        assert (network.train()(batch) - before).abs().max() < 1e-3
