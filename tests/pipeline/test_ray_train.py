"""Two workers of Ray Train learn, to the bit, what two processes of this computer learn; interrupted, they go on."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from test_run_group import UYAN, command, folder, run, run_to_line, two

from ray_head import ray_head
from uyan.pipeline.ray_train import FOLDER
from uyan.training.fit import CHECKPOINT, WEIGHTS

pytest.importorskip("ray", reason="needs uyan[ray]")
pytest.importorskip("pyarrow", reason="needs uyan[ray]")
pytestmark = pytest.mark.slow
ON_RAY = ["--on", "ray", "--processes", "2"]
__all__ = ["folder", "two"]


def test_workers_learn_what_processes_learn_and_go_on_when_interrupted(folder: Path) -> None:
    code, _, told = run(command(folder, UYAN, "train", "few", "local", "--processes", "2"))
    assert code == 0, told
    on_ray = command(folder, UYAN, "train", "few", "ray", *ON_RAY)
    code, told = run_to_line(on_ray, "2/12", lambda child: os.kill(child.pid, signal.SIGINT))
    assert code == 130, told
    assert told.count("interrupted; the same command goes on where it stopped") == 1 and "Traceback" not in told
    assert (folder / "ray/training" / CHECKPOINT).is_file() and not (folder / "ray/training" / WEIGHTS).exists()
    code, shown, told = run(on_ray)
    assert (code, shown) == (0, f"train: done, in {folder / 'ray'}\n"), told
    assert told.count("12/12") == 1 and "   1/12" not in told and not (folder / "ray" / FOLDER).exists()
    weights = [(folder / out / "training" / WEIGHTS).read_bytes() for out in ("local", "ray")]
    assert weights[0] == weights[1]


def test_a_client_of_a_cluster_has_it_train(folder: Path, two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ray_head() as address:
        there = command(folder, UYAN, "train", "short", "client", "--on", address, "--processes", "2")
        code, _, told = run(there)
    assert code == 0 and "mining round 1:" in told, told
    weights = [(place / "training" / WEIGHTS).read_bytes() for place in (two, folder / "client")]
    assert weights[0] == weights[1]


def test_what_a_worker_finds_wrong_is_said_as_anywhere_else(folder: Path) -> None:
    training = folder / "torn/training"
    training.mkdir(parents=True)
    (training / "loader.json").write_text(json.dumps({"loader": "files"}), encoding="utf-8")
    code, shown, told = run(command(folder, UYAN, "train", "few", "torn", *ON_RAY))
    assert (code, shown) == (2, "")
    assert "loader.json: not readable" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("processes", "said"),
    [("0", "must be at least 1, not 0"), ("4096", r"4096: each needs .* 0 GPUs and \d+ cores; ask")],
)
def test_workers_for_whom_there_is_no_room_are_refused_before_anything_is_prepared(
    processes: str, said: str, folder: Path
) -> None:
    code, shown, told = run(command(folder, UYAN, "train", "few", "refused", "--on", "ray", "--processes", processes))
    assert (code, shown) == (2, "") and re.search(said, told) and "Traceback" not in told
    assert not (folder / "refused").exists()
