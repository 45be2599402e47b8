"""Real-time clients on one `uyan serve`: which of their detections are lost or late; its memory as clients come and go.

The server is the command itself in a process of its own, the clients share this one. Speech is made up; the network is
the default one, untrained, its head scaled so that it fires now and then. What is to be heard, and when, says the
`Detector` on the same audio.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from wyoming.event import async_read_event

from bench.dense_scoring import bundle_of
from bench.material import default_network
from bench.measure import Figure, voice_like
from uyan.audio import INT16_SCALE, SAMPLE_RATE
from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.frontend import Cmvn, FrontendConfig, log_mel

CHUNK_S = 0.08
CHUNK = round(CHUNK_S * SAMPLE_RATE)
LATE_S = 0.3
SHIFT_S = 0.7
"""One client hears the same speech so much later than another."""
GRACE_S = 3.0
"""Until what has not come is lost."""
CHURNING, STAY_S = 50, (1.0, 20.0)
"""Clients at the same time of the soak, and how long each of them stays."""
FLAT_PERCENT, WARM_SHARE = 5.0, 0.1

START = b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
CHUNK_LINE = b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, "payload_length": %d}\n'
STOP = b'{"type": "audio-stop"}\n'

Pcm = NDArray[np.int16]


@dataclass
class Served:
    """What one client was told: timestamps (ms), and for each how long after that moment it came (s)."""

    timestamps: list[int]
    late_s: list[float]
    begin_s: float = 0.0
    behind_s: float = 0.0
    """The longest delay with which a chunk was sent at all."""


def server_load(clients: int = 200, seconds: float = 60.0) -> list[Figure]:
    """Detections lost, made up and late among so many clients, each in real time, in chunks of 80 ms."""
    rng = np.random.default_rng(42)
    speech = _speech(seconds + clients * SHIFT_S, rng)
    starts = [round(number * SHIFT_S * SAMPLE_RATE) for number in range(clients)]
    pcms = [speech[start : start + round(seconds * SAMPLE_RATE)] for start in starts]
    bundle = _firing_bundle(speech)
    expected = [[round(1000 * found.time_s) for found in Detector(bundle).push(pcm)] for pcm in pcms]
    with _serving(bundle, clients) as (port, process):
        cpu_s = sum(process.cpu_times()[:2])
        told = asyncio.run(_all(port, pcms, rng.uniform(0, 1, clients).tolist()))
        cpu_s = sum(process.cpu_times()[:2]) - cpu_s
        resident_mb = process.memory_info().rss / 2**20
    lost = sum(len(set(due) - set(one.timestamps)) for due, one in zip(expected, told, strict=True))
    made_up = sum(len(set(one.timestamps) - set(due)) for due, one in zip(expected, told, strict=True))
    late_s = np.array([each for one in told for each in one.late_s])
    note = f"of {sum(map(len, expected))}, {clients} clients, {seconds:.0f} s"
    return [
        Figure("server, detections lost", lost, "", 0, at_most=True, note=note),
        Figure("server, detections nobody expected", made_up, "", 0, at_most=True),
        Figure(f"server, detections later than {LATE_S} s", int((late_s > LATE_S).sum()), "", 0, at_most=True),
        Figure("server, detection after its moment, p50", float(np.median(late_s)), "s", note="chunks of 0.08 s too"),
        Figure("server, detection after its moment, p99", float(np.quantile(late_s, 0.99)), "s"),
        Figure("server, detection after its moment, longest", float(late_s.max()), "s"),
        Figure("server, a client's own delay, longest", max(one.behind_s for one in told), "s", note="in the above"),
        Figure("server, cores busy", cpu_s / seconds, "", note="CPU seconds of its process a second"),
        Figure("server, resident", resident_mb, "MiB"),
    ]


def server_soak(minutes: float = 60.0, out: Path | None = None) -> list[Figure]:
    """How far the server's resident set leaves its median once the first tenth is over, as clients come and go."""
    speech = _speech(60.0, np.random.default_rng(42))
    curve: list[tuple[float, float]] = []
    with _serving(_firing_bundle(speech), 2 * CHURNING) as (port, process):
        served = asyncio.run(_churn(port, speech, 60 * minutes, process, curve))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        rows = [f"{second:.0f},{resident:.2f}" for second, resident in curve]
        (out / "server-soak.csv").write_text("\n".join(["second,resident_mib", *rows, ""]), encoding="utf-8")
    warm = np.array([resident for second, resident in curve if second >= WARM_SHARE * 60 * minutes])
    apart = 100 * float(np.abs(warm / np.median(warm) - 1).max())
    note = f"of {np.median(warm):.0f} MiB, {minutes:g} min, {served} clients came and went"
    return [
        Figure("server soak, resident set off its median", apart, "%", FLAT_PERCENT, at_most=True, note=note),
        Figure("server soak, growth from the first to the last sample", float(warm[-1] - warm[0]), "MiB"),
    ]


