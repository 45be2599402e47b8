"""A whole run whose recordings and features lie in object storage learns and measures what it does from this disk."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.pipeline.run import run_until
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe
from uyan.storage.local_copies import GIB, LocalCopies

pytestmark = pytest.mark.slow

WriteCorpus = Callable[..., Path]
REMOTE_GB = 1e-3
"""A third of the recordings."""
SAME = ("det.csv", "frontend.onnx", "splits.csv", "stats.json", "tracks.npz", "training/pool-1.csv")
"""Bit for bit. Bundle and figures carry the recipe's hash besides, in which the manifests' names count."""


def workspace(folder: Path, root: str, out: str, **cache: Any) -> Workspace:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": [f"{root}corpus/manifest.csv"]},
        "network": {"size": "small"},
        "batches": {"size": 24, "workers": 0, "validation_workers": 0},
        "training": {"epochs": 3, "learning_rate": 3e-3},
        "variants": {"positive": 1, "negative": 1},
        "mining": {"rounds": 1, "manifests": [f"{root}more/manifest.csv"]},
        "calibration": {"target_fah": 1000.0},
        "cache": {"workers": 1, "max_ram_gb": 0.1, **cache},
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


def write_more(folder: Path) -> None:
    """Two recordings that are only scanned."""
    folder.mkdir()
    rows = ["path,label,speaker_id,duration_s,kind"]
    for number in range(2):
        noise = np.random.default_rng(number).normal(0, 0.1, 20 * SAMPLE_RATE)
        soundfile.write(str(folder / f"{number}.flac"), noise, SAMPLE_RATE)
        rows.append(f"{number}.flac,radio,announcer{number},20.0,negative")
    (folder / "manifest.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Workspace:
    """A run that is over, from this disk."""
    folder = tmp_path_factory.mktemp("local")
    write_corpus(folder / "corpus")
    write_more(folder / "more")
    run = workspace(folder, "", "run")
    assert run_until(run) is not None
    return run


def upload(local: Workspace, s3: Any) -> None:
    """All that the run was made of and, but for one pair, its features."""
    for name in ("corpus", "more"):
        s3.put(str(local.base / name), f"words/{name}", recursive=True)
    s3.put(str(local.cache_folder / "features"), "words/features", recursive=True)
    kept_back = min(s3.glob("words/features/*/*.index"), key=s3.size)
    s3.rm([kept_back, kept_back.replace(".index", ".f16")])


@pytest.fixture
def evicted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of copies that had to make room, time after time."""
    found, evict = list[int](), LocalCopies._evict

    def counted(copies: LocalCopies, size: int) -> int:
        before = sum(length for _, length, _ in copies._listed())
        remaining = evict(copies, size)
        found.append(before - remaining)
        return remaining

    monkeypatch.setattr(LocalCopies, "_evict", counted)
    return found


def interrupted(run: Workspace, stage: str, share: float) -> None:
    """Run until so much of a stage is done."""
    copies = run.cache_folder / "remote"

    def progress(now: str, done: int, total: int) -> None:
        assert sum(file.stat().st_size for file in copies.glob("??/*")) <= REMOTE_GB * GIB
        if now == stage and done >= share * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_until(replace(run, progress=progress))


def test_interrupted_and_with_little_room_it_ends_as_from_this_disk(
    local: Workspace, s3: Any, tmp_path: Path, evicted: list[int]
) -> None:
    upload(local, s3)
    run, told = workspace(tmp_path, "s3://words/", "run", remote_gb=REMOTE_GB, read_from="s3://words/features"), []
    run.tell = told.append
    for stage, share in (("check", 0.5), ("stored features", 0.5), ("features", 0.5), ("mining", 0.5), ("train", 0.8)):
        interrupted(run, stage, share)
    assert run_until(replace(run)) is not None
    assert sum(evicted) > 0
    taken = [int(found[1]) for line in told if (found := re.search(r": (\d+) of \d+ features that were missing", line))]
    assert len(taken) >= 3 and sum(taken) > 20  # recordings, variants, what the pool is from; more where interrupted
    for name in SAME:
        assert (run.out / name).read_bytes() == (local.out / name).read_bytes(), name
    ours, theirs = (json.loads((one.out / "metrics.json").read_text(encoding="utf-8")) for one in (run, local))
    assert ours.pop("config_hash") != theirs.pop("config_hash")
    assert ours == theirs
    ours, theirs = (onnx.load(str(one.out / "bundle.onnx")).graph.SerializeToString() for one in (run, local))
    assert ours == theirs
