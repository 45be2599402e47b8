"""Recordings that are only scanned: found like others, cached when the pool needs them, refused when they judge."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from uyan.audio import SAMPLE_RATE
from uyan.data.pool import load_pool
from uyan.errors import DataError, LeakageError
from uyan.model.network import Network
from uyan.pipeline.mine import miner, mining_summary
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe

Prepared = tuple[Workspace, Material]
HEADER = "path,label,speaker_id,duration_s,kind\n"


def workspace(folder: Path, out: str = "run") -> Workspace:
    raw: dict[str, Any] = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "cache": {"workers": 1, "max_ram_gb": 0.1},
        "network": {"size": "small"},
        "batches": {"size": 12},
        "variants": {"positive": 0, "negative": 0},
        "mining": {"manifests": ["more/manifest.csv"], "relocate": False},
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


def mine(prepared: Prepared, out: str) -> Workspace:
    run = workspace(prepared[0].base, out)
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


def test_the_keyword_is_no_negative(prepared: Prepared) -> None:
    write_more(prepared[0], "radio.wav,uyan,somebody,20.0,keyword\n")
    with pytest.raises(DataError, match="is a recording of the keyword"):
        mine(prepared, "keyword")
