"""Recordings that are only scanned: found like others, cached when the pool needs them, refused when they judge."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from uyan.audio import SAMPLE_RATE
from uyan.bundle import BundleInfo, load
from uyan.data.member import save_splits
from uyan.data.pool import load_pool
from uyan.data.probe import probe_file
from uyan.engine.parallel import engine
from uyan.errors import DataError, LeakageError, StorageError
from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle
from uyan.model.network import Network
from uyan.pipeline.heard import HEARD_FILE, read_listed
from uyan.pipeline.held_out import HeldOut, held_out
from uyan.pipeline.mine import miner, mining_summary
from uyan.pipeline.mine_audio import warn_of_unscanned
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe

Prepared = tuple[Workspace, Material]
HEADER = "path,label,speaker_id,duration_s,kind\n"


def workspace(folder: Path, out: str = "run", manifests: Sequence[str] = ("more/manifest.csv",)) -> Workspace:
    raw: dict[str, Any] = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "cache": {"workers": 1, "max_ram_gb": 0.1},
        "network": {"size": "small"},
        "batches": {"size": 12},
        "variants": {"positive": 0, "negative": 0},
        "mining": {"manifests": list(manifests), "relocate": False},
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_corpus: Callable[..., Path]) -> Prepared:
    folder = tmp_path_factory.mktemp("audio")
    write_corpus(folder / "corpus")
    (folder / "more").mkdir()
    run = workspace(folder)
    return run, make_features(run, split_recordings(run, check_recordings(run)))


def write_more(run: Workspace, rows: str, audio: Path | None = None) -> None:
    file = run.base / "more/radio.wav"
    if audio:
        shutil.copy(audio, file)
    else:
        noise = np.random.default_rng(8).normal(0, 0.1, 20 * SAMPLE_RATE)
        soundfile.write(str(file), noise, SAMPLE_RATE)
    (run.base / "more/manifest.csv").write_text(HEADER + rows, encoding="utf-8")


def alarming_network(run: Workspace, material: Material) -> Network:
    """Hears the keyword everywhere."""
    torch.manual_seed(3)
    network = Network(run.recipe.network, run.recipe.frontend.mels, run.window_frames).eval()
    network.set_cmvn(torch.tensor(material.cmvn.mean), torch.tensor(material.cmvn.variance))
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([0.0, 6.0]))
    return network


def mine(prepared: Prepared, out: str, manifests: Sequence[str] = ("more/manifest.csv",)) -> Workspace:
    run = workspace(prepared[0].base, out, manifests)
    miner(run, prepared[1])(1, alarming_network(*prepared))
    return run


def test_windows_of_scanned_files_join_the_pool_and_its_features_the_cache(prepared: Prepared) -> None:
    write_more(prepared[0], "radio.wav,radio,announcer,20.0,negative\n")
    run = mine(prepared, "found")
    radio = [window for window in load_pool(run.training / "pool-1.csv") if window.path == "more/radio.wav"]
    assert len(radio) > 5
    assert all(window.key in prepared[1].cache for window in radio)
    summary = mining_summary(run)
    negatives = prepared[1].negatives("train", "uyan")
    assert summary and summary["rounds"][0]["recordings"] == len(negatives) + 1
    hours = (20 + sum(m.duration_s for m in negatives)) / 3600
    assert summary["rounds"][0]["hours_scanned"] == pytest.approx(hours, rel=0.01)


def sha1_of(file: Path) -> str:
    found = probe_file(file)
    assert not isinstance(found, str)
    return found.content_sha1


def write_folder(folder: Path, speakers: Sequence[str], seed: int) -> Path:
    """A manifest with a recording of noise, "0.wav" and so on, for each speaker; "" is nobody."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(seed), HEADER
    for number, speaker in enumerate(speakers):
        soundfile.write(str(folder / f"{number}.wav"), rng.normal(0, 0.1, 3 * SAMPLE_RATE), SAMPLE_RATE)
        rows += f"{number}.wav,radio,{speaker},3.0,negative\n"
    (folder / "manifest.csv").write_text(rows, encoding="utf-8")
    return folder / "manifest.csv"


