"""Mining from object storage against the same files on disk: how much slower, and whether memory grows.

A moto server in a process of its own, on loopback, stands for the object storage; the scan is the one that a run makes.
Where both share few cores, what the server takes is missing to the scan. Linux only.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from bench.measure import Figure, seconds_of, speech_like
from bench.mining import GROWTH_MIB, SPEECH_S, memory_mib, network_for
from uyan.audio import SAMPLE_RATE
from uyan.frontend import FrontendConfig
from uyan.storage.location import Location, Remote, locate
from uyan.training.config import MiningConfig
from uyan.training.mining import scan_audio
from uyan.training.scan_tasks import AudioSource

HOURS, REPEATS = 20.0, 1
"""Passes over all hours, both ways by turns, after one over the first hour: about five minutes on two cores."""
LENGTHS_S = {"1 h": 3600.0, "1 min": 60.0}
LOCAL_SHARE = 0.7
BUCKET = "uyan-bench"
START_S = 30.0


def object_storage(hours: float = HOURS, repeats: int = REPEATS) -> list[Figure]:
    """Share of the local rate, in FLAC files of an hour and of a minute, and growth of memory."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder, s3_server(Path(folder) / "server"):
        for name, length_s in LENGTHS_S.items():
            figures += _compared(Path(folder), name, min(length_s, hours * 3600), hours, repeats)
    return figures


def _compared(folder: Path, name: str, length_s: float, hours: float, repeats: int) -> list[Figure]:
    speech = speech_like(min(SPEECH_S, length_s), np.random.default_rng(42))
    audio = folder / f"{name.replace(' ', '-')}.flac"
    soundfile.write(audio, np.tile(speech, round(length_s / (speech.size / SAMPLE_RATE))), SAMPLE_RATE)
    count = max(1, round(hours * 3600 / length_s))
    there = _uploaded(audio, count)
    network, resident_mib = network_for(speech), list[float]()

    def scan(files: list[Location]) -> None:
        named = [AudioSource(file, f"{number} {file}", length_s) for number, file in enumerate(files)]
        scan_audio(
            network,
            FrontendConfig(),
            named,
            MiningConfig(),
            hashed=lambda file, _: resident_mib.append(memory_mib()) if isinstance(file, Remote) else None,
            workers=1,
        )

    first_hour = max(1, round(3600 / length_s))
    ways: list[list[Location]] = [[audio] * count, there]
    for files in ways:
        scan(files[:first_hour])
    taken = [[seconds_of(partial(scan, files)) for files in ways] for _ in range(repeats)]
    local_s, remote_s = np.median(taken, axis=0).tolist()
    scanned_s = count * soundfile.info(audio).duration
    note = f"{count} FLAC files; {scanned_s / remote_s:,.0f} × real time, {scanned_s / local_s:,.0f} × from disk"
    growth_note = (
        f"after the first hour, over {scanned_s * repeats / 3600:.3g} h more; {max(resident_mib):.0f} MiB at most"
    )
    growth_mib = max(resident_mib) - max(resident_mib[:first_hour])
    what = f"mining from object storage, files of {name}"
    return [
        Figure(what, local_s / remote_s, "of the local rate", LOCAL_SHARE, note=note),
        Figure(f"{what}, memory", growth_mib, "MiB", GROWTH_MIB, at_most=True, note=growth_note),
    ]


def _uploaded(audio: Path, count: int) -> list[Location]:
    import s3fs

    system = s3fs.S3FileSystem(skip_instance_cache=True)
    if not system.exists(BUCKET):
        system.mkdir(BUCKET)
    urls = [f"s3://{BUCKET}/{audio.stem}/{number}.flac" for number in range(count)]
    for url in urls:
        system.put_file(str(audio), url)
    return [locate(url) for url in urls]


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """An S3 server on loopback while the block lasts, and the environment that leads to it. Gives its endpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    folder.mkdir()
    ours = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1", "TMPDIR": str(folder)}  # fmt: skip
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(server, port)
        yield endpoint
    finally:
        server.terminate()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _wait_for(server: "subprocess.Popen[bytes]", port: int) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the S3 server does not start; pip install 'moto[server]'")
