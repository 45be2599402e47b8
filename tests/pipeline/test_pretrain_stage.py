"""A network starts from where the recipe says, computes what it did there, and never from what judges it."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uyan.bundle import BundleInfo, load
from uyan.errors import BundleError, ConfigError, DataError, LeakageError
from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle
from uyan.frontend import Cmvn
from uyan.model.network import Network
from uyan.pipeline.heard import Listed, add_mined, read_listed, write_listed
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.pretrain import TRUNK, initial_network, make_trunk, pretrain_run
from uyan.pipeline.train import pin_recordings
from uyan.pipeline.trunk_file import checked_trunk
from uyan.pipeline.workspace import CONFIG, Workspace
from uyan.recipe import parse_recipe
from uyan.training.trunk import Learnt, load_trunk

Prepared = tuple[Workspace, Material]


def workspace(folder: Path, out: str = "run", **changes: Any) -> Workspace:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "cache": {"workers": 1, "max_ram_gb": 0.1},
        "network": {"size": "small"},
        "batches": {"size": 12},
        "variants": {"positive": 0, "negative": 0},
        "pretrain": {"epochs": 1, "min_recordings": 4},
        **changes,
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


def prepare(run: Workspace) -> Material:
    return make_features(run, split_recordings(run, check_recordings(run)))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_corpus: Callable[..., Path]) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    write_corpus(folder / "corpus")
    run = workspace(folder)
    return run, prepare(run)


@pytest.fixture(scope="module")
def trunk(prepared: Prepared) -> Path:
    run, material = prepared
    return pretrain_run(run, material)


def starting(prepared: Prepared, init: str, out: str, told: list[str] | None = None, **changes: Any) -> Workspace:
    """A run in the same place whose `training.init` is that."""
    run = workspace(prepared[0].base, out, training={"init": init}, **changes)
    run.tell = (told if told is not None else []).append
    return run


def test_auto_learns_words_where_there_are_enough(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpus has three words: too few by default, enough where three are enough."""
    material = prepared[1]
    told: list[str] = []
    few = starting(prepared, "auto", "few", told)
    plain = initial_network(starting(prepared, "scratch", "plain"), material)
    found = initial_network(few, material).state_dict()
    assert all(torch.equal(found[name], value) for name, value in plain.state_dict().items())
    assert told == [] and not (few.training / "pretrain").exists()
    monkeypatch.setattr("uyan.pipeline.pretrain.AUTO_WORDS", 3)
    initial_network(few, material)
    assert told[0].startswith("learning") and (few.training / "pretrain" / TRUNK).is_file()


def trunk_tensors(network: Network) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith("head.")}


def test_the_words_of_the_training_split_are_learnt(prepared: Prepared, trunk: Path) -> None:
    run, material = prepared
    info = load_trunk(trunk).info
    assert trunk == run.out / TRUNK
    assert info.words == ("merhaba", "selam", "uyan")
    assert info.config_hash == run.recipe.training_digest()
    train = [m for m in material.members if m.split == "train" and m.active]
    assert info.learnt and info.learnt.sha1s == {m.content_sha1 for m in train}
    assert info.learnt.speakers == {m.recording.speaker_id for m in train if m.recording.speaker_known}
    judges = {m.recording.speaker_id for m in material.members if m.split != "train"}
    assert info.learnt.speakers and not info.learnt.speakers & judges


