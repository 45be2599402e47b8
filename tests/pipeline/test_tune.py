"""`tune`: which trials it trains and which it rules out, how it goes on, what it writes; most runs made up."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from uyan import __version__
from uyan.errors import ConfigError, RunsFailedError, TrainingError
from uyan.pipeline import tune as module
from uyan.pipeline.footprint import Footprint
from uyan.pipeline.many import RunTask
from uyan.pipeline.run import run_until
from uyan.pipeline.trials import RESULTS, Trial, load_trials
from uyan.pipeline.tune import tune
from uyan.pipeline.tune_report import BEST, PICTURE, TABLE, TuneReport, judged_of
from uyan.pipeline.validation import VALIDATION
from uyan.pipeline.workspace import LOCK, Workspace
from uyan.recipe import Recipe, load_recipe

WriteCorpus = Callable[..., Path]

SEARCH: dict[str, Any] = {
    "trials": 10,
    "batch": 3,
    "fields": {"training.epochs": {"low": 2, "high": 40}, "network.size": ["small", "medium", "large"]},
    "limits": {"max_parameters": 100_000},
}
PARAMETERS = {"small": 30_000, "medium": 65_000, "large": 260_000}


def write_recipe(folder: Path, search: Any, **changes: Any) -> Path:
    corpus = folder / "corpus/manifest.csv"
    corpus.parent.mkdir(exist_ok=True)
    corpus.touch()
    network, training = {"window_s": 1.0}, {"epochs": 20}
    raw = {"keyword": "uyan", "data": {"manifests": ["corpus/manifest.csv"]}, "network": network, "training": training}
    file = folder / "uyan.yaml"
    file.write_text(yaml.safe_dump({**raw, "search": search, **changes}), encoding="utf-8")
    return file


def figures(misses: int, positives: int = 20, met: bool = True) -> dict[str, Any]:
    """As of one condition; five speakers, the first ones miss."""
    missed = [max(0, min(4, misses - 4 * speaker)) for speaker in range(5)]
    found = {"misses": misses, "positives": positives, "miss_rate": misses / positives, "met": met, "false_alarms": 0}
    found["per_speaker"] = {f"voice{number}": [count, 4] for number, count in enumerate(missed)}
    rest = {"miss_rate": misses / positives, "area": 0.5, "hours": 8.0, "supported": True}
    return {**rest, "conditions": {"clean": {**found, "area": 0.5}, "5 dB SNR": {**found, "area": 0.5}}}


class Runs:
    """In place of `run_many` and `finished`: more epochs miss less, 13 and fewer fail."""

    def __init__(self) -> None:
        self.asked: list[list[RunTask]] = []
        self.interrupt_after = 10**9
        self.outage: set[str] = set()
        """Names of trials that cannot be trained for now."""

    def run_many(self, tasks: Sequence[RunTask], jobs: int | None, progress: Any, tell: Any) -> list[dict[str, Any]]:
        if len(self.asked) == self.interrupt_after:
            self.interrupt_after = 10**9
            raise KeyboardInterrupt
        self.asked.append(list(tasks))
        progress("runs", len(tasks), len(tasks))
        for task in tasks:
            progress(task.name, 1, 2)
        reasons = {task.name: "the loss is NaN in batch 7" for task in tasks if self.finished(task) is None}
        lasting = set(reasons)
        if self.outage:
            reasons |= dict.fromkeys(self.outage & set(reasons), "the server cannot be reached")
            lasting -= self.outage
        if reasons:
            raise RunsFailedError("some failed", reasons, lasting)
        return []

    def finished(self, task: RunTask) -> dict[str, Any] | None:
        epochs = int(task.recipe.field("training.epochs"))
        return None if epochs <= 13 or task.name in self.outage else figures(max(0, 20 - epochs // 2))

    @property
    def values(self) -> list[tuple[str, int, str]]:
        recipes = [(task.name, task.recipe) for tasks in self.asked for task in tasks]
        return [(name, int(recipe.field("training.epochs")), recipe.network.size) for name, recipe in recipes]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(module, "run_many", made.run_many)
    monkeypatch.setattr(module, "finished", made.finished)

    def footprint(recipe: Recipe, frames: int) -> Footprint:
        parameters = PARAMETERS[recipe.network.size]
        return Footprint(recipe.network.size, recipe.frontend.mels, frames, parameters, 4 * parameters, 50.0)

    monkeypatch.setattr(module, "footprint", footprint)
    return made


def contents(out: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    return read


def test_trials_are_trained_ruled_out_or_failed_and_the_best_is_a_recipe(tmp_path: Path, runs: Runs) -> None:
    path, out, told = write_recipe(tmp_path, SEARCH), tmp_path / "runs/out", list[str]()
    steps: list[tuple[str, int, int]] = []
    report = tune(path, (), out, None, lambda *step: steps.append(step), told.append)
    states = [trial.state for trial in sorted((*report.ranked, *report.others), key=lambda trial: trial.number)]
    assert states[0] == "judged" and report.own == 0  # the recipe as it is, 20 epochs, medium
    assert len(states) - states.count("infeasible") == 10
    assert states.count("infeasible") and states.count("failed") and report.others
    assert all(size != "large" for _, _, size in runs.values)
    assert [len(tasks) for tasks in runs.asked] == [3, 3, 3, 1]
    assert all(task.judged_on == "validation" and task.base == out.resolve() for tasks in runs.asked for task in tasks)
    assert {("trials", 3, 10), ("trials", 10, 10), ("at work, 1", 1, 2), ("at work, 3", 1, 2)} <= set(steps)
    assert any(line.endswith("infeasible: 260,000 parameters, more than 100,000") for line in told)
    assert any(line.endswith("failed: the loss is NaN in batch 7") for line in told)
    best = load_recipe(out / BEST)
    task = next(task for tasks in runs.asked for task in tasks if task.name == report.best.name)
    assert best.training_digest() == task.recipe.training_digest()  # `uyan run best.yaml --out trial-…` goes on there
    assert best.search is None and Workspace(best, out.resolve(), out).manifests == [tmp_path / "corpus/manifest.csv"]
    header = (out / BEST).read_text(encoding="utf-8")
    assert header.startswith("# Chosen by `uyan tune uyan.yaml`") and "too low a figure to quote" in header
    assert f"#   uyan run {out / BEST} --out {out / report.best.name}" in header and "kfold" not in header
    missed = round(20 * judged_of(report.best).miss_rate)
    assert f"({missed}/20, mean of 2 conditions)" in header
    assert (out / PICTURE).stat().st_size > 10_000


def test_the_table_and_the_figures_hold_every_trial(tmp_path: Path, runs: Runs) -> None:
    out = tmp_path / "out"
    report = tune(write_recipe(tmp_path, SEARCH), (), out)
    with (out / TABLE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(report.ranked) + len(report.others)
    best = judged_of(report.best)
    assert (int(rows[0]["trial"]), float(rows[0]["miss_rate"])) == (report.best.number, best.miss_rate)
    assert (float(rows[0]["misses"]), int(rows[0]["positives"])) == (round(20 * best.miss_rate), 20)
    assert int(rows[0]["conditions"]) == 2
    assert float(rows[0]["miss_low"]) <= best.miss_rate <= float(rows[0]["miss_high"])
    assert {row["state"] for row in rows} == {"judged", "failed", "infeasible"}
    assert all(row["training.epochs"] and row["network.size"] and row["parameters"] for row in rows)
    found = contents(out)
    assert found["made_for"]["uyan"] == __version__
    assert found["report"]["best"] == report.best.number and found["report"]["judged_on"] == "validation"
    assert load_trials(out, found["made_for"]) == [
        *sorted((*report.ranked, *report.others), key=lambda trial: trial.number)
    ]


def test_interrupted_it_goes_on_with_the_same_trials(tmp_path: Path, runs: Runs) -> None:
    whole = tune(write_recipe(tmp_path, SEARCH), (), tmp_path / "whole")
    asked = runs.values
    for after in (0, 1, 3):
        runs.asked.clear()
        runs.interrupt_after = after
        out = tmp_path / f"interrupted-{after}"
        with pytest.raises(KeyboardInterrupt):
            tune(tmp_path / "uyan.yaml", (), out)
        assert [raw["state"] for raw in contents(out)["trials"]].count("running") in (3, 1)
        again = tune(tmp_path / "uyan.yaml", (), out)
        assert runs.values == asked
        assert [(t.number, t.values, t.state) for t in again.ranked] == [
            (t.number, t.values, t.state) for t in whole.ranked
        ]
    runs.asked.clear()
    tune(tmp_path / "uyan.yaml", (), tmp_path / "whole")
    assert runs.asked == []  # nothing is trained twice


def test_what_the_values_did_not_cause_is_done_again(tmp_path: Path, runs: Runs) -> None:
    """A server that is away for a while must not use up the trials."""
    whole = tune(write_recipe(tmp_path, SEARCH), (), tmp_path / "whole")
    asked, out = runs.values, tmp_path / "out"
    runs.asked.clear()
    runs.outage = {f"trial-{number:03d}" for number in range(100)}
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"(?s)trial-000: the server cannot be reached.*the same command"):
            tune(tmp_path / "uyan.yaml", (), out)
        assert {raw["state"] for raw in contents(out)["trials"]} <= {"running", "infeasible"}
    assert runs.values == asked[:3] * 2
    runs.outage = set()
    runs.asked.clear()
    again = tune(tmp_path / "uyan.yaml", (), out)
    assert runs.values == asked and rows(again) == rows(whole)


def test_of_trials_side_by_side_each_is_kept_as_it_ended(tmp_path: Path, runs: Runs) -> None:
    search = {"trials": 3, "batch": 3, "fields": {"training.epochs": [20, 12, 30]}}
    runs.outage = {"trial-002"}
    with pytest.raises(TrainingError, match="values:\n  trial-002: the server cannot be reached\nmend it"):
        tune(write_recipe(tmp_path, search), (), tmp_path / "out")
    states = [(raw["state"], raw["reason"]) for raw in contents(tmp_path / "out")["trials"]]
    assert states == [("judged", ""), ("failed", "the loss is NaN in batch 7"), ("running", "")]


def test_a_search_may_be_made_longer(tmp_path: Path, runs: Runs) -> None:
    path, out = write_recipe(tmp_path, SEARCH), tmp_path / "out"
    tune(path, ("search.trials=3",), out)
    before = runs.values
    report = tune(path, ("search.trials=6",), out)
    assert runs.values[:3] == before and len(runs.values) == 6
    assert len(report.ranked) + sum(trial.state == "failed" for trial in report.others) == 6


def test_another_search_is_refused_with_what_differs(tmp_path: Path, runs: Runs) -> None:
    path, out = write_recipe(tmp_path, SEARCH), tmp_path / "out"
    tune(path, ("search.trials=3",), out)
    for change, what in (
        ("augment.gain_db=3", r"another configuration \(augment\.gain_db: 12\.0 there, 3\.0 here\)"),
        ("search.limits.max_parameters=70000", r"another search section \(limits\.max_parameters: 100000 there, 70000"),
    ):
        with pytest.raises(ConfigError, match=rf"out holds a search with {what}.*choose another --out"):
            tune(path, (change,), out)
    (tmp_path / "corpus/manifest.csv").write_text("path\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="another set of recordings"):
        tune(path, (), out)
    for damaged in ("{", "[]", '{"made_for": {}}'):
        (out / RESULTS).write_text(damaged, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"tune\.json: not a readable search"):
            tune(path, (), out)


def test_a_recipe_without_a_search_says_how_to_write_one(tmp_path: Path, runs: Runs) -> None:
    with pytest.raises(ConfigError, match=r"names nothing to search; add a section such as\n  search: \{fields:"):
        tune(write_recipe(tmp_path, None), (), tmp_path / "out")


def test_limits_that_leave_nothing_end_the_search(tmp_path: Path, runs: Runs) -> None:
    path = write_recipe(tmp_path, {**SEARCH, "trials": 2, "limits": {"max_parameters": 10}})
    with pytest.raises(TrainingError, match=r"(?s)no trial was trained and judged; loosen search\.limits.*trial-019"):
        tune(path, (), tmp_path / "out")
    assert runs.asked == [] and len(contents(tmp_path / "out")["trials"]) == 20


def test_combinations_that_make_no_recipe_are_listed_as_failed(tmp_path: Path, runs: Runs) -> None:
    fields = {"augment.snr_low_db": [0, 20], "augment.snr_high_db": [10, 30]}
    search = {"trials": 4, "fields": fields}
    report = tune(
        write_recipe(tmp_path, search, augment={"snr_high_db": 30.0}), ("augment.snr_low_db=0",), tmp_path / "o"
    )
    failed = [trial for trial in report.others if trial.state == "failed"]
    assert [trial.values for trial in failed] == [{"augment.snr_low_db": 20.0, "augment.snr_high_db": 10.0}]
    assert "snr_low_db is above snr_high_db" in failed[0].reason and failed[0].footprint is None
    assert len(report.ranked) == 3


def test_a_trial_that_another_process_is_at_is_waited_for(
    tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process may outlive the search that started it: to call the trial failed would be wrong."""
    path, out = write_recipe(tmp_path, SEARCH), tmp_path / "out"
    runs.interrupt_after = 1
    with pytest.raises(KeyboardInterrupt):
        tune(path, (), out)
    monkeypatch.setattr(module, "LEAVING_S", 0.1)
    left = next(raw["number"] for raw in contents(out)["trials"] if raw["state"] == "running")
    with (
        FileLock(out / f"trial-{left:03d}" / LOCK),
        pytest.raises(ConfigError, match="another process is at work there"),
    ):
        tune(path, (), out)
    tune(path, (), out)
    assert len(runs.asked) == 4