def judged(
    run: Workspace, material: Material, info: BundleInfo, network: Network, manifests: Sequence[Path]
) -> HeldOut:
    """What may judge the bundle that such a run would leave."""
    run.open()
    save_splits(material.members, run.out / "splits.csv")
    path = run.out / "bundle.onnx"
    save_bundle(make_bundle(network_to_onnx(network, mels=64), replace(info, label="uyan"), path))
    return held_out(load(path), manifests, workers=1)


def test_what_was_mined_does_not_judge_the_bundle(
    prepared: Prepared, network: Network, bundle_info: BundleInfo
) -> None:
    """`uyan evaluate` on the very manifest that was mined; nobody's recordings and a voice of it elsewhere too."""
    folder, material = prepared[0].base, prepared[1]
    radio = write_folder(folder / "radio", ["announcer", "", ""], seed=1)
    elsewhere = write_folder(folder / "elsewhere", ["announcer", "guest"], seed=2)
    run = mine(prepared, "radio_run", ["radio/manifest.csv"])
    found = judged(run, material, bundle_info, network, [folder / "corpus/manifest.csv", radio, elsewhere])
    names = {f"{m.recording.root.name}/{m.recording.path}" for m in found.negatives}
    assert {name for name in names if not name.startswith("corpus/")} == {"elsewhere/1.wav"}
    test = [m for m in material.members if m.split == "test" and m.recording.label != "uyan"]
    assert len(found.negatives) == len(test) + 1 and found.warnings == ()
    listed = read_listed(run.out)["mined"]
    assert listed.learnt.speakers == {"announcer"} and listed.complete
    assert listed.learnt.sha1s == {sha1_of(folder / f"radio/{number}.wav") for number in range(3)}
    (run.out / HEARD_FILE).unlink()
    unknown = judged(run, material, bundle_info, network, [folder / "corpus/manifest.csv", radio])
    assert unknown.warnings[0].startswith("no heard.json says which recordings were mined: whether the detector has")


def test_all_that_was_scanned_was_heard_though_the_pool_has_none_of_it(prepared: Prepared) -> None:
    """The hours that gave no alarm would judge well: they were found by that."""
    write_folder(prepared[0].base / "quiet", [""], seed=3)
    run = workspace(prepared[0].base, "quiet_run", ["quiet/manifest.csv"])
    network = alarming_network(*prepared)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([6.0, 0.0]))
    miner(run, prepared[1])(1, network)
    assert load_pool(run.training / "pool-1.csv") == ()
    assert read_listed(run.out)["mined"].learnt.sha1s == {sha1_of(run.base / "quiet/0.wav")}


def test_folders_of_one_name_are_told_apart(prepared: Prepared) -> None:
    folder = prepared[0].base
    rooms = [write_folder(folder / room / "recordings", ["", ""], seed) for seed, room in enumerate(["hall", "bath"])]
    run = mine(prepared, "rooms", [manifest.relative_to(folder).as_posix() for manifest in rooms])
    files = {
        window.path: window.key for window in load_pool(run.training / "pool-1.csv") if "recordings" in window.path
    }
    assert files == {
        "recordings/0.wav": sha1_of(folder / "hall/recordings/0.wav"),
        "recordings/1.wav": sha1_of(folder / "hall/recordings/1.wav"),
        "recordings/0.wav (2)": sha1_of(folder / "bath/recordings/0.wav"),
        "recordings/1.wav (2)": sha1_of(folder / "bath/recordings/1.wav"),
    }
    assert all(key in prepared[1].cache for key in files.values())


def test_a_voice_that_judges_is_refused(prepared: Prepared) -> None:
    judge = next(m for m in prepared[1].negatives("test", "uyan") if m.recording.kind == "negative")
    write_more(prepared[0], f"radio.wav,radio,{judge.recording.speaker_id},20.0,negative\n")
    with pytest.raises(LeakageError, match=r"mining\.manifests: .* speaks in .*radio\.wav and, in test, in"):
        mine(prepared, "voice")


def test_a_sound_that_judges_is_refused(prepared: Prepared) -> None:
    judge = next(m for m in prepared[1].negatives("validation", "uyan") if m.recording.kind == "negative")
    write_more(prepared[0], "radio.wav,radio,somebody,1.0,negative\n", judge.recording.file)
    with pytest.raises(LeakageError, match="is the same audio as"):
        mine(prepared, "sound")
    assert not (prepared[0].base / "sound" / HEARD_FILE).exists()


