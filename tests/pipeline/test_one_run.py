"""A run in its own process: what it tells, what it leaves, and how it ends."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from paper_runs import by_another_uyan, task

from uyan import __version__
from uyan.engine.job import Message
from uyan.errors import ConfigError, DataError, StorageError, TrainingError
from uyan.pipeline import one_run as module
from uyan.pipeline.loading import DECISION
from uyan.pipeline.one_run import one_run
from uyan.pipeline.workspace import LOCK, Workspace
from uyan.training.fit import CHECKPOINT


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a child does to its process is undone in this one: the sums of later tests depend on the threads."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    yield
    signal.signal(signal.SIGINT, before)


class Pipe:
    """The child's end, read in this process."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)


def test_such_a_run_stops_before_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_process: None) -> None:
    done = list[str]()
    monkeypatch.setattr(module, "run_until", lambda run: done.append("run"))
    monkeypatch.setattr(module, "train_and_validate", lambda run: done.append("trial"))
    one_run(task(tmp_path, "a"), 1, Pipe())  # type: ignore[arg-type]
    one_run(task(tmp_path, "b")._replace(judged_on="validation"), 1, Pipe())  # type: ignore[arg-type]
    assert done == ["run", "trial"]


def test_a_run_of_another_uyan_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_process: None
) -> None:
    """With its weights left there, they would go out under this uyan's name."""
    done, seen = task(tmp_path, "a"), list[list[str]]()
    (done.out / "training/logs").mkdir(parents=True)
    for name in (CHECKPOINT, DECISION, "logs/a.csv"):
        (done.out / "training" / name).touch()
    by_another_uyan(done)
    monkeypatch.setattr(module, "run_until", lambda run: seen.append(sorted(f.name for f in run.training.iterdir())))
    pipe = Pipe()
    one_run(done, 1, pipe)  # type: ignore[arg-type]
    assert seen == [[DECISION]]  # it was settled for all that run beside it
    assert pipe.sent[0].text == f"was made by uyan 0.0.9, is trained again by {__version__}"
    (done.out / "training" / CHECKPOINT).touch()  # interrupted there: what is in it is this uyan's
    one_run(done, 1, Pipe())  # type: ignore[arg-type]
    assert seen[1] == [CHECKPOINT, DECISION]


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

        monkeypatch.setattr(module, "run_until", run_until)
        pipe = Pipe()
        one_run(task(tmp_path, "a"), 1, pipe)  # type: ignore[arg-type]
        return pipe

    return call


def test_a_run_tells_what_it_does(run_one: Callable[[Exception | None], Pipe]) -> None:
    assert run_one(None).sent == [Message("tell", "warning: few voices"), Message("progress", "train", 3, 4)]


def test_what_the_user_can_mend_is_told_as_one_line(run_one: Callable[[Exception | None], Pipe]) -> None:
    assert run_one(TrainingError("the loss is NaN in batch 7")).sent[-1] == Message(
        "failed", "the loss is NaN in batch 7", lasting=True
    )


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (TrainingError("the loss is NaN"), True),
        (ConfigError("too large"), True),
        (StorageError("the server cannot be reached"), False),
        (DataError("features changed"), False),
        (OSError(28, "No space left on device"), False),
        (ZeroDivisionError("by zero"), False),
        (caused(ConfigError("cannot be written"), OSError(28, "No space left on device")), False),
        (caused(TrainingError("the GPU's memory ran out"), RuntimeError("CUDA out of memory")), False),
    ],
)
def test_what_the_recipe_itself_caused_is_told_apart(
    run_one: Callable[[Exception | None], Pipe], error: Exception, lasting: bool
) -> None:
    said = run_one(error).sent[-1]
    assert (said.kind, said.lasting) == ("failed", lasting)


def test_a_folder_that_another_is_at_work_in_is_free_again_later(
    run_one: Callable[[Exception | None], Pipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVING_S", 0.0)
    (tmp_path / "a").mkdir()
    context = multiprocessing.get_context("spawn")
    held = context.Process(target=hold, args=(tmp_path / "a",))
    held.start()
    while not (tmp_path / "a/held").exists():
        time.sleep(0.01)
    said = run_one(None).sent[-1]
    held.kill()
    held.join()
    assert "another process is at work there" in said.text and not said.lasting


def test_what_nobody_expected_leaves_its_traceback(run_one: Callable[[Exception | None], Pipe], tmp_path: Path) -> None:
    said = run_one(ZeroDivisionError("by zero")).sent[-1]
    assert said.kind == "failed" and said.text.startswith("ZeroDivisionError: by zero (see ")
    assert "Traceback" in (tmp_path / "a/traceback.txt").read_text(encoding="utf-8")


def test_an_interrupted_run_ends_with_130(run_one: Callable[[BaseException | None], Pipe]) -> None:
    with pytest.raises(SystemExit) as left:
        run_one(KeyboardInterrupt())
    assert left.value.code == 130


def hold(folder: Path) -> None:
    """In a process of its own, which does not end by itself."""
    with FileLock(folder / LOCK):
        (folder / "held").touch()
        time.sleep(60)


def leave_a_mark(folder: Path) -> None:
    """In a process of its own: what an interruption leaves."""
    module._end_with_parent()
    try:
        (folder / "started").touch()
        time.sleep(60)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()


def start_and_be_killed(folder: Path) -> None:
    multiprocessing.get_context("spawn").Process(target=leave_a_mark, args=(folder,)).start()
    while not (folder / "started").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_run_whose_starter_is_gone_is_interrupted(tmp_path: Path) -> None:
    starter = multiprocessing.get_context("spawn").Process(target=start_and_be_killed, args=(tmp_path,))
    starter.start()
    starter.join()
    deadline = time.monotonic() + 30
    while not (tmp_path / "interrupted").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "started").exists() and (tmp_path / "interrupted").exists()