def test_scratch_starts_from_the_seed(prepared: Prepared) -> None:
    material = prepared[1]
    first, again = (trunk_tensors(initial_network(starting(prepared, "scratch", "s"), material)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert torch.allclose(first["mean"].squeeze(1), torch.tensor(material.cmvn.mean))


def test_words_are_learnt_in_the_runs_own_folder_and_said(prepared: Prepared) -> None:
    told: list[str] = []
    run = starting(prepared, "words", "words", told)
    network = initial_network(run, prepared[1])
    assert told[0].startswith("learning to tell 3 words apart (merhaba, selam, uyan): ")
    assert "validation word accuracy" in told[1] and told[-1].startswith("starting from the trunk that learnt them, ")
    kept = load_trunk(run.training / "pretrain" / TRUNK).tensors
    found = trunk_tensors(network)
    assert all(torch.allclose(found[name], kept[name], atol=1e-5) for name in kept)
    again = trunk_tensors(initial_network(run, prepared[1]))
    assert all(torch.equal(again[name], found[name]) for name in found)


def test_a_trunk_file_is_found_from_the_recipe(prepared: Prepared, trunk: Path) -> None:
    told: list[str] = []
    network = initial_network(starting(prepared, f"run/{TRUNK}", "file", told), prepared[1])
    kept, found = load_trunk(trunk).tensors, trunk_tensors(network)
    assert all(torch.allclose(found[name], kept[name], atol=1e-5) for name in kept)
    assert told == [f"starting from {trunk}, which learnt merhaba, selam, uyan"]


def test_a_trunk_from_another_turn_of_the_circle_is_refused(prepared: Prepared, trunk: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared[0].base / "corpus", tmp_path / "corpus")
    shutil.copy(trunk, tmp_path / TRUNK)
    run = workspace(tmp_path, training={"init": TRUNK}, split={"fold": 2}, cache={"workers": 1, "folder": "cache"})
    material = prepare(run)
    with pytest.raises(
        LeakageError, match=rf"{TRUNK} learnt from the speaker voice\d, .*corpus/.*\.wav. Use the split"
    ):
        initial_network(run, material)


def test_a_file_that_is_not_there_is_named(prepared: Prepared) -> None:
    message = r"training\.init: .*nothing\.safetensors does not exist; paths are relative to"
    with pytest.raises(ConfigError, match=message):
        initial_network(starting(prepared, "nothing.safetensors", "none"), prepared[1])


def test_another_size_is_named(prepared: Prepared, trunk: Path) -> None:
    run = starting(prepared, f"run/{TRUNK}", "medium", network={"size": "medium"})
    with pytest.raises(ConfigError, match=r"network\.size small, this recipe has medium; set network.size to small"):
        initial_network(run, prepared[1])


def test_too_few_words_to_tell_apart(prepared: Prepared) -> None:
    run = starting(prepared, "words", "few", pretrain={"min_recordings": 1000})
    with pytest.raises(
        DataError, match=r"0 word\(s\) with 1000 recordings or more .* or lower pretrain.min_recordings"
    ):
        initial_network(run, prepared[1])


def export(network: Network, info: BundleInfo, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_bundle(make_bundle(network_to_onnx(network, mels=64), info, path))
    return path


def test_a_bundle_is_gone_on_from_with_its_head(prepared: Prepared, network: Network, bundle_info: BundleInfo) -> None:
    run = starting(prepared, "old/bundle.onnx", "bundle")
    bundle = load(export(network, bundle_info, run.base / "old" / "bundle.onnx"))
    found = initial_network(run, prepared[1])
    features = np.random.default_rng(3).normal(-6, 3, (64, 300)).astype(np.float32)
    with torch.inference_mode():
        logits = found.eval()(torch.from_numpy(features[None]))[0].numpy()
    assert np.abs(logits - bundle.logits(features)).max() < 1e-4 * np.abs(logits).max()
    assert torch.allclose(found.mean.squeeze(1), torch.tensor(prepared[1].cmvn.mean))  # this run's, not the bundle's
    assert any("no splits.csv beside bundle.onnx: whether bundle.onnx has heard" in w for w in run.warnings)


def test_a_bundles_run_folder_says_who_it_learnt_from(
    prepared: Prepared, network: Network, bundle_info: BundleInfo
) -> None:
    home, material = prepared
    beside = export(network, bundle_info, home.base / "told" / "bundle.onnx").parent
    shutil.copy(home.out / "splits.csv", beside)
    (beside / CONFIG).write_text(home.recipe.to_yaml(), encoding="utf-8")
    run = starting(prepared, "told/bundle.onnx", "told_run")
    initial_network(run, material)
    assert run.warnings == []
    with (beside / "splits.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    turned = {"train": "test", "validation": "validation", "test": "train"}
    with (beside / "splits.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([*row[:4], turned[row[4]], *row[5:]] for row in rows)])
    with pytest.raises(LeakageError, match=r"bundle\.onnx learnt from the speaker voice"):
        initial_network(run, material)
    (beside / "splits.csv").write_text("path\nsplit\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"splits\.csv: not a list of recordings as uyan writes it"):
        initial_network(run, material)


def test_what_a_bundles_run_mined_is_heard_too(prepared: Prepared, network: Network, bundle_info: BundleInfo) -> None:
    home, material = prepared
    beside = export(network, bundle_info, home.base / "miner" / "bundle.onnx").parent
    shutil.copy(home.out / "splits.csv", beside)
    (beside / CONFIG).write_text(home.recipe.to_yaml(), encoding="utf-8")
    judge = next(m for m in material.members if m.split == "test")
    add_mined(beside, Learnt(frozenset(), frozenset({judge.content_sha1})))
    with pytest.raises(LeakageError, match=r"bundle\.onnx learnt from a recording of speaker"):
        initial_network(starting(prepared, "miner/bundle.onnx", "miner_run"), material)


def test_a_run_says_what_its_start_had_heard(prepared: Prepared, trunk: Path, network: Network) -> None:
    """Written before the first step, and anew with every training."""
    material = prepared[1]
    run = starting(prepared, f"run/{TRUNK}", "listed")
    add_mined(run.out, Learnt(frozenset({"of a training that was deleted"})))
    start = checked_trunk(run, material.members)
    pin_recordings(run, material, start)
    assert start.info.learnt
    assert read_listed(run.out) == {"start": Listed(start.info.learnt)}
    add_mined(run.out, Learnt(frozenset({"announcer"})))
    pin_recordings(run, material, start)  # goes on
    assert set(read_listed(run.out)) == {"start", "mined"}


def test_mining_other_manifests_is_another_training(prepared: Prepared) -> None:
    home, material = prepared
    manifest = home.base / "radio.csv"
    manifest.write_text("path\n", encoding="utf-8")
    run = workspace(home.base, "edited", mining={"manifests": ["radio.csv"]})
    pin_recordings(run, material, None)
    pin_recordings(run, material, None)
    manifest.write_text("path\nmore.wav\n", encoding="utf-8")
    with pytest.raises(DataError, match="was trained on other recordings than the manifests list now, or started"):
        pin_recordings(run, material, None)


def test_a_bundle_made_from_another_one_is_warned_about(
    prepared: Prepared, network: Network, bundle_info: BundleInfo
) -> None:
    home, material = prepared
    beside = export(network, bundle_info, home.base / "chain" / "bundle.onnx").parent
    shutil.copy(home.out / "splits.csv", beside)
    (beside / CONFIG).write_text(workspace(home.base, training={"init": "x.onnx"}).recipe.to_yaml(), encoding="utf-8")
    run = starting(prepared, "chain/bundle.onnx", "chain_run")
    initial_network(run, material)
    gap = "no heard.json says all that the trunk or bundle had heard that the training started from"
    assert [w for w in run.warnings if gap in w]
    assert not checked_trunk(run, material.members).complete
    write_listed(beside, {"start": Listed(Learnt())})
    known = starting(prepared, "chain/bundle.onnx", "chain_run")
    initial_network(known, material)
    assert known.warnings == []


def test_a_torn_bundle(prepared: Prepared, network: Network, bundle_info: BundleInfo) -> None:
    run = starting(prepared, "torn/bundle.onnx", "torn_run")
    file = export(network, bundle_info, run.base / "torn" / "bundle.onnx")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"bundle\.onnx: "):
        initial_network(run, prepared[1])


def test_the_whole_command(prepared: Prepared, trunk: Path) -> None:
    home, material = prepared
    run = workspace(home.base, "command")
    out = make_trunk(run)
    assert out == run.out / TRUNK and (run.out / CONFIG).is_file()
    found, expected = load_trunk(out), load_trunk(trunk)
    assert found.info == expected.info
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items())
    assert Cmvn.from_json((run.out / "stats.json").read_text(encoding="utf-8")) == material.cmvn
