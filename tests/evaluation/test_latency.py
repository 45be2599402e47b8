"""What is measured, how often and where; never how long it took."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.errors import EvaluationError
from uyan.evaluation import latency as latency_module
from uyan.evaluation.latency import (
    CHUNK_S,
    NOISE_S,
    PASSES,
    WARM_UP_PASSES,
    Latency,
    PassTimes,
    detector_cost,
    listen,
    measure_latency,
    onnx_times,
    time_passes,
    torch_times,
)
from uyan.model.network import Network

Sound = Callable[..., NDArray[np.float32]]
WINDOW = np.zeros((1, 64, 100), np.float32)


def test_a_thousand_passes_after_those_that_warm_up() -> None:
    seen: list[Any] = []
    times_s = time_passes(seen.append, WINDOW)
    assert len(times_s) == PASSES == 1000
    assert len(seen) == PASSES + WARM_UP_PASSES
    assert all(features is WINDOW for features in seen)


def test_each_pass_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_ns = 0

    def forward(window: NDArray[np.float32]) -> None:
        nonlocal clock_ns
        clock_ns += 2_000_000

    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock_ns)
    assert time_passes(forward, WINDOW, 3) == [0.002] * 3


def test_mean_median_and_95th_of_known_times() -> None:
    found = PassTimes.of([0.001 * number for number in range(1, 101)], threads=1)
    assert (found.passes, found.threads) == (100, 1)
    assert (found.mean_ms, found.median_ms, found.p95_ms) == pytest.approx((50.5, 50.0, 95.0))


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=50))
def test_figures_are_in_order(times_s: list[float]) -> None:
    found = PassTimes.of(times_s, threads=1)
    assert 1000 * min(times_s) <= found.median_ms <= found.p95_ms <= 1000 * max(times_s)


def test_no_pass_has_no_latency() -> None:
    with pytest.raises(EvaluationError, match="0 passes"):
        PassTimes.of([], threads=1)


class CountingNetwork(torch.nn.Module):
    """Notes under which conditions it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        gradients = torch.is_grad_enabled() or not torch.is_inference_mode_enabled()
        self.calls.append((tuple(features.shape), torch.get_num_threads(), gradients, self.training))
        return features


@pytest.fixture
def two_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_torch_has_one_thread_and_no_gradients_and_gets_its_own_back(two_threads: None) -> None:
    network = CountingNetwork()
    found = torch_times(network, WINDOW, 7)
    assert (found.passes, found.threads) == (7, 1)
    assert network.calls == [((1, 64, 100), 1, False, False)] * (7 + WARM_UP_PASSES)
    assert torch.get_num_threads() == 2
    assert network.training


def test_the_threads_come_back_after_a_failure_too(two_threads: None) -> None:
    class Failing(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            raise ValueError("no memory")

    network = Failing()
    with pytest.raises(ValueError, match="no memory"):
        torch_times(network, WINDOW, 1)
    assert torch.get_num_threads() == 2
    assert network.training


def test_onnx_is_measured_in_a_session_of_one_thread(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = Bundle.__init__

    def note(self: Bundle, path: Any, data: bytes, threads: int = 1) -> None:
        made.append(threads)
        original(self, path, data, threads)

    many = Bundle(bundle.path, bundle.data, threads=2)
    monkeypatch.setattr(Bundle, "__init__", note)
    found = onnx_times(many, WINDOW, 5)
    assert (found.passes, found.threads, made) == (5, 1, [1])
    assert many.session.get_session_options().intra_op_num_threads == 2


def test_listening_gives_the_events_of_the_detector(bundle: Bundle, changing_sound: Sound) -> None:
    samples = (changing_sound(4.0) * 32767).astype(np.int16)
    found = listen(bundle, samples, 12.0)
    detector = Detector(bundle)
    detector.push(samples)  # once to warm up
    assert found.events == len(detector.push(np.tile(samples, 3))) > 0
    assert (found.audio_s, found.chunk_s, found.threads) == (pytest.approx(12.0), CHUNK_S, 1)
    assert found.cpu_s_per_audio_s > 0 and found.wall_s_per_audio_s > 0


def test_everything_measured_becomes_json(bundle: Bundle, network: Network, rng: np.random.Generator) -> None:
    found = measure_latency(bundle, rng, network, passes=5, listen_s=2.0)
    assert found.torch is not None
    assert (found.torch.passes, found.onnx.passes) == (5, 5)
    raw = json.loads(json.dumps(asdict(found)))
    assert set(raw) == {"machine", "torch", "onnx", "detector"}
    assert Latency(**raw).machine == found.machine


def test_the_process_that_listens_never_loads_torch(bundle: Bundle, rng: np.random.Generator) -> None:
    assert "torch" in sys.modules  # here, but not there
    found = detector_cost(bundle, rng, listen_s=1.0)
    assert {"numpy", "onnxruntime", "uyan"} <= set(found.packages)
    assert not {"torch", "lightning", "scipy", "onnx", "pytest", "matplotlib"} & set(found.packages)
    assert found.audio_s == pytest.approx(1.0, abs=CHUNK_S)
    if sys.platform == "linux":
        assert found.resident_mb is not None and found.peak_resident_mb is not None
        assert 0 < found.resident_mb <= found.peak_resident_mb


def test_the_noise_is_loud_and_quiet_and_never_clips(rng: np.random.Generator) -> None:
    noise = latency_module._noise(rng)
    assert noise.size == NOISE_S * 16_000
    halves = np.abs(noise.astype(np.int32)).reshape(-1, 8_000).max(axis=1)
    assert halves.max() < 3_300 and halves.max() > 10 * halves.min() > 0


def test_a_process_that_fails_is_named(bundle: Bundle, rng: np.random.Generator) -> None:
    class Torn:
        data = bundle.data[:-10]

    with pytest.raises(EvaluationError, match=r"the process that measures the detector failed: .*BundleError"):
        detector_cost(Torn(), rng, listen_s=1.0)  # type: ignore[arg-type]


def test_a_process_that_says_something_else_is_named(
    bundle: Bundle, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speak(*arguments: Any, **options: Any) -> Any:
        return subprocess.CompletedProcess(arguments, 0, b"hello", b"")

    monkeypatch.setattr(subprocess, "run", speak)
    with pytest.raises(EvaluationError, match="gave no figures"):
        detector_cost(bundle, rng)
