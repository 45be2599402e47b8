"""What the detector costs: milliseconds a window, CPU time a second of audio, memory (MISSION 4).

Forward passes are timed here, one window at a time and on one thread, in torch and in ONNX. The whole detector runs in
a fresh process that is given nothing but the bundle: its memory is that of a listener, and not of whoever measures.
It asserts nothing: figures are those of this machine at that moment. It knows nothing of runs or reports.
"""

import itertools
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uyan.audio import INT16_SCALE, SAMPLE_RATE
from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.errors import EvaluationError
from uyan.torch_threads import torch_threads

if TYPE_CHECKING:
    import torch

Forward = Callable[[NDArray[np.float32]], object]
"""One pass over features of shape (1, mels, frames)."""

PASSES = 1000
WARM_UP_PASSES = 50
"""Before the first timed one: memory is allocated and kernels are chosen in them."""
THREADS = 1
CHUNK_S = 0.08
"""What a satellite's microphone delivers at once."""
NOISE_S = 10.0
"""Heard once before the detector's time is taken, then again and again: the process holds no hours of audio."""
LISTEN_S = 120.0
"""Of audio while it is taken."""
PATIENCE_S = 600.0
"""For the process that listens; it needs a few seconds."""


@dataclass(frozen=True)
class PassTimes:
    """Wall-clock times of forward passes over one window, batch 1."""

    passes: int
    threads: int
    mean_ms: float
    median_ms: float
    p95_ms: float
    """95 of 100 passes took no longer."""

    @classmethod
    def of(cls, times_s: Sequence[float], threads: int) -> "PassTimes":
        """Of the times, in seconds, of at least one pass.

        >>> PassTimes.of([0.001] * 19 + [0.011], threads=1)
        PassTimes(passes=20, threads=1, mean_ms=1.5, median_ms=1.0, p95_ms=1.0)
        """
        if not times_s:
            raise EvaluationError("latency of 0 passes; measure at least 1")
        times_ms = 1000 * np.array(times_s, np.float64)
        # An observed time, never one between two: the mean of two thousandths says nothing of either.
        median_ms, p95_ms = np.percentile(times_ms, [50, 95], method="inverted_cdf").tolist()
        return cls(len(times_s), threads, round(float(times_ms.mean()), 6), median_ms, p95_ms)


@dataclass(frozen=True)
class DetectorCost:
    """A process that does nothing but listen."""

    audio_s: float
    """Of audio listened to while the time was taken."""
    chunk_s: float
    threads: int
    """Of the network."""
    cpu_s_per_audio_s: float
    """CPU seconds of the whole process for each second of audio: from samples to events."""
    wall_s_per_audio_s: float
    """The real-time factor; below 1 the detector keeps up."""
    events: int
    resident_mb: float | None
    """When all was heard, 10^6 bytes; None where the system does not tell."""
    peak_resident_mb: float | None
    packages: tuple[str, ...]
    """Loaded, besides Python's own."""


@dataclass(frozen=True)
class Latency:
    """All of it, and where."""

    machine: str
    torch: PassTimes | None
    """None where the network was not at hand."""
    onnx: PassTimes
    detector: DetectorCost


def measure_latency(
    bundle: Bundle,
    rng: np.random.Generator,
    network: "torch.nn.Module | None" = None,
    passes: int = PASSES,
    listen_s: float = LISTEN_S,
) -> Latency:
    """Time a bundle, and the network it was made from. Raises EvaluationError when its process fails."""
    window = rng.normal(-5.0, 4.0, (1, bundle.info.frontend.mels, bundle.info.window_frames)).astype(np.float32)
    return Latency(
        machine=f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}",
        torch=None if network is None else torch_times(network, window, passes),
        onnx=onnx_times(bundle, window, passes),
        detector=detector_cost(bundle, rng, listen_s),
    )


def time_passes(forward: Forward, window: NDArray[np.float32], passes: int = PASSES) -> list[float]:
    """Seconds that each of `passes` calls took, after calls that warm up; window of shape (1, mels, frames)."""
    for _ in range(WARM_UP_PASSES):
        forward(window)
    times_s = []
    for _ in range(passes):
        start_ns = time.perf_counter_ns()
        forward(window)
        times_s.append((time.perf_counter_ns() - start_ns) / 1e9)
    return times_s


