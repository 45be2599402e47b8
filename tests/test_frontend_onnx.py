"""`frontend.onnx` gives what the Python front end gives."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.frontend import HOP_SAMPLES, FrontendConfig, frame_count, log_mel
from uyan.frontend_onnx import DIGEST_KEY, frontend_to_onnx

TOLERANCE = 2e-5
"""A fifth of what is promised."""
OTHER = FrontendConfig(mels=40, low_hz=0.0, high_hz=8000.0, floor_power=1e-5)


def session(config: FrontendConfig) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(frontend_to_onnx(config), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def default() -> Any:
    return session(FrontendConfig())


def features(run: Any, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = run.run(None, {"samples": samples})[0]
    return found


def quiet(rng: np.random.Generator) -> NDArray[np.float32]:
    """A second each of silence, of one-bit hiss and of an int16 recording's quietest tone."""
    hiss = rng.integers(-1, 2, SAMPLE_RATE) / 32768
    hum = np.round(3 * np.sin(2 * np.pi * 150 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)) / 32768
    return np.concatenate([np.zeros(SAMPLE_RATE), hiss, hum]).astype(np.float32)


def test_it_is_a_valid_model_of_opset_17_for_that_front_end() -> None:
    model = onnx.load_model_from_string(frontend_to_onnx(OTHER))
    onnx.checker.check_model(model, full_check=True)
    assert [(used.domain, used.version) for used in model.opset_import] == [("", 17)]
    assert {entry.key: entry.value for entry in model.metadata_props} == {DIGEST_KEY: OTHER.digest()}
    shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input]
    assert shapes == [["batch", "samples"]]
    shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.output]
    assert shapes == [["batch", 40, "frames"]]


@pytest.mark.parametrize("gain", [1.0, 1e-2, 1e-4])
def test_it_equals_the_python_front_end(default: Any, changing_sound: Any, gain: float) -> None:
    samples = changing_sound(20.0) * np.float32(gain)
    found = features(default, samples[np.newaxis])[0]
    assert np.abs(found - log_mel(samples, FrontendConfig())).max() <= TOLERANCE


def test_it_equals_the_python_front_end_where_it_is_quiet(default: Any, rng: np.random.Generator) -> None:
    samples = quiet(rng)
    found = features(default, samples[np.newaxis])[0]
    assert np.abs(found - log_mel(samples, FrontendConfig())).max() <= TOLERANCE


@pytest.mark.parametrize("frequency_hz", [200.0, 1000.0, 6000.0])
def test_the_floor_beside_a_loud_tone(default: Any, tone: Any, frequency_hz: float) -> None:
    """Where float32 alone is off by 7e-4."""
    samples = tone(frequency_hz, 2.0, 0.9)
    assert np.abs(features(default, samples[np.newaxis])[0] - log_mel(samples, FrontendConfig())).max() <= TOLERANCE


def test_another_front_end(changing_sound: Any) -> None:
    samples = changing_sound(5.0)
    assert np.abs(features(session(OTHER), samples[np.newaxis])[0] - log_mel(samples, OTHER)).max() <= TOLERANCE


@pytest.mark.parametrize("samples", [400, 401, 559, 560, 561, 16_000])
def test_whole_frames_of_any_length(default: Any, changing_sound: Any, samples: int) -> None:
    sound = changing_sound(1.0)[:samples]
    found = features(default, sound[np.newaxis])
    assert found.shape == (1, 64, frame_count(samples))
    assert np.abs(found[0] - log_mel(sound, FrontendConfig())).max() <= TOLERANCE


def test_a_batch_is_its_rows(default: Any, changing_sound: Any) -> None:
    rows = np.stack([changing_sound(2.0, seed) for seed in (1, 2, 3)])
    alone = [features(default, row[np.newaxis])[0] for row in rows]
    assert features(default, rows) == pytest.approx(np.stack(alone), abs=1e-5)


@pytest.mark.slow
def test_hours_in_chunks_leave_no_seam(default: Any, changing_sound: Any) -> None:
    """Two hours, ten seconds at a time as a stream would be cut, against one pass of the Python front end."""
    ten_minutes = changing_sound(600.0)
    sound, frames = np.tile(ten_minutes, 12), 1000
    worst, start = 0.0, 0
    expected = log_mel(sound, FrontendConfig())
    while start < expected.shape[1]:
        stop = min(start + frames, expected.shape[1])
        chunk = sound[start * HOP_SAMPLES : (stop - 1) * HOP_SAMPLES + 400]
        worst = max(worst, float(np.abs(features(default, chunk[np.newaxis])[0] - expected[:, start:stop]).max()))
        start = stop
    assert worst <= TOLERANCE