def _speech(seconds: float, rng: np.random.Generator) -> Pcm:
    speech: Pcm = np.clip(voice_like(seconds, rng) * INT16_SCALE, -32768, 32767).astype(np.int16)
    return speech


def _firing_bundle(speech: Pcm) -> Bundle:
    features = log_mel(speech[: 60 * SAMPLE_RATE].astype(np.float32) / np.float32(INT16_SCALE), FrontendConfig())
    cmvn, network = Cmvn.of(features, FrontendConfig()), default_network()
    network.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(features[None]))[0]
        gain = 3.0 / (logits[1] - logits[0]).std()
        network.head.weight *= gain
        assert network.head.bias is not None
        network.head.bias.sub_(logits.mean(dim=1)).mul_(gain)
    return bundle_of(network, cmvn)


@contextmanager
def _serving(bundle: Bundle, clients: int) -> Iterator[tuple[int, psutil.Process]]:
    """`uyan serve` on a free port: the port and the process."""
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        path = Path(folder) / "bundle.onnx"
        path.write_bytes(bundle.data)
        command = [sys.executable, "-m", "uyan.cli.main", "serve", str(path), "--uri", "tcp://127.0.0.1:0"]
        log = Path(folder) / "log"
        with log.open("w", encoding="utf-8") as written:
            started = subprocess.Popen([*command, "--max-clients", str(clients)], stderr=written, stdout=written)
        try:
            while not (found := re.search(r"tcp://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))):
                if started.poll() is not None:
                    raise RuntimeError(log.read_text(encoding="utf-8"))
                time.sleep(0.05)
            yield int(found[1]), psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait()


async def _all(port: int, pcms: list[Pcm], delays_s: list[float]) -> list[Served]:
    return await asyncio.gather(*(_stream(port, pcm, delay) for pcm, delay in zip(pcms, delays_s, strict=True)))


async def _stream(port: int, pcm: Pcm, delay_s: float) -> Served:
    """A whole conversation in real time: each chunk is sent when its last sample would have been spoken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(delay_s)
    told = Served([], [], time.monotonic())
    listening = asyncio.create_task(_listen(reader, told))
    writer.write(START)
    for number, start in enumerate(range(0, pcm.size, CHUNK), 1):
        await asyncio.sleep(told.begin_s + number * CHUNK_S - time.monotonic())
        told.behind_s = max(told.behind_s, time.monotonic() - told.begin_s - number * CHUNK_S)
        payload = pcm[start : start + CHUNK].tobytes()
        writer.write(CHUNK_LINE % len(payload) + payload)
        await writer.drain()
    writer.write(STOP)
    await asyncio.wait([listening], timeout=GRACE_S)
    listening.cancel()
    writer.close()
    return told


async def _listen(reader: asyncio.StreamReader, told: Served) -> None:
    while (event := await async_read_event(reader)) is not None:
        if event.type == "detection":
            told.timestamps.append(event.data["timestamp"])
            told.late_s.append(time.monotonic() - told.begin_s - event.data["timestamp"] / 1000)


async def _churn(
    port: int, speech: Pcm, seconds: float, process: psutil.Process, curve: list[tuple[float, float]]
) -> int:
    """Clients that come, stay a while and go in one of three ways; how many there were. Fills the curve of RSS."""
    begin, served = time.monotonic(), 0
    rng = np.random.default_rng(7)

    async def come_and_go() -> None:
        nonlocal served
        while time.monotonic() - begin < seconds:
            start = int(rng.integers(0, speech.size // 2))
            stay = round(rng.uniform(*STAY_S) * SAMPLE_RATE)
            with suppress(OSError):
                await _visit(port, speech[start : start + stay], int(rng.integers(3)))
            served += 1

    visitors = [asyncio.create_task(come_and_go()) for _ in range(CHURNING)]
    while (passed := time.monotonic() - begin) < seconds:
        curve.append((passed, process.memory_info().rss / 2**20))
        await asyncio.sleep(min(5.0, seconds / 20))
    await asyncio.gather(*visitors)
    return served


async def _visit(port: int, pcm: Pcm, way: int) -> None:
    """One client in real time: it stops properly, hangs up, or goes in the middle of a chunk with a reset."""
    if way == 0:
        await _stream(port, pcm, 0.0)
        return
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(START)
    for start in range(0, pcm.size - CHUNK, CHUNK):
        writer.write(CHUNK_LINE % (2 * CHUNK) + pcm[start : start + CHUNK].tobytes())
        await writer.drain()
        await asyncio.sleep(CHUNK_S)
    if way == 1:
        writer.close()
    else:
        writer.write(CHUNK_LINE % (2 * CHUNK) + bytes(CHUNK))
        await writer.drain()
        writer.transport.abort()