def torch_times(network: "torch.nn.Module", window: NDArray[np.float32], passes: int = PASSES) -> PassTimes:
    """Of the network without gradients, as it infers; window of shape (1, mels, frames)."""
    import torch

    features, training = torch.from_numpy(window), network.training
    with torch_threads(THREADS), torch.inference_mode():
        network.eval()
        try:
            times_s = time_passes(lambda _: network(features), window, passes)
        finally:
            network.train(training)
    return PassTimes.of(times_s, THREADS)


def onnx_times(bundle: Bundle, window: NDArray[np.float32], passes: int = PASSES) -> PassTimes:
    """Of the bundle's network in a session of its own; window of shape (1, mels, frames)."""
    alone = Bundle(bundle.path, bundle.data, THREADS)
    times_s = time_passes(lambda features: alone.run(features, []), window, passes)
    return PassTimes.of(times_s, THREADS)


def detector_cost(bundle: Bundle, rng: np.random.Generator, listen_s: float = LISTEN_S) -> DetectorCost:
    """Run the whole detector in a process of its own, over noise that is quiet and loud by turns.

    Raises EvaluationError when that process fails.
    """
    noise = _noise(rng).tobytes()
    command = [sys.executable, "-P", "-m", __name__, str(len(noise)), str(listen_s)]
    try:
        done = subprocess.run(command, input=noise + bundle.data, capture_output=True, timeout=PATIENCE_S, check=True)
        raw: dict[str, Any] = json.loads(done.stdout)
        return DetectorCost(**{**raw, "packages": tuple(raw["packages"])})
    except subprocess.CalledProcessError as reason:
        last = reason.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EvaluationError(f"the process that measures the detector failed: {last}") from reason
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as reason:
        raise EvaluationError(f"the process that measures the detector gave no figures ({reason!r})") from reason


def listen(bundle: Bundle, samples: NDArray[np.int16], listen_s: float) -> DetectorCost:
    """Cost of this process while it listens for `listen_s` to `samples`, shape (samples,), again and again."""
    detector = Detector(bundle)
    chunk = round(CHUNK_S * SAMPLE_RATE)
    chunks = [samples[at : at + chunk] for at in range(0, samples.size - chunk + 1, chunk)]
    for heard in chunks:
        detector.push(heard)
    count, events = max(1, round(listen_s / CHUNK_S)), 0
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    for heard in itertools.islice(itertools.cycle(chunks), count):
        events += len(detector.push(heard))
    cpu_ns, wall_ns = time.process_time_ns() - cpu_ns, time.perf_counter_ns() - wall_ns
    audio_s = count * CHUNK_S
    return DetectorCost(
        audio_s=audio_s,
        chunk_s=CHUNK_S,
        threads=THREADS,
        cpu_s_per_audio_s=cpu_ns / 1e9 / audio_s,
        wall_s_per_audio_s=wall_ns / 1e9 / audio_s,
        events=events,
        resident_mb=_memory_mb("VmRSS"),
        peak_resident_mb=_memory_mb("VmHWM"),
        packages=_foreign_packages(),
    )


def _memory_mb(name: str) -> float | None:
    """A line of Linux's account of this process. Not `ru_maxrss`, which starts with the parent's."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:")), None)


def _foreign_packages() -> tuple[str, ...]:
    loaded = {name.partition(".")[0] for name in sys.modules}
    return tuple(sorted(name for name in loaded - sys.stdlib_module_names if not name.startswith("_")))


def _noise(rng: np.random.Generator) -> NDArray[np.int16]:
    """`NOISE_S` at a level of its own every half second, shape (samples,)."""
    levels = 10 ** rng.uniform(-4, -1, round(NOISE_S / 0.5))
    noise = np.repeat(levels, SAMPLE_RATE // 2) * rng.uniform(-1, 1, round(NOISE_S * SAMPLE_RATE))
    return np.round(noise * INT16_SCALE).astype(np.int16)


def _main() -> None:
    """The process of its own: samples, then the bundle, on standard input; figures as JSON on standard output."""
    noise_bytes, listen_s = int(sys.argv[1]), float(sys.argv[2])
    samples = np.frombuffer(sys.stdin.buffer.read(noise_bytes), np.int16)
    bundle = Bundle(Path("standard input"), sys.stdin.buffer.read(), THREADS)
    print(json.dumps(asdict(listen(bundle, samples, listen_s))))


if __name__ == "__main__":
    _main()
