"""A recipe by two processes: `--processes 2` and torchrun, beside one process; interrupted, killed, resumed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.pipeline.loading import DECISION
from uyan.pipeline.training_report import training_report
from uyan.pipeline.workspace import Workspace
from uyan.recipe import load_recipe
from uyan.training.fit import CHECKPOINT, WEIGHTS

pytestmark = pytest.mark.slow
RECIPE = """\
keyword: uyan
data: {manifests: [corpus/manifest.csv]}
network: {size: small}
batches: {size: 24, workers: 0, validation_workers: 0}
training: {epochs: EPOCHS, init: scratch}
mining: {rounds: 1}
variants: {positive: 1, negative: 0}
cache: {workers: 1, max_ram_gb: 0.1}
evaluation: {snr_db: [5]}
"""
UYAN = [sys.executable, "-m", "uyan.cli.main"]
SINGLE_PRECISION = {"loss": 1e-5, "val_loss": 1e-3}
"""Of two steps, and of validation after them: Adam divides by gradients that are nearly nothing, and what was rounding
becomes a step. Later on it grows; in double precision all is the same to ten digits (`test_fit_group`)."""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "uyan.cli.main"]
WriteCorpus = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Path:
    """Recipes of 3 and of many epochs, over one corpus."""
    folder = tmp_path_factory.mktemp("group")
    write_corpus(folder / "corpus", 6)
    for name, epochs in (("short", "3"), ("long", "5000"), ("few", "12")):
        (folder / f"{name}.yaml").write_text(RECIPE.replace("EPOCHS", epochs), encoding="utf-8")
    return folder


def command(folder: Path, start: list[str], stage: str, recipe: str, out: str, *more: str) -> list[str]:
    return [*start, stage, str(folder / f"{recipe}.yaml"), "--out", str(folder / out), *more]


def start(command: list[str]) -> "subprocess.Popen[str]":
    """With one thread, for one order of sums; with an ear for Ctrl-C, which what a shell starts may not have."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def run(command: list[str]) -> tuple[int, str, str]:
    child = start(command)
    shown, told = child.communicate(timeout=400)
    return child.returncode, shown, told


def run_to_line(command: list[str], first: str, then: Callable[["subprocess.Popen[str]"], None]) -> tuple[int, str]:
    """Exit code and standard error of a command that meets something once a line of it begins so."""
    child = start(command)
    assert child.stderr is not None
    told = ""
    for line in child.stderr:
        told += line
        if line.split()[:1] == [first]:
            then(child)
            break
    told += child.communicate(timeout=400)[1]
    return child.returncode, told


def members(launcher: int) -> list[int]:
    """Processes that a process has started, in order."""
    return [int(pid) for pid in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def epochs(folder: Path, out: str) -> list[dict[str, str]]:
    """Rows of the log that have an epoch's loss."""
    log = folder / out / "training/logs/version_0/metrics.csv"  # of the first phase
    with log.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["loss"] or row["val_loss"]]


@pytest.fixture(scope="module")
def two(folder: Path) -> Path:
    code, shown, told = run(command(folder, UYAN, "train", "short", "two", "--processes", "2"))
    assert code == 0, told
    assert shown == f"train: done, in {folder / 'two'}\n"
    for line in ("training on 6 positives", "resident on cpu", "mining round 1:", "   3/3"):
        assert told.count(line) == 1, told
    return folder / "two"


def test_two_processes_train_as_one_does(folder: Path, two: Path) -> None:
    code, _, told = run(command(folder, UYAN, "train", "short", "one"))
    assert code == 0, told
    ours, theirs = (epochs(folder, out) for out in ("two", "one"))
    assert len(ours) == len(theirs) > 0
    for row, other in zip(ours, theirs, strict=True):
        for name, tolerance in SINGLE_PRECISION.items():
            if other[name]:
                assert float(row[name]) == pytest.approx(float(other[name]), rel=tolerance)
    pools = [_windows(folder / out / "training/pool-1.csv") for out in ("two", "one")]
    assert pools[0] == pools[1] and len(pools[0]) > 5
    assert json.loads((two / "training" / DECISION).read_text())["processes"] == 2


def _windows(pool: Path) -> set[tuple[str, str]]:
    """Where they are, without scores, whose last digits differ."""
    with pool.open(encoding="utf-8") as file:
        return {(row["path"], row["start"]) for row in csv.DictReader(file)}


def test_torchrun_gives_the_same_bits_and_a_whole_run(folder: Path, two: Path) -> None:
    code, shown, told = run(command(folder, TORCHRUN, "run", "short", "torchrun"))
    assert code == 0, told
    assert shown.count("\nthreshold ") == 1 and f"bundle {folder / 'torchrun' / 'bundle.onnx'}" in shown
    weights = [(place / "training" / WEIGHTS).read_bytes() for place in (two, folder / "torchrun")]
    assert weights[0] == weights[1]


def test_a_mistake_is_told_once(folder: Path) -> None:
    mistake = command(folder, UYAN, "train", "short", "wrong", "--processes", "2", "--set", "data.manifests=[no.csv]")
    code, shown, told = run(mistake)
    assert (code, shown) == (2, "")
    assert re.fullmatch(r"\s*error: .*no\.csv: cannot be read.*\s*", told)


def test_ctrl_c_ends_all_and_leaves_a_checkpoint(folder: Path) -> None:
    pids: list[int] = []

    def interrupt(child: "subprocess.Popen[str]") -> None:
        pids.extend(members(child.pid))
        child.send_signal(signal.SIGINT)

    line = command(folder, UYAN, "train", "long", "interrupted", "--processes", "2")
    code, told = run_to_line(line, "2/5000", interrupt)
    assert code == 130
    assert told.endswith("interrupted; the same command goes on where it stopped\n")
    assert told.count("interrupted;") == 1 and "Traceback" not in told
    assert len(pids) == 2 and gone(pids)
    assert (folder / "interrupted/training" / CHECKPOINT).is_file()


def test_one_that_is_killed_ends_the_other_and_the_rest_is_the_same(folder: Path) -> None:
    """Of 12 epochs, mined after 6; then resumed by two, told by one of the change of number when by one."""
    whole = command(folder, UYAN, "train", "few", "whole", "--processes", "2")
    assert run(whole)[0] == 0
    killed = command(folder, UYAN, "train", "few", "killed", "--processes", "2")
    code, told = run_to_line(killed, "2/12", lambda child: os.kill(members(child.pid)[1], signal.SIGKILL))
    assert code == 1
    assert "process 2 of 2 was ended by SIGKILL; the same command goes on where it stopped" in told
    assert "error: another of the processes that train together was lost (" in told and "Traceback" not in told
    assert not (folder / "killed/training" / WEIGHTS).exists()
    assert run(killed)[0] == 0
    weights = [(folder / out / "training" / WEIGHTS).read_bytes() for out in ("whole", "killed")]
    assert weights[0] == weights[1]
    (folder / "killed/training" / WEIGHTS).unlink()
    code, _, told = run(command(folder, UYAN, "train", "few", "killed"))
    assert code == 0 and "processes: 1, where this training was begun with 2; it goes on" in told
    reported = Workspace(load_recipe(folder / "few.yaml"), folder, folder / "killed")
    training_report(reported)
    assert any(warning.startswith("trained by 2, then 1 processes: sums in") for warning in reported.warnings)
