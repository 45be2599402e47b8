"""Rounds of mining in a run: what is scanned, what is kept, and that a round is whole or is done again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from uyan.data.pool import load_pool
from uyan.errors import TrainingError
from uyan.model.network import Network
from uyan.pipeline import mine
from uyan.pipeline.mine import SCANS, WORDS, miner, mining_summary, scan_sources
from uyan.pipeline.prepare import Material, check_recordings, make_features, split_recordings
from uyan.pipeline.selection import ValidationStreams, score_features, validation_judge
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe

Prepared = tuple[Workspace, Material]


def workspace(folder: Path, out: str = "run", **changes: Any) -> Workspace:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "cache": {"workers": 1, "max_ram_gb": 0.1},
        "network": {"size": "small"},
        "batches": {"size": 12},
        "variants": {"positive": 1, "negative": 1},
        "mining": {"relocate": True},
        **changes,
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_corpus: Callable[..., Path]) -> Prepared:
    folder = tmp_path_factory.mktemp("mined")
    write_corpus(folder / "corpus")
    run = workspace(folder)
    return run, make_features(run, split_recordings(run, check_recordings(run)))


def another(prepared: Prepared, out: str, **changes: Any) -> tuple[Workspace, Material, list[str]]:
    told: list[str] = []
    run = workspace(prepared[0].base, out, **changes)
    run.tell = told.append
    return run, prepared[1], told


def new_network(prepared: Prepared, bias: float = 0.0) -> Network:
    """Untrained; `bias` makes it hear the keyword everywhere, or nowhere."""
    run, material = prepared
    torch.manual_seed(3)
    network = Network(run.recipe.network, run.recipe.frontend.mels, run.window_frames).eval()
    network.set_cmvn(torch.tensor(material.cmvn.mean), torch.tensor(material.cmvn.variance))
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([0.0, bias]))
    return network


def test_all_negatives_of_the_training_split_are_scanned_and_nothing_else(prepared: Prepared) -> None:
    run, material = prepared
    sources = scan_sources(run, material)
    training = material.negatives("train", "uyan")
    spoken = [m for m in training if m.recording.kind != "noise"]
    assert len(sources) == len(training) + len(spoken)  # each spoken one and its variant
    assert {s.key for s in sources} >= {m.content_sha1 for m in training}
    judged = {m.content_sha1 for split in ("validation", "test") for m in material._of(split)}
    assert not {s.key for s in sources} & judged
    assert all(s.key in material.cache for s in sources)
    assert sum(s.path.endswith("(variant 1)") for s in sources) == len(spoken)


def test_a_round_fills_the_pool_and_the_batches(prepared: Prepared) -> None:
    run, material, told = another(prepared, "full")
    maker = miner(run, material)(1, new_network(prepared, bias=6.0))
    pool = load_pool(run.training / "pool-1.csv")
    assert len(maker.sources["hard"]) == len(pool) > 0
    assert all(window.score > run.recipe.mining.threshold and window.round == 1 for window in pool)
    assert told[-1].startswith("mining round 1: ")
    summary = mining_summary(run)
    assert summary and summary["windows"] == len(pool)
    assert summary["rounds"][0]["hours_scanned"] > 0
    assert sum(summary["rounds"][0]["score_histogram"]) > 0
    assert set(json.loads((run.training / WORDS).read_text())) == set(material.words)


def test_a_round_that_is_done_is_not_done_again(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    run, material, _ = another(prepared, "again")
    first = miner(run, material)(1, new_network(prepared, bias=6.0))
    monkeypatch.setattr(mine, "scan", None)  # would raise
    again = miner(run, material)(1, new_network(prepared, bias=-6.0))
    assert list(again.sources["hard"]) == list(first.sources["hard"])
    assert list(again.positives) == list(first.positives)


def test_killed_before_the_pool_is_written_the_round_is_done_again(prepared: Prepared) -> None:
    whole, material, _ = another(prepared, "whole")
    network = new_network(prepared, bias=6.0)
    for number in (1, 2):
        miner(whole, material)(number, network)
    broken, _, _ = another(prepared, "broken")
    for number in (1, 2):
        miner(broken, material)(number, network)
    (broken.training / "pool-2.csv").unlink()
    miner(broken, material)(2, network)
    for name in ("pool-1.csv", "pool-2.csv", SCANS, WORDS):
        assert (broken.training / name).read_bytes() == (whole.training / name).read_bytes()
    assert [scan["round"] for scan in json.loads((whole.training / SCANS).read_text())] == [1, 2]


def test_an_empty_pool_is_said_and_negatives_take_its_share(prepared: Prepared) -> None:
    run, material, told = another(prepared, "empty")
    maker = miner(run, material)(1, new_network(prepared, bias=-9.0))
    assert len(maker.sources["hard"]) == 0
    assert any("pool is empty" in line for line in told)
    assert mining_summary(run) is not None


def test_words_stay_where_their_energy_is_when_not_asked(prepared: Prepared) -> None:
    run, material, _ = another(prepared, "energy", mining={"relocate": False})
    maker = miner(run, material)(1, new_network(prepared, bias=6.0))
    assert not (run.training / WORDS).exists()
    assert {p.sha1: p.word for p in maker.positives} == {p.sha1: material.words[p.sha1] for p in maker.positives}


def test_a_torn_file_names_itself(prepared: Prepared) -> None:
    run, material, _ = another(prepared, "torn")
    miner(run, material)(1, new_network(prepared, bias=6.0))
    (run.training / WORDS).write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"words\.json: not readable .* to train again"):
        miner(run, material)(1, new_network(prepared))


def test_nothing_mined_has_no_summary(prepared: Prepared) -> None:
    run, _, _ = another(prepared, "never")
    assert mining_summary(run) is None


def test_the_judge_counts_events_on_the_validation_split(prepared: Prepared) -> None:
    run, material = prepared
    judgement = validation_judge(run, material)(new_network(prepared))
    assert set(judgement.values) == {"val_miss_rate", "val_area"}
    assert judgement.key == (judgement.values["val_miss_rate"], judgement.values["val_area"])
    assert all(0 <= value <= 1 for value in judgement.key)


def test_validation_streams_hold_the_recordings_and_quiet_around_them(prepared: Prepared) -> None:
    run, material = prepared
    streams = ValidationStreams(run, material)
    clean, noisy = streams.positives["clean"], streams.positives["5 dB SNR"]
    positives = material.positives("validation", "uyan")
    assert [s.speaker_id for s in clean] == [m.recording.speaker_id for m in positives]
    negatives = material.negatives("validation", "uyan")
    assert sum(s.material_s for s in streams.negatives) == pytest.approx(sum(m.duration_s for m in negatives))
    for stream, loud in zip(clean, noisy, strict=True):
        quiet = stream.features[:, : stream.heard_frames[0] // 2].astype(float).mean()
        assert loud.features[:, : stream.heard_frames[0] // 2].astype(float).mean() > quiet + 1
    scores = score_features(new_network(prepared), clean, run.recipe.detector.hop_s)
    for track, stream in zip(scores, clean, strict=True):
        hops = (stream.features.shape[1] - run.window_frames) // 10 + 1
        assert track.scores.shape == (hops,) and track.heard.stop <= hops + 1
