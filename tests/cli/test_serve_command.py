import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

from uyan.bundle import Bundle
from uyan.detector import Detector

Serve = Callable[..., tuple[int, str, str]]
Started = Callable[..., tuple["subprocess.Popen[str]", int]]

PROGRAM = """
import sys
from uyan.cli.main import main
try:
    main()
finally:
    print(sorted({"torch", "lightning", "polars", "scipy"} & set(sys.modules)))
"""


@pytest.fixture
def serve(uyan: Serve) -> Serve:
    """serve(*arguments): exit code, standard output and standard error of `uyan serve` that cannot begin."""
    return partial(uyan, "serve")


@pytest.fixture
def started() -> Iterator[Started]:
    """started(*arguments): the process of `uyan serve` and the port at which it listens."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> tuple["subprocess.Popen[str]", int]:
        command = [sys.executable, "-c", PROGRAM, "serve", *map(str, arguments)]
        environment = {**os.environ, "PYTHONUTF8": "1"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        running.append(process)
        assert process.stderr is not None
        found = re.fullmatch(r"listening at tcp://[\d.]+:(\d+) for günaydın\n", process.stderr.readline())
        assert found
        return process, int(found[1])

    yield start
    for process in running:
        process.kill()
        process.communicate()


async def hear(port: int, pcm: np.ndarray[Any, np.dtype[np.int16]]) -> list[int]:
    """Timestamps of the detections that a client is told of."""
    async with AsyncTcpClient("127.0.0.1", port) as one:
        for event in (
            AudioStart(16_000, 2, 1).event(),
            *(AudioChunk(16_000, 2, 1, pcm[at : at + 1280].tobytes()).event() for at in range(0, pcm.size, 1280)),
            AudioStop().event(),
        ):
            await one.write_event(event)
        found = []
        while (event := await one.read_event()) is not None:
            found.append(event)
    return [event.data["timestamp"] for event in found if event.type == "detection"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_says_what_it_served(
    started: Started, bundle: Bundle, changing_sound: Any, number: signal.Signals
) -> None:
    process, port = started(bundle.path, "--uri", "tcp://127.0.0.1:0", "--threshold", "0.55")
    pcm = np.round(changing_sound(12.0, seed=1) * 32768).astype(np.int16)
    expected = [round(1000 * found.time_s) for found in Detector(bundle, 0.55).push(pcm)]
    assert expected
    assert asyncio.run(hear(port, pcm)) == expected
    with socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b'{"type": "describe"}\n')
        assert waiting.recv(10)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == f"stopped: 2 clients, {len(expected)} detections, 0 refused\n[]\n"
    assert len(re.findall(r"INFO heard günaydın at \d+\.\d\d s of a stream, score 0\.\d{3}\n", err)) == len(expected)


def test_averaged_scores_are_a_flag(started: Started, bundle: Bundle, changing_sound: Any) -> None:
    _, port = started(bundle.path, "--uri", "tcp://127.0.0.1:0", "--tta")
    pcm = np.round(changing_sound(12.0, seed=1) * 32768).astype(np.int16)
    expected = [round(1000 * found.time_s) for found in Detector(bundle, tta=True).push(pcm)]
    assert asyncio.run(hear(port, pcm)) == expected


def test_a_wider_bind_comes_with_a_warning(started: Started, bundle: Bundle) -> None:
    process, _ = started(bundle.path, "--uri", "tcp://0.0.0.0:0")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("warning: every machine that reaches this address can send audio")


def test_a_port_in_use_is_one_line(serve: Serve, bundle: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = serve(bundle.path, "--uri", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: tcp://127.0.0.1:\d+: another program listens there; .*--uri\n", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--uri", "http://127.0.0.1:1"], "write tcp://127.0.0.1:10400"),
        (["--threshold", "1.5"], "threshold must lie in [0, 1], not 1.5"),
        (["--max-clients", "0"], "room for a client or more"),
        (["--idle-timeout", "nan"], "room for a client or more"),
        (["--uri", "tcp://127.0.0.1:0", "--zeroconf"], "is for this machine alone"),
        (["--uri", "tcp://0.0.0.0:0", "--zeroconf", "--name", "a.b"], "without dots is announced, not 'a.b'"),
    ],
)
def test_what_cannot_be_served_is_one_line(serve: Serve, bundle: Bundle, arguments: list[str], message: str) -> None:
    code, out, err = serve(bundle.path, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_two_bundles_of_one_word_and_a_torn_one_are_one_line(serve: Serve, bundle: Bundle, tmp_path: Path) -> None:
    assert "two bundles listen for 'günaydın'" in serve(bundle.path, bundle.path)[2]
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(bundle.data[:5000])
    code, _, err = serve(torn)
    assert code == 2
    assert err.startswith(f"error: {torn}")


def test_without_the_package_it_says_which_extra_to_install(
    serve: Serve, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [name for name in sys.modules if name.startswith(("wyoming", "uyan.runtime.wyoming"))]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [_Without(), *sys.meta_path])
    code, _, err = serve(bundle.path)
    assert (code, err) == (2, "error: wyoming is not installed; pip install 'uyan[serve]'\n")


class _Without:
    """Finds the package missing."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == "wyoming":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
