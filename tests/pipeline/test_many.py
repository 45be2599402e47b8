"""Several runs at a time: what is shared, what is skipped, what is told, and how failures and Ctrl-C end."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from paper_runs import leave_files, task

from uyan.engine.job import Cores, Message
from uyan.errors import ConfigError, RunsFailedError
from uyan.pipeline import many
from uyan.pipeline.loading import DECISION
from uyan.pipeline.many import run_many
from uyan.pipeline.run_task import RunTask, finished
from uyan.pipeline.workspace import Workspace
from uyan.ranks import interrupt

Lines = list[str]


def test_finished_runs_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("nothing is to be done")

    monkeypatch.setattr(many, "run_until", refuse)
    monkeypatch.setattr(many, "one_run", refuse)
    tasks = [task(tmp_path, name) for name in ("a", "b")]
    for done in tasks:
        leave_files(done)
    assert [metrics["name"] for metrics in run_many(tasks)] == ["a", "b"]


def test_what_runs_share_is_made_once_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    monkeypatch.setattr(many, "run_until", lambda run, last: made.append((run.out.name, last)))
    folds = [task(tmp_path, f"fold-{i}", split={"fold": i}) for i in range(3)]
    other = task(tmp_path, "other", data={"manifests": ["other.csv"]})
    many._prepare([*folds, other], progress=lambda *step: None)
    assert made == [(f"fold-{i}", "features") for i in range(3)] + [("other", "features")]
    seeds = [task(tmp_path, f"seed-{i}", training={"seed": i}) for i in range(3)]
    made.clear()
    many._prepare(seeds, progress=lambda *step: None)
    assert made == [("seed-0", "features")]


def test_the_machine_is_shared_and_no_figure_depends_on_it(tmp_path: Path) -> None:
    whole = task(tmp_path, "a")
    crowded, roomy = many._shared(whole, 4, Cores(4, 4)), many._shared(whole, 2, Cores(8, 8))
    assert (crowded.recipe.batches.workers, crowded.recipe.batches.validation_workers) == (0, 0)
    assert (roomy.recipe.batches.workers, roomy.recipe.batches.validation_workers) == (16, 8)
    assert (crowded.recipe.cache.workers, roomy.recipe.cache.workers) == (1, 4)
    assert (crowded.recipe.cache.max_ram_gb, roomy.recipe.cache.max_ram_gb) == (0.75, 1.5)
    assert crowded.recipe.digest() == roomy.recipe.digest() == whole.recipe.digest()
    assert crowded[1:] == whole[1:]


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_where_batches_come_from_does_not_depend_on_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Not even where one fold has a little less than one core's share and another a little more."""

    def features(run: Workspace, last: str) -> None:
        run.feature_bytes = int(3.0 * 1024**3 / 4) - 1 + run.recipe.split.fold

    def all_works(tasks: list[RunTask], *rest: object) -> tuple[dict[str, str], set[str]]:
        for work in tasks:
            leave_files(work)
        return {}, set()

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(many, "run_until", features)
    monkeypatch.setattr(many, "_run_all", all_works)
    for folds, went in ((2, "resident"), (3, "files")):
        tasks = [task(tmp_path, f"{folds}-{fold}", split={"fold": fold}) for fold in range(folds)]
        run_many(tasks, jobs)
        decided = [json.loads((work.out / "training" / DECISION).read_text())["loader"] for work in tasks]
        assert decided == [went] * folds


def test_no_jobs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="jobs must be at least 1, not 0"):
        run_many([task(tmp_path, "a")], jobs=0)


def pretend(work: RunTask, threads: int, messages: Connection) -> None:
    """In place of a whole run, in its own process: the name says how it ends."""
    signal.signal(signal.SIGINT, interrupt)
    try:
        messages.send(Message("tell", f"started with {threads} of {os.environ['OMP_NUM_THREADS']} threads"))
        messages.send(Message("progress", "train", 1, 2))
        if work.name == "fails":
            messages.send(Message("failed", "the word is missing", lasting=True))
        elif work.name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif work.name == "endless":
            threading.Event().wait(120)
        else:
            leave_files(work)
    except KeyboardInterrupt:  # anywhere, while it says something too
        work.out.mkdir(parents=True, exist_ok=True)
        (work.out / "checkpoint").touch()
        raise SystemExit(130) from None


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(many, "one_run", pretend)
    monkeypatch.setattr(many, "run_until", lambda run, last: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    yield


@pytest.mark.slow
@pytest.mark.usefixtures("pretended")
def test_a_failed_run_is_reported_after_the_others_have_finished(tmp_path: Path) -> None:
    lines: Lines = []
    steps: list[tuple[str, int, int]] = []
    tasks = [task(tmp_path, name) for name in ("fails", "killed", "works")]
    with pytest.raises(RunsFailedError) as failed:
        run_many(tasks, 2, lambda *step: steps.append(step), lines.append)
    first, *reasons = str(failed.value).splitlines()
    assert first == "2 of 3 runs failed; the same command goes on"
    assert sorted(reasons) == [
        "  fails: the word is missing",
        "  killed: ended by SIGKILL; if the memory was short, use fewer jobs",
    ]
    assert set(failed.value.reasons) == {"fails", "killed"} and failed.value.lasting == {"fails"}
    assert finished(tasks[2]) is not None
    assert {f"{t.name}: started with 1 of 1 threads" for t in tasks} <= set(lines)
    assert {("works", 1, 2), ("runs", 0, 3), ("runs", 3, 3)} <= set(steps)
    with pytest.raises(RunsFailedError, match=r"^1 of 1 runs failed\n  fails: the word is missing$"):
        run_many(tasks[:1])  # nothing to go on with


@pytest.mark.slow
@pytest.mark.usefixtures("pretended")
def test_ctrl_c_stops_every_run_and_lets_it_clean_up(tmp_path: Path) -> None:
    endless = task(tmp_path, "endless")

    def interrupt(line: str) -> None:
        if line.startswith("endless: started"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_many([endless], tell=interrupt)
    assert (endless.out / "checkpoint").is_file()
