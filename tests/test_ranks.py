"""Sums and messages of real processes, and that nobody waits for one that is gone."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from ast import literal_eval
from pathlib import Path

import pytest
import torch
from torch import distributed

from uyan.errors import DataError
from uyan.pipeline import processes
from uyan.pipeline.processes import run_processes
from uyan.ranks import ALONE, joined, lost

MEMBER = Path(__file__).with_name("group_member.py")
TwoLines = pytest.CaptureFixture[str]


def members(what: str, folder: Path, count: int = 2) -> tuple[int, list[str]]:
    """Exit code of so many processes, and what was told of them."""
    told: list[str] = []
    return run_processes([sys.executable, str(MEMBER), what, str(folder)], count, told.append), told


def test_one_process_is_the_first_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with joined() as ranks:
        assert ranks == ALONE and ranks.first
        assert ranks.from_first(lambda: 7) == 7
        gradient = torch.tensor([1.0, 2.0], requires_grad=True)
        assert ranks.total(gradient).tolist() == [1.0, 2.0] and not ranks.total(gradient).requires_grad
        assert ranks.gathered(gradient).tolist() == [[1.0, 2.0]]
        assert isinstance(ranks.agreed(DataError("no")), DataError)


def test_a_group_of_one_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with joined() as ranks:
        assert ranks == ALONE


@pytest.mark.slow
def test_sums_and_messages_are_the_same_in_all_processes(tmp_path: Path) -> None:
    assert members("sums", tmp_path, 3) == (0, [])
    for rank in range(3):
        found = literal_eval((tmp_path / str(rank)).read_text())
        assert found == (
            (rank, 3, rank, 3, rank == 0),
            [6.0, 60.0],
            [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]],
            [[6.0, 60.0], [[6.0]]],
            ("from", 0, {"a": [1.0, 10.0]}),
        )


@pytest.mark.slow
@pytest.mark.parametrize(("what", "said"), [("wrong", "the first has"), ("agreed", "all have")])
def test_an_error_is_told_once_and_ends_all(what: str, said: str, tmp_path: Path, capfd: TwoLines) -> None:
    assert members(what, tmp_path) == (2, [])
    assert capfd.readouterr().err == f"DataError: {said} found nothing\n"


@pytest.mark.slow
def test_a_process_that_dies_ends_the_first(tmp_path: Path, capfd: TwoLines) -> None:
    code, told = members("kill_last", tmp_path)
    assert (code, told) == (1, ["process 2 of 2 was ended by SIGKILL; the same command goes on where it stopped"])
    said = (
        r"ClusterError: another of the processes that train together was lost \(.*(closed|reset) by peer.*\); the same"
    )
    assert re.search(said, capfd.readouterr().err)


@pytest.mark.parametrize(
    ("reason", "is_lost"),
    [
        (RuntimeError("[pair.cc:534] Connection closed by peer [127.0.0.1]:41232"), True),
        (RuntimeError("[pair.cc:534] Read error [127.0.0.1]:41232: Connection reset by peer"), True),
        (RuntimeError("[buffer.cc:81] Timed out waiting 1800000ms for recv operation to complete"), True),
        (distributed.DistBackendError("NCCL error: remote process exited or there was a network error"), True),
        (distributed.DistNetworkError("failed to recv, got 0 bytes"), True),
        (distributed.DistStoreError("wait timeout after 1800000ms"), True),
        (distributed.DistBackendError("NCCL error: invalid usage\nDuplicate GPU detected : rank 1 and rank 0"), False),
        (RuntimeError("Expected tensor for gloo to be dense"), False),
        (RuntimeError("a connection of layers that do not fit"), False),
    ],
)
def test_a_process_that_is_gone_is_told_from_one_that_is_wrong(reason: RuntimeError, is_lost: bool) -> None:
    assert lost(reason) is is_lost


@pytest.mark.slow
def test_the_first_that_dies_ends_those_that_wait_for_it(tmp_path: Path, capfd: TwoLines) -> None:
    code, told = members("kill_first", tmp_path)
    assert (code, told) == (1, ["process 1 of 2 was ended by SIGKILL; the same command goes on where it stopped"])
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_an_interruption_ends_a_first_one_that_waits_in_a_sum_for_one_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 2.0)

    def interrupt() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.1)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    code, told = members("hang", tmp_path)
    assert code == 130 and told[0].startswith("interrupted; a process did not answer")
    assert not any(Path(f"/proc/{file.read_text()}").exists() for file in tmp_path.iterdir())


@pytest.mark.slow
def test_nobody_outlives_who_has_started_them(tmp_path: Path) -> None:
    start = "import sys; from uyan.pipeline.processes import run_processes; run_processes(sys.argv[1:], 2, print)"
    launcher = subprocess.Popen([sys.executable, "-c", start, sys.executable, str(MEMBER), "wait", str(tmp_path)])
    try:
        until = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        pids = [int(file.read_text()) for file in tmp_path.iterdir()]
        assert len(pids) == 2 and all(Path(f"/proc/{pid}").exists() for pid in pids)
    finally:
        launcher.kill()
        launcher.wait()
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
