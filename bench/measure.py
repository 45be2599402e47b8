"""What every benchmark shares: figures with their targets, medians of repetitions, made-up speech, the machine's state.

It knows nothing of what is measured.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context, get_start_method, set_start_method
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy import fft

from uyan.audio import SAMPLE_RATE, Samples
from uyan.freed_memory import keep_freed_memory

QUIET_LOAD = 0.5
"""One-minute load average above which timings are not to be trusted."""
PITCH_HZ, HARMONICS, SYLLABLES_HZ, ROOM_NOISE = 120.0, 30, 4.0, 1e-3
VOICES_HZ = 80.0, 250.0
TIMBRES, TABLE_SIZE = 16, 1024
"""Of many voices: their pitches, and single periods to choose from."""

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Figure:
    """One measured number and what it was to be."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    """The target is an upper limit."""
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, or nothing where no target was set; a NaN meets none.

        >>> Figure("speed", 4.0, "×", target=5.0).verdict, Figure("wait", 4.0, "%", 5.0, at_most=True).verdict
        ('MISSED', 'met')
        """
        if self.target is None:
            return ""
        met = self.value <= self.target if self.at_most else self.value >= self.target
        return "met" if met else "MISSED"


def medians_s(ways: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each way; their repetitions alternate, so that a busy moment hits all of them alike."""
    for way in ways:
        way()
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for way, taken in zip(ways, seconds, strict=True):
            taken.append(seconds_of(way))
    return [statistics.median(taken) for taken in seconds]


def seconds_of(way: Callable[[], object]) -> float:
    """Seconds by the wall clock that one call takes."""
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


def voice_like(seconds: float, rng: np.random.Generator) -> Samples:
    """Speech-like, every syllable with a pitch, a loudness and a timbre of its own, shape (samples,).

    Unlike `speech_like` it never repeats itself, and no two of it are near-duplicates.
    """
    syllables = np.arange(round(seconds * SAMPLE_RATE)) * SYLLABLES_HZ / SAMPLE_RATE
    number, count = syllables.astype(np.intp), int(np.ceil(syllables[-1])) + 1
    pitch_hz = rng.uniform(*VOICES_HZ) * rng.uniform(0.8, 1.25, count)
    turns = np.cumsum(pitch_hz[number] / SAMPLE_RATE)
    harmonics = np.arange(TABLE_SIZE // 2 + 1)
    tilt = np.where((harmonics > 0) & (harmonics <= HARMONICS), 1 / np.maximum(harmonics, 1), 0.0)
    periods = fft.irfft(fft.rfft(rng.uniform(-1.0, 1.0, (TIMBRES, TABLE_SIZE))) * tilt)
    voice = periods[rng.integers(0, TIMBRES, count)[number], (turns % 1 * TABLE_SIZE).astype(np.intp)]
    loudness = rng.uniform(0.0, 1.0, count)[number] * np.sin(np.pi * (syllables % 1))
    noise = ROOM_NOISE * rng.standard_normal(syllables.size, np.float32)
    made: Samples = (voice / np.abs(periods).max() * loudness + noise).astype(np.float32)
    return made


def speech_like(seconds: float, rng: np.random.Generator) -> Samples:
    """A buzz with the pitch, spectral tilt and syllables of speech over faint noise, shape (samples,)."""
    times_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(PITCH_HZ * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * times_s))) / SAMPLE_RATE
    voice = np.zeros(times_s.size, np.float32)
    for harmonic in range(1, HARMONICS + 1):
        voice += (np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi)) / harmonic).astype(np.float32)
    syllables = np.maximum(0.0, np.sin(2 * np.pi * SYLLABLES_HZ * times_s + rng.uniform(0, 2 * np.pi)))
    noise = ROOM_NOISE * rng.standard_normal(times_s.size, np.float32)
    return (0.1 * voice * syllables + noise).astype(np.float32)


def in_fresh_process(one_core: bool, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """`function(...)` in a new process, which `one_core` pins to a core before anything starts a thread."""
    with ProcessPoolExecutor(1, get_context("spawn"), _start, (one_core, get_start_method())) as pool:
        return pool.submit(function, *args, **kwargs).result()


def _start(one_core: bool, start_method: str) -> None:
    keep_freed_memory()  # as the uyan command does
    set_start_method(start_method, force=True)  # what it starts, it starts as any process here does, not by spawning
    if one_core:
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def conditions() -> dict[str, Any]:
    """Machine, versions and load."""
    load = os.getloadavg()[0]
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "ram_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "onnxruntime", "torch", "soundfile")},
        "load_average": round(load, 2),
    }


def _cpu_model() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
