"""Several runs at a time: what is shared, what is skipped, what is told, and how failures and Ctrl-C end."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from uyan import __version__
from uyan.errors import ConfigError, DataError, TrainingError
from uyan.pipeline import many
from uyan.pipeline.many import BUNDLE, METRICS, Message, RunTask, finished, run_many
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe

Lines = list[str]


def task(folder: Path, name: str, **changes: Any) -> RunTask:
    manifest = folder / "corpus/manifest.csv"
    manifest.parent.mkdir(exist_ok=True)
    manifest.touch()
    raw = {"keyword": "uyan", "data": {"manifests": ["corpus/manifest.csv"]}, "cache": {"max_ram_gb": 3.0}, **changes}
    return RunTask(parse_recipe(raw, "test"), folder, folder / name, name)


def leave_files(done: RunTask, config_hash: str | None = None) -> None:
    done.out.mkdir(parents=True, exist_ok=True)
    (done.out / BUNDLE).write_bytes(b"bundle")
    (done.out / many.TRACKS).write_bytes(b"tracks")
    manifests = Workspace(done.recipe, done.base, done.out).manifests_digest()
    hashes = {"config_hash": config_hash or done.recipe.digest(), "manifests_sha256": manifests}
    metrics = {"uyan": __version__, **hashes, "name": done.name}
    (done.out / METRICS).write_text(json.dumps(metrics), encoding="utf-8")


def test_a_run_is_finished_with_its_files_and_this_recipe_alone(tmp_path: Path) -> None:
    done = task(tmp_path, "a")
    assert finished(done) is None
    leave_files(done)
    found = finished(done)
    assert found and found["name"] == "a"
    workers = {"batches": {"workers": 0}, "cache": {"max_ram_gb": 1.0}}
    assert finished(task(tmp_path, "a", **workers)) is not None  # changes no figure
    assert finished(task(tmp_path, "a", training={"epochs": 3})) is None
    (tmp_path / "corpus/manifest.csv").write_text("path\n", encoding="utf-8")
    assert finished(done) is None  # the recordings are others now
    (tmp_path / "corpus/manifest.csv").write_text("", encoding="utf-8")
    assert finished(done) is not None
    for damaged in ('{"config', "[]"):
        (done.out / METRICS).write_text(damaged, encoding="utf-8")
        assert finished(done) is None
    leave_files(done)
    (done.out / BUNDLE).unlink()
    assert finished(done) is None


def test_a_run_is_finished_with_what_it_mined_and_started_from_alone(tmp_path: Path) -> None:
    sources = tmp_path / "radio.csv", tmp_path / "t.safetensors"
    for source in sources:
        source.write_bytes(b"before")
    done = task(tmp_path, "a", mining={"manifests": ["radio.csv"]}, training={"init": "t.safetensors"})
    leave_files(done)
    assert finished(done) is not None
    for source in sources:
        source.write_bytes(b"after")
        assert finished(done) is None
        source.write_bytes(b"before")
    assert finished(done) is not None
    sources[0].unlink()
    with pytest.raises(DataError, match=r"radio\.csv: cannot be read"):
        finished(done)


def by_another_uyan(done: RunTask) -> None:
    leave_files(done)
    metrics = json.loads((done.out / METRICS).read_text(encoding="utf-8"))
    (done.out / METRICS).write_text(json.dumps({**metrics, "uyan": "0.0.9"}), encoding="utf-8")


def test_a_run_of_another_uyan_is_not_finished(tmp_path: Path) -> None:
    done = task(tmp_path, "a")
    by_another_uyan(done)
    assert finished(done) is None


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a child does to its process is undone in this one: the sums of later tests depend on the threads."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_run_of_another_uyan_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_process: None
) -> None:
    """With its weights left there, they would go out under this uyan's name."""
    done, seen = task(tmp_path, "a"), list[bool]()
    (done.out / "training").mkdir(parents=True)
    by_another_uyan(done)
    monkeypatch.setattr(many, "run_until", lambda run: seen.append(run.training.exists()))
    pipe = Pipe()
    many._run_one(done, 1, pipe)  # type: ignore[arg-type]
    assert seen == [False]
    assert pipe.sent[0].text == f"was made by uyan 0.0.9, is trained again by {__version__}"
    (done.out / "training").mkdir()  # interrupted there: what is in it is this uyan's
    many._run_one(done, 1, Pipe())  # type: ignore[arg-type]
    assert seen == [False, True]


def test_finished_runs_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("nothing is to be done")

    monkeypatch.setattr(many, "run_until", refuse)
    monkeypatch.setattr(many, "_start", refuse)
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
    crowded, roomy = many._shared(whole, jobs=4, cores=4), many._shared(whole, jobs=2, cores=8)
    assert (crowded.recipe.batches.workers, crowded.recipe.batches.validation_workers) == (0, 0)
    assert (roomy.recipe.batches.workers, roomy.recipe.batches.validation_workers) == (16, 8)
    assert (crowded.recipe.cache.workers, roomy.recipe.cache.workers) == (1, 4)
    assert (crowded.recipe.cache.max_ram_gb, roomy.recipe.cache.max_ram_gb) == (0.75, 1.5)
    assert crowded.recipe.digest() == roomy.recipe.digest() == whole.recipe.digest()
    assert crowded[1:] == whole[1:]