def test_files_to_start_from_are_found_beside_the_recipe(tmp_path: Path, runs: Runs) -> None:
    """The trials are runs in another folder."""
    names = ["first.safetensors", "second.safetensors"]
    for name in names:
        (tmp_path / name).touch()
    search = {"trials": 2, "batch": 2, "fields": {"training.init": names}}
    report = tune(write_recipe(tmp_path, search, training={"epochs": 20, "init": names[1]}), (), tmp_path / "runs/out")
    starts = [Workspace(task.recipe, task.base, task.out).start_file for tasks in runs.asked for task in tasks]
    assert starts == [tmp_path / names[1], tmp_path / names[0]] and report.own == 0


def test_networks_are_measured_once(tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def footprint(recipe: Recipe, frames: int) -> Footprint:
        measured.append(recipe.network.size)
        return Footprint(recipe.network.size, recipe.frontend.mels, frames, 1000, 4000, 50.0)

    monkeypatch.setattr(module, "footprint", footprint)
    tune(write_recipe(tmp_path, SEARCH), (), tmp_path / "out")
    assert sorted(measured) == sorted(set(measured))


THREE = {
    "trials": 3,
    "batch": 2,
    "fields": {"training.learning_rate": {"low": 1e-3, "high": 5e-3}, "network.size": ["small", "large"]},
    "limits": {"max_parameters": 100_000},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("tune")
    write_corpus(folder / "corpus")
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "network": {"size": "small"},
        "variants": {"positive": 1, "negative": 0},
        "training": {"epochs": 2, "init": "scratch", "ema_decay": 0.9, "ema_late_decay": 0.9},
        "mining": {"rounds": 0},
        "batches": {"size": 16, "workers": 0, "validation_workers": 0},
        "search": THREE,
    }
    (folder / "uyan.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    yield folder / "uyan.yaml"


@pytest.fixture(scope="module")
def searched(corpus: Path) -> TuneReport:
    return tune(corpus, (), corpus.parent / "runs/whole", jobs=2)


def rows(report: TuneReport) -> list[tuple[Any, ...]]:
    """All that does not depend on how fast the machine was."""
    trials: list[Trial] = sorted((*report.ranked, *report.others), key=lambda trial: trial.number)
    return [(trial.number, trial.values, trial.state, trial.judged) for trial in trials]


@pytest.mark.slow
def test_no_trial_sees_the_test_split(corpus: Path, searched: TuneReport) -> None:
    out = corpus.parent / "runs/whole"
    folders = sorted(folder for folder in out.iterdir() if folder.name.startswith("trial-"))
    assert [folder.name for folder in folders] == [
        trial.name for trial in sorted(searched.ranked, key=lambda t: t.number)
    ]
    for folder in folders:
        assert (folder / VALIDATION).is_file()
        for name in ("metrics.json", "bundle.onnx", "tracks.npz", "det.csv", "model_card.md"):
            assert not (folder / name).exists()
        found = json.loads((folder / VALIDATION).read_text(encoding="utf-8"))
        with (folder / "splits.csv").open(newline="", encoding="utf-8") as file:
            members = [row for row in csv.DictReader(file) if row["label"] == "uyan"]
        judged_by = {row["speaker_id"] for row in members if row["split"] == "validation"}
        assert set(found["conditions"]["clean"]["per_speaker"]) == judged_by
        log = json.loads((out / RESULTS).read_text(encoding="utf-8"))["trials"][int(folder.name[-3:])]
        assert (
            log["judged"]["miss_rate"]
            == found["miss_rate"]
            == pytest.approx(
                sum(condition["miss_rate"] for condition in found["conditions"].values()) / len(found["conditions"])
            )
        )


@pytest.mark.slow
def test_the_figure_is_that_which_chose_the_epoch(corpus: Path, searched: TuneReport) -> None:
    from uyan.training.checkpoint import load_tensors
    from uyan.training.fit import CHECKPOINT

    for trial in searched.ranked:
        folder = corpus.parent / "runs/whole" / trial.name / "training"
        _, metadata = load_tensors(folder / CHECKPOINT)
        judged = judged_of(trial)
        best = json.dumps([judged.miss_rate, judged.area])[1:-1]
        assert best in "".join(metadata.values())


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_as_if_it_had_not_been(corpus: Path, searched: TuneReport) -> None:
    out = corpus.parent / "runs/killed"
    command = [sys.executable, "-m", "uyan.cli.main", "tune", str(corpus), "--jobs", "2", "--out", str(out)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(out.glob("trial-*/training/*.safetensors")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert {raw["state"] for raw in contents(out)["trials"]} >= {"running"}
    assert rows(tune(corpus, (), out, jobs=2)) == rows(searched)


@pytest.mark.slow
def test_the_best_trial_becomes_a_run_without_training_again(corpus: Path, searched: TuneReport) -> None:
    out = corpus.parent / "runs/whole"
    told: list[str] = []
    run = Workspace(load_recipe(out / BEST), out.resolve(), out / searched.best.name, tell=told.append)
    outcome = run_until(run)
    assert outcome is not None and outcome.bundle.info.label == "uyan"
    assert not any("training on" in line for line in told)
    assert not (out / "trial-099").exists() and rows(tune(corpus, (), out, jobs=2)) == rows(searched)
