import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.errors import BundleError, ConfigError
from uyan.frontend import (
    BLOCK_FRAMES,
    FFT_SAMPLES,
    FRAME_SAMPLES,
    HOP_SAMPLES,
    Cmvn,
    FrontendConfig,
    StreamingFrontend,
    frame_count,
    log_mel,
    mel_filters,
    sample_end,
    seconds_to_frames,
)

CONFIG = FrontendConfig()


def noise(samples: int, seed: int = 0, amplitude: float = 0.3) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-amplitude, amplitude, samples).astype(np.float32)


def obvious_log_mel(samples: NDArray[np.float32], config: FrontendConfig) -> NDArray[np.float64]:
    """The definition, frame by frame and filter by filter, in float64; shape (mels, frames)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (config.low_hz, config.high_hz))
    edges_hz = [700 * (10 ** (mel / 2595) - 1) for mel in np.linspace(low, high, config.mels + 2)]
    frames = []
    for start in range(0, len(samples) - FRAME_SAMPLES + 1, HOP_SAMPLES):
        n = np.arange(FRAME_SAMPLES)
        hann = np.sin(np.pi * n / FRAME_SAMPLES) ** 2
        power = np.abs(np.fft.fft(samples[start : start + FRAME_SAMPLES] * hann, FFT_SAMPLES)) ** 2
        mels = []
        for left, centre, right in zip(edges_hz, edges_hz[1:], edges_hz[2:], strict=False):
            weights = {}
            for k in range(FFT_SAMPLES // 2 + 1):
                hz = k * SAMPLE_RATE / FFT_SAMPLES
                weights[k] = max(0.0, min((hz - left) / (centre - left), (right - hz) / (right - centre)))
            if not any(weights.values()):
                weights[round(centre * FFT_SAMPLES / SAMPLE_RATE)] = 1.0
            mels.append(sum(weight * power[k] for k, weight in weights.items()))
        frames.append(np.log(np.array(mels) + config.floor_power))
    return np.array(frames).T


def test_features_follow_the_definition(rng: np.random.Generator) -> None:
    samples = (rng.standard_normal(4_000) * np.geomspace(1e-4, 1, 4_000)).astype(np.float32)
    features = log_mel(samples, CONFIG)
    assert features.dtype == np.float32
    assert features.shape == (64, frame_count(4_000))
    assert np.abs(features - obvious_log_mel(samples, CONFIG)).max() < 1e-3


@pytest.mark.parametrize("frequency_hz", [150.0, 440.0, 1000.0, 3000.0, 6500.0])
def test_a_tone_is_strongest_in_the_filter_that_is_centred_nearest(tone: Any, frequency_hz: float) -> None:
    features = log_mel(tone(frequency_hz), CONFIG)
    edges_mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), 66)
    centres_hz = 700 * (10 ** (edges_mel[1:-1] / 2595) - 1)
    nearest = np.abs(centres_hz - frequency_hz).argmin()
    # The lowest filters are one or two FFT bins of 31 Hz wide, where the nearest bin may be a neighbour's.
    assert np.abs(features.argmax(axis=0) - nearest).max() <= (1 if frequency_hz < 1000 else 0)


@given(gain=st.floats(0.3, 10.0))
def test_a_gain_is_added_to_what_is_well_above_the_floor(gain: float) -> None:
    samples = noise(4_000)
    expected = log_mel(samples, CONFIG) + 2 * np.log(gain)
    assert np.abs(log_mel((gain * samples).astype(np.float32), CONFIG) - expected).max() < 1e-3


def test_zeros_lie_on_the_floor() -> None:
    features = log_mel(np.zeros(1_000, np.float32), CONFIG)
    assert features == pytest.approx(np.log(CONFIG.floor_power), abs=1e-5)


@given(samples=st.integers(0, 3_000))
def test_frame_count_and_shape_agree(samples: int) -> None:
    frames = log_mel(np.zeros(samples, np.float32), CONFIG).shape[1]
    assert frames == frame_count(samples)
    assert frames == len(range(0, samples - FRAME_SAMPLES + 1, HOP_SAMPLES))


@given(frame=st.integers(0, 100))
def test_a_frame_is_complete_at_its_sample_end_and_not_before(frame: int) -> None:
    end = sample_end(frame)
    assert frame_count(end) == frame + 1
    assert frame_count(end - 1) == frame


def test_a_frame_hears_only_its_own_samples() -> None:
    samples = np.zeros(4_000, np.float32)
    samples[sample_end(5)] = 1.0
    above_floor = (log_mel(samples, CONFIG) > np.log(2 * CONFIG.floor_power)).any(axis=0)
    # The Hann window is zero at the first sample of a frame, so the click shows in two frames, not three.
    assert not above_floor[:6].any()
    assert above_floor.any()


def test_a_second_is_a_hundred_hops() -> None:
    assert seconds_to_frames(1.0) == 100
    assert [seconds_to_frames(s) for s in (0.0, 0.014, 0.016, 1.5)] == [0, 1, 2, 150]


@settings(max_examples=60)
@given(size=st.integers(0, 8_000), cuts=st.lists(st.integers(0, 8_000), max_size=12))
def test_any_chunking_gives_the_features_of_the_whole(size: int, cuts: list[int]) -> None:
    samples = noise(size, seed=1)
    frontend = StreamingFrontend(CONFIG)
    edges = sorted({0, size, *(cut for cut in cuts if cut < size)})
    ready = 0
    chunks = [frontend.push(samples[:0])]
    for start, end in pairwise(edges):
        chunks.append(frontend.push(samples[start:end]))
        ready += chunks[-1].shape[1]
        assert ready == frame_count(end)  # every frame as soon as it is complete
    streamed, bulk = np.concatenate(chunks, axis=1), log_mel(samples, CONFIG)
    assert streamed.shape == bulk.shape
    assert np.abs(streamed - bulk).max(initial=0.0) < 1e-5


def test_single_samples_and_many_blocks_stream_alike() -> None:
    samples = noise((2 * BLOCK_FRAMES + 3) * HOP_SAMPLES, seed=2)
    frontend = StreamingFrontend(CONFIG)
    bulk = log_mel(samples, CONFIG)
    assert np.abs(frontend.push(samples) - bulk).max() < 1e-5
    frontend.reset()
    singles = [frontend.push(samples[i : i + 1]) for i in range(1_000)]
    assert np.abs(np.concatenate(singles, axis=1) - bulk[:, : frame_count(1_000)]).max() < 1e-5


def test_reset_forgets_the_stream() -> None:
    frontend = StreamingFrontend(CONFIG)
    first = frontend.push(noise(1_000))
    frontend.reset()
    assert np.array_equal(frontend.push(noise(1_000)), first)


def test_pending_samples_are_kept_when_the_caller_reuses_its_buffer() -> None:
    samples, buffer = noise(1_600, seed=3), np.empty(160, np.float32)
    frontend = StreamingFrontend(CONFIG)
    parts = []
    for start in range(0, 1_600, 160):
        buffer[:] = samples[start : start + 160]
        parts.append(frontend.push(buffer))
        buffer[:] = 0.0
    assert np.abs(np.concatenate(parts, axis=1) - log_mel(samples, CONFIG)).max() < 1e-5


def test_frames_wait_until_as_many_as_wanted_are_complete(rng: np.random.Generator) -> None:
    samples = rng.normal(0, 0.1, FRAME_SAMPLES + 9 * HOP_SAMPLES).astype(np.float32)
    frontend = StreamingFrontend(CONFIG)
    held = samples[:-1].copy()
    assert frontend.push(held, at_least=10).shape == (CONFIG.mels, 0)
    held[:] = 1.0  # the caller reuses its buffer
    assert np.array_equal(frontend.push(samples[-1:], at_least=10), log_mel(samples, CONFIG))
    # What was waited for is given once; the next frame needs one hop more.
    assert frontend.push(samples[: HOP_SAMPLES - 1]).shape == (CONFIG.mels, 0)
    assert frontend.push(samples[:1]).shape == (CONFIG.mels, 1)


@pytest.mark.parametrize("config", [CONFIG, FrontendConfig(mels=128, low_hz=0.0, high_hz=8000.0)])
def test_every_filter_hears_something(config: FrontendConfig) -> None:
    filters = mel_filters(config)
    assert filters.shape == (FFT_SAMPLES // 2 + 1, config.mels)
    assert filters.min() == 0.0
    assert filters.max() <= 1.0
    assert (filters.sum(axis=0) > 0).all()


@pytest.mark.parametrize(
    "fields",
    [{"low_hz": -1.0}, {"low_hz": 7600.0}, {"high_hz": 8001.0}, {"mels": 0}, {"floor_power": 0.0}],
)
def test_a_front_end_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="frontend:"):
        FrontendConfig(**fields)


def test_the_digest_changes_with_any_field() -> None:
    changed = [
        replace(CONFIG, mels=40),
        replace(CONFIG, low_hz=61.0),
        replace(CONFIG, high_hz=7000.0),
        replace(CONFIG, floor_power=1e-7),
    ]
    assert len({CONFIG.digest(), *(config.digest() for config in changed)}) == 5
    assert FrontendConfig().digest() == CONFIG.digest()
    assert len(CONFIG.digest()) == 16


PARTS = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@given(lengths=PARTS, seed=st.integers(0, 1_000), order=st.randoms(use_true_random=False))
def test_merged_statistics_are_those_of_everything_together(lengths: list[int], seed: int, order: Any) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(-8, 4, (64, frames)).astype(np.float32) for frames in lengths]
    together = np.concatenate(parts, axis=1).astype(np.float64)
    order.shuffle(parts)
    half = len(parts) // 2
    left, right = ([Cmvn.of(part, CONFIG) for part in some] for some in (parts[:half], parts[half:]))
    merged = Cmvn.merge([Cmvn.merge(left), Cmvn.merge(right)] if left else right)
    assert merged.frames == together.shape[1]
    assert np.allclose(merged.mean, together.mean(axis=1), rtol=1e-9)
    assert np.allclose(merged.variance, together.var(axis=1), rtol=1e-9, atol=1e-12)


def test_statistics_of_nothing_or_of_two_front_ends_are_refused() -> None:
    with pytest.raises(ConfigError, match="training split is empty"):
        Cmvn.merge([])
    other = replace(CONFIG, floor_power=1e-7)
    features = log_mel(noise(1_000), CONFIG)
    with pytest.raises(ConfigError, match="two front ends"):
        Cmvn.merge([Cmvn.of(features, CONFIG), Cmvn.of(features, other)])


def test_statistics_are_saved_and_loaded_exactly(tmp_path: Path) -> None:
    cmvn = Cmvn.of(log_mel(noise(8_000), CONFIG), CONFIG)
    cmvn.save(tmp_path / "stats.json")
    assert Cmvn.from_json((tmp_path / "stats.json").read_text(encoding="utf-8")) == cmvn


GOOD_JSON = {"frames": 3, "mean": [0.0, 1.0], "variance": [1.0, 2.0], "frontend": "abc"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        json.dumps({key: value for key, value in GOOD_JSON.items() if key != "mean"}),
        json.dumps({**GOOD_JSON, "mean": None}),
        json.dumps({**GOOD_JSON, "mean": ["a"]}),
        json.dumps({**GOOD_JSON, "frames": "many"}),
    ],
)
def test_garbage_is_no_statistics(text: str) -> None:
    with pytest.raises(BundleError, match=r"stats\.json"):
        Cmvn.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({**GOOD_JSON, "variance": [1.0]}),
        json.dumps({**GOOD_JSON, "variance": [1.0, -2.0]}),
        json.dumps({**GOOD_JSON, "mean": [0.0, float("nan")]}),
        json.dumps({**GOOD_JSON, "frames": float("inf")}),
        json.dumps({**GOOD_JSON, "frames": 0}),
    ],
)
def test_numbers_that_are_no_statistics_are_refused(text: str) -> None:
    # Reported: from_json checks types, not values; an infinite frame count even escapes as OverflowError.
    with pytest.raises(BundleError, match=r"stats\.json"):
        Cmvn.from_json(text)
