"""Every benchmark runs on miniature sizes and gives figures that can be; what it says of targets is tried by hand."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bench import __main__ as command
from bench import cache_memory
from bench.augmentation_cost import augmentation_cost
from bench.dense_scoring import dense_scoring_speed
from bench.duplicates_scale import duplicates_scale
from bench.engines import engine_scaling
from bench.evaluation import evaluation_speed
from bench.extraction import extraction_speed
from bench.front_end import front_end_speed
from bench.loading_share import loading_share
from bench.measure import Figure, in_fresh_process, medians_s, speech_like
from bench.mining import mining_memory, mining_speed
from bench.object_storage import object_storage
from bench.resident import resident_training
from bench.server import server_load, server_soak
from bench.shards import shard_packing, shard_reads, shards_killed
from bench.start_up import start_up
from bench.streaming import streaming_cost
from bench.voices import voices_killed, voices_speed

from uyan.audio import SAMPLE_RATE


def values(figures: list[Figure]) -> dict[str, float]:
    assert all(np.isfinite(figure.value) for figure in figures)
    assert len({figure.name for figure in figures}) == len(figures)
    return {figure.name: figure.value for figure in figures}


def here(one_core: bool, function: Callable[..., object], *arguments: object) -> object:
    return function(*arguments)


def test_front_end() -> None:
    figures = front_end_speed(seconds=3.0, repeats=2)
    speed, _, theirs, ratio = values(figures).values()
    assert speed / theirs == pytest.approx(ratio)
    apart = float(figures[2].note.split()[2])
    assert apart < 1e-3  # both ways compute the same thing


def test_extraction_of_made_up_files() -> None:
    found = values(extraction_speed(seconds=6.0, repeats=1))
    assert [name.split(", ")[1] for name in found] == ["WAV"] * 2 + ["FLAC"] * 2 + ["Opus"] * 2
    assert min(found.values()) > 1


def test_extraction_of_given_files(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "a").mkdir()
    for number, suffix in enumerate([".wav", ".wav", ".flac"]):
        soundfile.write(tmp_path / "a" / f"{number}{suffix}", speech_like(1.0, rng), SAMPLE_RATE)
    figures = extraction_speed(repeats=1, data=tmp_path)
    assert list(values(figures)) == ["features from files, WAV, given", "features from files, FLAC, given"]
    assert figures[0].note == "2 files, 1.0 s on average"


def test_dense_scoring() -> None:
    dense, single, batches, ratio, _, apart = values(dense_scoring_speed(seconds=4.0, repeats=2)).values()
    assert dense / single == pytest.approx(ratio)
    assert batches > 0
    assert apart < 1e-6


def test_streaming_cost() -> None:
    costs = list(values(streaming_cost(seconds=2.0, repeats=1)).values())
    assert len(costs) == 9
    assert all(0 < cost < 100 for cost in costs)


@pytest.mark.slow
def test_evaluation() -> None:
    first, again, sweep = values(evaluation_speed(hours=0.02, long_s=24.0)).values()
    assert min(first, again, sweep) > 0


def test_loading_share() -> None:
    figures = loading_share(clips=200, steps=1, repeats=1)
    assert [figure.unit for figure in figures] == ["ms", "ms", "%"] * 2
    for fixed_ms, loaded_ms, percent in zip(*[iter(values(figures).values())] * 3, strict=True):
        assert percent == pytest.approx(100 * (1 - fixed_ms / loaded_ms))
    assert [bool(figure.verdict) for figure in figures] == [False, False, True, False, False, False]


def test_memory_of_cached_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_memory, "in_fresh_process", here)
    monkeypatch.setattr(cache_memory, "SETTLE_S", 0.2)
    memory, speed = cache_memory.cache_memory(clips=300, budget_gb=0.5, workers=(1,))
    assert memory.verdict == "met"
    assert memory.target == pytest.approx(0.55)
    assert 0 <= memory.value < 0.5
    assert speed.value > 0


def test_shard_reads() -> None:
    shard, mapped, _, ratio, opened = values(shard_reads(clips=50)).values()
    assert mapped / shard == pytest.approx(ratio)
    assert opened > 0


def test_shard_packing() -> None:
    assert 0 < shard_packing(clips=3)[0].value < 10_000


@pytest.mark.slow
def test_shards_killed() -> None:
    differing, restarts = values(shards_killed(clips=100, workers=1)).values()
    assert differing == 0
    assert restarts > 0


@pytest.mark.slow
def test_server() -> None:
    figures = server_load(clients=3, seconds=4.0)
    lost, made_up, *_ = values(figures).values()
    assert (lost, made_up) == (0, 0)
    due = int(figures[0].note.split()[1].rstrip(","))
    assert due > 0


@pytest.mark.slow
def test_server_soak(tmp_path: Path) -> None:
    apart, _ = values(server_soak(minutes=0.1, out=tmp_path)).values()
    assert apart >= 0
    head, *rows = (tmp_path / "server-soak.csv").read_text(encoding="utf-8").splitlines()
    assert head == "second,resident_mib"
    assert len(rows) > 10


def test_start_up() -> None:
    imported, loaded, shown, bare = start_up(repeats=1)
    assert imported.note == loaded.note == shown.note == "without torch and lightning"
    assert 0 < bare.value < loaded.value < 60


def test_near_duplicates() -> None:
    _, memory, _, whole = duplicates_scale(clips=200)
    assert memory.value > 10
    assert whole.value > 90


def test_medians_alternate_and_leave_the_first_call_out(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    clock = iter([0.0, 1.0, 1.0, 3.0, 3.0, 8.0, 8.0, 10.0, 10.0, 13.0, 13.0, 15.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert medians_s([lambda: calls.append("a"), lambda: calls.append("b")], 3) == [3.0, 2.0]
    assert calls == ["a", "b"] * 4


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [(5.0, False, "met"), (4.9, False, "MISSED"), (5.0, True, "met"), (5.1, True, "MISSED"), (np.nan, True, "MISSED")],
)
def test_a_target_is_met_or_missed(value: float, at_most: bool, verdict: str) -> None:
    assert Figure("speed", value, "×", 5.0, at_most).verdict == verdict
    assert Figure("speed", value, "×").verdict == ""


def test_a_fresh_process_is_another_one_on_one_core() -> None:
    assert in_fresh_process(False, os.getpid) != os.getpid()
    assert len(in_fresh_process(True, os.sched_getaffinity, 0)) == 1


def test_the_command_prints_a_table_and_writes_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up = {
        "fast": command.Benchmark(lambda: [Figure("speed", 6543.2, "×", 5000.0, note="a note")], True),
        "slow": command.Benchmark(lambda: [Figure("size", 2.5, "GiB", 1.0, at_most=True)], False, slow=True),
    }
    monkeypatch.setattr(command, "benchmarks", lambda *_: made_up)
    monkeypatch.setattr(command, "in_fresh_process", here)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.75, 0.0, 0.0))
    command.main(["--out", str(tmp_path / "out")])
    output = capsys.readouterr()
    assert "| speed | 6,543 × | ≥ 5,000 | met | a note |" in output.out
    assert "size" not in output.out
    assert "load_average 0.75" in output.out
    assert "warning: load average 0.75" in output.err
    command.main(["slow", "--out", str(tmp_path / "out")])
    assert "| size | 2.5 GiB | ≤ 1 | MISSED |  |" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["figures"][0]["verdict"] == "MISSED"
    assert {"cpu", "cores", "python", "numpy", "onnxruntime", "torch", "load_average"} <= set(results["conditions"])


def test_augmentation_cost() -> None:
    plain, full, left = values(augmentation_cost(clips=60, steps=1, repeats=1)).values()
    assert left == pytest.approx(100 * plain / full)
    assert 0 < left < 1000


def test_resident_training() -> None:
    figures = resident_training(clips=300, budget_gb=0.5, steps=1, repeats=1, warm=2, long_frames=10_000)
    long, memory, _, fixed, loaded, resident, ratio, most, loading, making, batches = values(figures).values()
    # A megabyte may find room in what other benches freed: how much is grown says nothing here, and may be negative.
    assert np.isfinite([long, memory]).all() and fixed > 0 and making > 0
    assert (ratio, most, batches) == pytest.approx((loaded / resident, loaded / fixed, loading / making))
    assert [bool(figure.verdict) for figure in figures] == [True, True, *[False] * 4, True, *[False] * 4]


def test_mining() -> None:
    found = values(mining_speed(seconds=3.0, repeats=1))
    assert len(found) == 5
    assert min(found.values()) > 1


def test_memory_of_mining(tmp_path: Path) -> None:
    (growth,) = mining_memory(points=2, point_minutes=1, out=tmp_path)
    assert 0 <= growth.value < 100
    rows = (tmp_path / "mining-memory.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["hours_scanned", "0", "0.0166667", "0.0333333"]
    assert (tmp_path / "mining-memory.png").stat().st_size > 1000


@pytest.mark.slow
def test_mining_from_object_storage() -> None:
    figures = object_storage(hours=0.05, repeats=1)
    assert len(values(figures)) == 4 and min(figures[0].value, figures[2].value) > 0
    assert figures[2].note.startswith("3 FLAC files; ")


@pytest.mark.slow
def test_engines() -> None:
    found = values(engine_scaling(items=8, packets=2, length_s=1.0, repeats=1))
    assert all(np.isfinite(value) for value in found.values())
    expected = {f"{work}, local engine, two workers against one" for work in ("extraction", "mining")}
    assert expected <= set(found)


@pytest.mark.slow
def test_voices_killed() -> None:
    found = values(voices_killed(clips=40))
    assert found["voices, killed at random times, files that differ"] == 0
    assert found["voices, time with all restarts"] > 0


def test_voices() -> None:
    found = values(voices_speed(clips=4))
    assert min(found.values()) > 0
    clips, speech = found["voices, espeak, clips"], found["voices, espeak, speech alone"]
    assert clips > speech
