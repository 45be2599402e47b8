"""`curve`: which sizes it asks for, what it says of more data, what it writes; the runs themselves are made up."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.limit import limit_positives, training_positives
from uyan.data.member import Member
from uyan.data.recording import Recording
from uyan.errors import ConfigError
from uyan.evaluation.comparison import fit_power_law
from uyan.pipeline import curve as module
from uyan.pipeline.curve import Size, choose_sizes, curve_of, doubling, forecast, measure_curve
from uyan.pipeline.many import RunTask
from uyan.pipeline.run import run_until
from uyan.pipeline.workspace import Workspace

RECIPE = "keyword: uyan\ndata: {manifests: [corpus/manifest.csv]}\n"


def said(*counts: int) -> list[Member]:
    """Speaker after speaker with so many positives each, all in the training split."""
    members = []
    for number, count in enumerate(counts):
        for take in range(count):
            path = f"uyan/{number}/{take}.wav"
            recording = Recording(path, Path("/data"), "uyan", f"voice{number}", True, 1.0, "keyword", "", "")
            members.append(Member(recording, path, 1.0, "train", len(members), True))
    return members


def sizes(members: Sequence[Member], positives: Sequence[int] = (), speakers: Sequence[int] = ()) -> list[Size]:
    return choose_sizes(members, "uyan", positives, speakers, 42)


def run(positives: int, speakers: int, misses: int, judged: int = 100) -> dict[str, Any]:
    rate = misses / judged
    at_fah = {"misses": misses, "positives": judged, "miss_rate": rate, "met": True}
    at_fah["miss_interval"] = {"low": rate / 2, "high": min(1.0, 2 * rate + 0.01)}
    interval = {"low": 0.0, "high": 1.0}
    shipped = {"misses": misses + 1, "miss_rate": rate, "speakers": 9, "speaker_interval": interval}
    condition = {**shipped, "at_fah": {"0.5": at_fah}, "per_speaker": {"tts:piper:joe": (misses, judged)}}
    train = {"positives": positives + 7, "positive_speakers": speakers + 2}  # seven by two synthetic voices
    train |= {"synthetic_positives": 7, "synthetic_speakers": 2}
    conditions = {"clean": condition, "telephone": condition}
    return {"keyword": "uyan", "data": {"splits": {"train": train}}, "conditions": conditions}


def test_by_default_the_recordings_double_with_speakers_in_proportion() -> None:
    assert sizes(said(*[10] * 24)) == [Size(30, 3), Size(60, 6), Size(120, 12), Size(240, 24)]


def test_few_recordings_start_lower() -> None:
    assert sizes(said(6, 6, 6, 6, 6)) == [Size(7, 2), Size(14, 3), Size(30, 5)]
    assert sizes(said(1)) == [Size(1, 1)]


def test_speakers_with_few_recordings_are_joined_by_more() -> None:
    members = said(*[1] * 20, 100)
    for size in sizes(members):
        limited = limit_positives(members, "uyan", size.positives, size.speakers, 42)
        assert len(list(training_positives(limited, "uyan"))) == size.positives


@given(st.integers(1, 5000))
def test_default_counts_ascend_to_all_there_are_in_steps_that_show(most: int) -> None:
    counts = doubling(most)
    assert counts[-1] == most and counts[0] >= 1
    steps = [later / earlier for earlier, later in itertools.pairwise(counts)]
    assert all(2**0.5 < step <= 2**1.5 + 1e-9 for step in steps)


def test_pairs_are_taken_as_they_are_and_in_order() -> None:
    assert sizes(said(*[10] * 20), [60, 30], [20, 5]) == [Size(30, 5), Size(60, 20)]


def test_speakers_alone_come_with_all_that_they_said() -> None:
    assert sizes(said(*[10] * 20), speakers=[5, 20]) == [Size(200, 5), Size(200, 20)]


def test_more_than_there_is_becomes_all_there_is() -> None:
    told: list[str] = []
    members = said(*[10] * 10)
    assert choose_sizes(members, "uyan", [30, 100, 270], [], 42, told.append) == [Size(30, 3), Size(100, 10)]
    assert told == ["270 positives were asked for, 100 are there to train on: a point of all of them instead"]


def test_synthetic_voices_are_no_size() -> None:
    real, machine = said(*[10] * 6), said(*[10] * 50)
    machines = [replace(m, recording=replace(m.recording, speaker_id=f"tts:{m.recording.path}")) for m in machine]
    assert sizes([*machines, *real]) == sizes(real)
    with pytest.raises(ConfigError, match="no real recording of 'uyan' to train on"):
        sizes(machines)


@pytest.mark.parametrize(
    ("positives", "speakers", "message"),
    [([30, 60], [5], "--positives has 2 points, --speakers 1"), ([0], [], "at least 1"), ([], [-1], "at least 1")],
)
def test_sizes_that_make_no_sense(positives: list[int], speakers: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sizes(said(5, 5), positives, speakers)


def test_a_curve_that_halves_with_every_doubling_says_so() -> None:
    curve = curve_of([run(240, 24, 5), run(60, 6, 20), run(120, 12, 10)])
    assert [point.positives for point in curve.points] == [60, 120, 240]
    assert curve.axis == "positives"
    assert curve.law is not None and curve.law.slope == pytest.approx(-1)
    assert "twice the recordings, of new speakers in proportion (240 → 480): about 5.0% → 2.5% missed" in curve.forecast
    assert "between 2.5% and 2.5%" in curve.forecast
    assert "buy nothing" not in curve.forecast and "guess" not in curve.forecast


def test_two_points_are_called_a_guess() -> None:
    text = curve_of([run(30, 5, 40), run(60, 5, 20)]).forecast
    assert "of the same speakers (60 → 120): about 20.0% → 10.0% missed" in text
    assert "take it for a guess" in text


def test_a_scattered_curve_may_buy_nothing() -> None:
    text = curve_of([run(30, 5, 40), run(60, 10, 20), run(120, 20, 35)]).forecast
    assert text.endswith("so that it may buy nothing")


def test_a_curve_that_does_not_fall_forecasts_nothing() -> None:
    for misses in (20, 30):
        text = curve_of([run(30, 5, 20), run(60, 10, misses)]).forecast
        assert text.startswith("the miss rate does not fall with more positives here")
        assert "→" not in text


def test_one_point_is_no_curve() -> None:
    curve = curve_of([run(30, 5, 20)])
    assert curve.law is None
    assert curve.forecast.startswith("one point makes no curve")


def test_equal_positives_are_a_curve_over_speakers() -> None:
    curve = curve_of([run(60, 20, 10), run(60, 5, 40), run(60, 10, 20)])
    assert curve.axis == "speakers"
    assert "twice the speakers, with as many recordings in all (20 → 40): about 10.0% → 5.0%" in curve.forecast


def test_half_a_miss_stands_for_none() -> None:
    curve = curve_of([run(30, 5, 2), run(60, 10, 1), run(120, 20, 0)])
    assert curve.law is not None and curve.law.slope == pytest.approx(-1)


def test_the_forecast_is_a_rate() -> None:
    law = fit_power_law([1, 2, 3], [0.9, 0.5, 0.8])
    assert "and 100.0% by" in forecast([1, 2, 3], law, "positives", True)


def test_each_point_is_a_run_of_its_own_and_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "runs/curve"
    recipe.write_text(RECIPE, encoding="utf-8")
    monkeypatch.setattr(module, "check_recordings", lambda run: run.out)
    monkeypatch.setattr(module, "split_recordings", lambda run, report: said(2, 2, 2) if report == out else [])
    asked: list[RunTask] = []

    def run_many(tasks: Sequence[RunTask], jobs: int, progress: object, tell: object) -> list[dict[str, Any]]:
        asked.extend(tasks)
        limits = [task.recipe.data for task in tasks]
        return [run(d.max_positives or 0, d.max_positive_speakers or 0, 40 // (d.max_positives or 1)) for d in limits]

    monkeypatch.setattr(module, "run_many", run_many)
    curve = measure_curve(recipe, ["training.epochs=1"], out, positives=[2, 4], speakers=[1, 2])
    assert [task.name for task in asked] == ["positives4-speakers2", "positives2-speakers1"]
    assert [task.out for task in asked] == [out / task.name for task in asked]
    assert {task.base for task in asked} == {tmp_path}
    assert {(task.recipe.training.epochs, task.recipe.cache.folder) for task in asked} == {
        (1, str(tmp_path / "runs/cache"))
    }
    written = json.loads((out / "curve.json").read_text(encoding="utf-8"))
    assert written["voices"].startswith("no real voice has been heard")
    assert [(p["positives"], p["speakers"]) for p in written["points"]] == [(2, 1), (4, 2)]
    clean = written["points"][0]["conditions"]["clean"]
    assert (clean["misses"], clean["positives"], clean["speakers"]) == (20, 100, 9)
    assert clean["as_shipped"]["misses"] == 21
    assert written["law"]["slope"] == pytest.approx(-1)
    assert written["forecast"] == curve.forecast
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_one_speaker_and_two_recordings_run_to_the_end(
    tmp_path: Path, write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out, told = tmp_path / "recipe.yaml", tmp_path / "curve", list[str]()
    recipe.write_text(f"{RECIPE}network: {{size: small}}\n", encoding="utf-8")
    write_corpus(tmp_path / "corpus", speakers=5)

    def in_this_process(tasks: Sequence[RunTask], *rest: object) -> list[dict[str, Any]]:
        outcomes = [run_until(Workspace(task.recipe, task.base, task.out, tell=told.append)) for task in tasks]
        return [outcome.metrics for outcome in outcomes if outcome]

    monkeypatch.setattr(module, "run_many", in_this_process)
    small = ["training.epochs=1", "batches.size=24", "batches.workers=0", "batches.validation_workers=0"]
    small += ["variants.positive=1", "cache.max_ram_gb=0.1", "cache.workers=1", "mining.rounds=0"]
    curve = measure_curve(recipe, [*small, "evaluation.snr_db=[]"], out, positives=[2], speakers=[1])
    assert [(point.positives, point.speakers) for point in curve.points] == [(2, 1)]
    assert curve.forecast.startswith("one point makes no curve")
    assert any("only 2 recordings of the keyword by 1 speaker" in line for line in told)
    assert (out / "positives2-speakers1/bundle.onnx").is_file()