def test_no_jobs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="jobs must be at least 1, not 0"):
        run_many([task(tmp_path, "a")], jobs=0)


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UYAN_A", "before")
    monkeypatch.delenv("UYAN_B", raising=False)
    with many._environment(UYAN_A="1", UYAN_B="2"):
        assert (os.environ["UYAN_A"], os.environ["UYAN_B"]) == ("1", "2")
    assert os.environ["UYAN_A"] == "before" and "UYAN_B" not in os.environ


def pretend(work: RunTask, threads: int, messages: Connection) -> None:
    """In place of a whole run, in its own process: the name says how it ends."""
    signal.signal(signal.SIGINT, many._interrupt_once)
    try:
        messages.send(Message("tell", f"started with {threads} of {os.environ['OMP_NUM_THREADS']} threads"))
        messages.send(Message("progress", "train", 1, 2))
        if work.name == "fails":
            messages.send(Message("failed", "the word is missing"))
        elif work.name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif work.name == "endless":
            threading.Event().wait(120)
        else:
            leave_files(work)
    except KeyboardInterrupt:  # anywhere, while it says something too
        work.out.mkdir(parents=True)
        (work.out / "checkpoint").touch()
        raise SystemExit(130) from None


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(many, "_run_one", pretend)
    monkeypatch.setattr(many, "run_until", lambda run, last: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    yield


@pytest.mark.slow
@pytest.mark.usefixtures("pretended")
def test_a_failed_run_is_reported_after_the_others_have_finished(tmp_path: Path) -> None:
    lines: Lines = []
    steps: list[tuple[str, int, int]] = []
    tasks = [task(tmp_path, name) for name in ("fails", "killed", "works")]
    with pytest.raises(TrainingError) as failed:
        run_many(tasks, 2, lambda *step: steps.append(step), lines.append)
    first, *reasons = str(failed.value).splitlines()
    assert first == "2 of 3 runs failed; the same command goes on"
    assert sorted(reasons) == [
        "  fails: the word is missing",
        "  killed: ended by SIGKILL; if the memory was short, use fewer jobs",
    ]
    assert finished(tasks[2]) is not None
    assert {f"{t.name}: started with 1 of 1 threads" for t in tasks} <= set(lines)
    assert {("works", 1, 2), ("runs", 0, 3), ("runs", 3, 3)} <= set(steps)


@pytest.mark.slow
@pytest.mark.usefixtures("pretended")
def test_ctrl_c_stops_every_run_and_lets_it_clean_up(tmp_path: Path) -> None:
    endless = task(tmp_path, "endless")

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_many([endless], tell=interrupt)
    assert (endless.out / "checkpoint").is_file()


class Pipe:
    """The child's end, read in this process."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)


@pytest.fixture
def run_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_process: None) -> Callable[[Exception | None], Pipe]:
    """A child's work in this process, ending in an error."""

    def call(error: BaseException | None) -> Pipe:
        def run_until(run: Workspace) -> None:
            run.out.mkdir(parents=True, exist_ok=True)
            run.warn("few voices")
            run.progress("train", 3, 4)
            if error:
                raise error

        monkeypatch.setattr(many, "run_until", run_until)
        pipe = Pipe()
        many._run_one(task(tmp_path, "a"), 1, pipe)  # type: ignore[arg-type]
        return pipe

    return call


def test_a_run_tells_what_it_does(run_one: Callable[[Exception | None], Pipe]) -> None:
    assert run_one(None).sent == [Message("tell", "warning: few voices"), Message("progress", "train", 3, 4)]


def test_what_the_user_can_mend_is_told_as_one_line(run_one: Callable[[Exception | None], Pipe]) -> None:
    assert run_one(TrainingError("the loss is NaN in batch 7")).sent[-1] == Message(
        "failed", "the loss is NaN in batch 7"
    )


def test_what_nobody_expected_leaves_its_traceback(run_one: Callable[[Exception | None], Pipe], tmp_path: Path) -> None:
    said = run_one(ZeroDivisionError("by zero")).sent[-1]
    assert said.kind == "failed" and said.text.startswith("ZeroDivisionError: by zero (see ")
    assert "Traceback" in (tmp_path / "a/traceback.txt").read_text(encoding="utf-8")


def test_an_interrupted_run_ends_with_130(run_one: Callable[[BaseException | None], Pipe]) -> None:
    with pytest.raises(SystemExit) as left:
        run_one(KeyboardInterrupt())
    assert left.value.code == 130