def test_the_keyword_is_no_negative(prepared: Prepared) -> None:
    write_more(prepared[0], "radio.wav,uyan,somebody,20.0,keyword\n")
    with pytest.raises(DataError, match="is a recording of the keyword"):
        mine(prepared, "keyword")


def test_recordings_in_object_storage_are_scanned_with_the_same_result(
    prepared: Prepared, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_more(prepared[0], "radio.wav,radio,announcer,20.0,negative\n")
    here = mine(prepared, "here")
    s3.put(str(prepared[0].base / "more"), "words/more", recursive=True)
    there = mine(prepared, "there", ["s3://words/more/manifest.csv"])
    assert (there.training / "pool-1.csv").read_bytes() == (here.training / "pool-1.csv").read_bytes()
    assert mining_summary(there) == mining_summary(here)
    assert "s3://words" not in (here.out / HEARD_FILE).read_text(encoding="utf-8")
    assert there.manifests_digest() == here.manifests_digest()
    copied = there.cache_folder / "remote"
    assert not copied.exists() or not list(copied.glob("??/*"))  # streamed, and features of what the pool has are there
    s3.rm("words/more/radio.wav")
    with pytest.raises(StorageError, match=r"s3://words/more/radio.wav: no such file"):
        mine(prepared, "gone", ["s3://words/more/manifest.csv"])


def test_a_file_that_kills_is_left_out_in_every_round(prepared: Prepared, dying: list[str]) -> None:
    write_folder(prepared[0].base / "deadly", ["", "", ""], seed=5)
    run = workspace(prepared[0].base, "deadly_run", ["deadly/manifest.csv"])
    dying.append("deadly/1.wav")
    for number in (1, 2):
        miner(run, prepared[1])(number, alarming_network(*prepared))
        dying.clear()  # whoever tried it again would hear it
    pool = load_pool(run.training / "pool-2.csv")
    assert {window.path for window in pool if "deadly" in window.path} == {"deadly/0.wav", "deadly/2.wav"}
    later = replace(run, warnings=[])  # another process, which has not scanned
    warn_of_unscanned(later)
    assert later.warnings == ["mining.manifests: 1 recording(s) are not scanned, see given-up.csv in the cache"]
    heard = read_listed(run.out)["mined"].learnt.sha1s
    assert heard == {sha1_of(run.base / f"deadly/{number}.wav") for number in (0, 2)}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_leaves_the_same_pool(prepared: Prepared) -> None:
    pytest.importorskip("ray", reason="needs uyan[ray]")
    write_folder(prepared[0].base / "many", [""] * 6, seed=7)
    here = mine(prepared, "mined_here", ["many/manifest.csv"])
    with engine("ray"):
        there = mine(prepared, "mined_there", ["many/manifest.csv"])
    for name in ("pool-1.csv", "scans.json"):
        assert (there.training / name).read_bytes() == (here.training / name).read_bytes()
    assert any(window.path.startswith("many/") for window in load_pool(there.training / "pool-1.csv"))


@pytest.mark.slow
def test_a_run_whose_recordings_are_all_in_object_storage(prepared: Prepared, s3: Any) -> None:
    folder, material = prepared[0].base, prepared[1]
    s3.put(str(folder / "corpus"), "words/corpus", recursive=True)
    recipe = prepared[0].recipe
    data = recipe.data.model_copy(update={"manifests": ("s3://words/corpus/manifest.csv",)})
    cache = recipe.cache.model_copy(update={"folder": "there", "remote_gb": 1e-3, "workers": 2})
    run = Workspace(recipe.model_copy(update={"data": data, "cache": cache}), folder, folder / "from_there")
    found = make_features(run, split_recordings(run, check_recordings(run)))
    assert [(m.recording.id, m.content_sha1, m.split, m.group) for m in found.members] == [
        (m.recording.id, m.content_sha1, m.split, m.group) for m in material.members
    ]
    assert found.words == material.words
    copies = [file.stat().st_size for file in (folder / "there/remote").glob("??/*")]
    assert copies and sum(copies) <= 1e-3 * 2**30
