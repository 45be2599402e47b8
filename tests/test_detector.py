from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.bundle import Bundle, scores_from_logits
from uyan.container import seal
from uyan.decision import DetectorConfig, fire_indices
from uyan.detector import Detection, Detector, HopScorer
from uyan.errors import AudioError, ConfigError
from uyan.frontend import log_mel

DURATION_S = 12.0
WINDOW_SAMPLES = 99 * 160 + 400
"""100 frames of 25 ms, 10 ms apart."""
CLEARANCE = 1e-4
"""No score of the test signal is nearer to a level that decides, so that rounding cannot move a detection."""


@pytest.fixture(scope="module")
def sound(changing_sound: Any) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.round(changing_sound(DURATION_S, seed=1) * 32768).astype(np.int16)
    return pcm


@pytest.fixture(scope="module")
def threshold(bundle: Bundle, sound: NDArray[np.int16]) -> float:
    """Near 0.6, clear of every score, as is the level where the detector arms again."""
    scores = HopScorer(bundle).push(sound)
    for candidate in np.arange(0.6, 0.9, 0.001).tolist():
        levels = np.array([candidate, bundle.info.detector.rearm_below(candidate)])
        if np.abs(scores[:, None] - levels).min() > CLEARANCE:
            return float(candidate)
    pytest.fail("no threshold is clear of the scores")


@pytest.fixture(scope="module")
def expected(bundle: Bundle, sound: NDArray[np.int16], threshold: float) -> list[Detection]:
    """The detections of one push of the whole signal."""
    found = Detector(bundle, threshold).push(sound)
    assert len(found) >= 4
    return found


def chunks(samples: NDArray[Any], sizes: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Pieces of those sizes, over and over; they may be empty."""
    start, number = 0, 0
    while start < samples.size:
        stop = start + sizes[number % len(sizes)]
        yield samples[start:stop]
        start, number = stop, number + 1


def assert_same(found: list[Detection], expected: list[Detection]) -> None:
    assert [(d.label, d.time_s) for d in found] == [(d.label, d.time_s) for d in expected]
    assert [d.score for d in found] == pytest.approx([d.score for d in expected], abs=1e-6)


@settings(max_examples=40)
@given(st.lists(st.one_of(st.integers(0, 500), st.integers(500, 60_000)), min_size=1, max_size=12), st.booleans())
def test_any_chunking_gives_the_detections_of_one_push(
    bundle: Bundle,
    sound: NDArray[np.int16],
    threshold: float,
    expected: list[Detection],
    sizes: list[int],
    as_float: bool,
) -> None:
    samples = sound.astype(np.float32) / np.float32(32768) if as_float else sound
    detector = Detector(bundle, threshold)
    # One long chunk a round keeps the number of pushes small.
    found = [d for chunk in chunks(samples, [*sizes, 20_000]) for d in detector.push(chunk)]
    assert_same(found, expected)


@pytest.mark.parametrize("size", [159, 160, 161, 399, 400, 401, 1280, 1600, 15_999, WINDOW_SAMPLES])
def test_any_constant_chunk_size_gives_the_detections_of_one_push(
    bundle: Bundle, sound: NDArray[np.int16], threshold: float, expected: list[Detection], size: int
) -> None:
    detector = Detector(bundle, threshold)
    assert_same([d for chunk in chunks(sound, [size]) for d in detector.push(chunk)], expected)


def test_sample_by_sample_a_detection_comes_with_the_sample_that_ends_its_window(
    bundle: Bundle, sound: NDArray[np.int16], threshold: float, expected: list[Detection]
) -> None:
    detector = Detector(bundle, threshold)
    first = expected[0]
    end = round(first.time_s * SAMPLE_RATE)
    assert (end - WINDOW_SAMPLES) % 1600 == 0
    for sample in range(end - 1):
        assert detector.push(sound[sample : sample + 1]) == []
    assert_same(detector.push(sound[end - 1 : end]), [first])


def test_dense_scores_are_those_of_each_window_alone(bundle: Bundle, sound: NDArray[np.int16]) -> None:
    features = log_mel(sound.astype(np.float32) / np.float32(32768), bundle.info.frontend)
    alone = []
    for first in range(0, features.shape[1] - 100 + 1, 10):
        window = np.ascontiguousarray(features[None, :, first : first + 100])
        logits = bundle.run(window, [])[0][0]
        alone.append(scores_from_logits(logits, bundle.info.temperature)[0])
    scores = HopScorer(bundle).push(sound)
    assert scores == pytest.approx(np.array(alone), abs=1e-5)
    assert scores.min() < 0.05
    assert scores.max() > 0.8


def test_hop_number_n_ends_n_tenths_of_a_second_after_the_first_window(bundle: Bundle) -> None:
    scorer = HopScorer(bundle)
    assert [scorer.time_s(hop) for hop in (0, 1, 30)] == pytest.approx([1.015, 1.115, 4.015], abs=1e-12)
    samples = np.zeros(WINDOW_SAMPLES + 1600, np.int16)
    assert [scorer.push(part).size for part in np.split(samples, [WINDOW_SAMPLES - 1, WINDOW_SAMPLES, -1])] == [
        0,
        1,
        0,
        1,
    ]


def test_detections_are_the_rule_applied_to_the_scores(
    bundle: Bundle, sound: NDArray[np.int16], threshold: float, expected: list[Detection]
) -> None:
    scorer = HopScorer(bundle)
    scores = scorer.push(sound)
    fires = fire_indices(scores, threshold, bundle.info.detector).tolist()
    assert [d.time_s for d in expected] == [scorer.time_s(hop) for hop in fires]
    assert {d.label for d in expected} == {"günaydın"}
    assert all(threshold <= d.score <= 1 for d in expected)
    assert expected[0].score == scores[max(0, fires[0] - 4) : fires[0] + 1].max()


@pytest.mark.parametrize("hop_s", [0.02, 0.06, 1.0])
def test_other_hops_are_the_same_in_chunks(bundle: Bundle, sound: NDArray[np.int16], hop_s: float) -> None:
    info = replace(bundle.info, detector=DetectorConfig(hop_s=hop_s))
    other = Bundle(Path("other.onnx"), seal(bundle.data, info.to_json()))
    whole, parts = HopScorer(other), HopScorer(other)
    expected = whole.push(sound)
    assert expected.size == int((DURATION_S - 1.015) / hop_s + 1e-9) + 1
    assert np.concatenate([parts.push(chunk) for chunk in chunks(sound, [7777])]) == pytest.approx(expected, abs=1e-6)


def test_reset_starts_a_new_stream_at_time_zero(
    bundle: Bundle, sound: NDArray[np.int16], threshold: float, expected: list[Detection]
) -> None:
    detector = Detector(bundle, threshold)
    detector.push(sound[:54_321])
    detector.reset()
    assert detector.push(sound) == expected
    assert detector.push(sound) != expected


def test_detectors_that_share_a_bundle_do_not_disturb_each_other(
    bundle: Bundle, sound: NDArray[np.int16], threshold: float, expected: list[Detection]
) -> None:
    one, two = Detector(bundle, threshold), Detector(bundle, threshold)
    found = []
    for chunk in chunks(sound, [8000]):
        found += one.push(chunk)
        two.push(chunk[::-1])
    assert_same(found, expected)


def test_the_threshold_is_the_bundle_s_unless_given(bundle: Bundle, sound: NDArray[np.int16]) -> None:
    assert Detector(bundle).push(sound) == Detector(bundle, bundle.info.threshold).push(sound)
    assert Detector(bundle, 1.0).push(sound) == []


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_threshold_that_is_no_probability_is_refused(bundle: Bundle, threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        Detector(bundle, threshold)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(1600, np.int32),
        np.zeros(1600, np.uint8),
        np.zeros((1600, 2), np.float32),
        np.zeros((), np.float32),
        np.full(1600, np.nan, np.float32),
        np.array([0.0, np.inf], np.float32),
    ],
)
def test_unusable_samples_are_refused_and_leave_the_stream_as_it_was(
    bundle: Bundle, sound: NDArray[np.int16], threshold: float, expected: list[Detection], samples: NDArray[Any]
) -> None:
    detector = Detector(bundle, threshold)
    found = detector.push(sound[:50_000])
    with pytest.raises(AudioError):
        detector.push(samples)
    assert_same(found + detector.push(sound[50_000:]), expected)


def test_nothing_pushed_is_nothing_heard(bundle: Bundle) -> None:
    assert Detector(bundle, 0.0).push(np.zeros(0, np.float32)) == []
    assert Detector(bundle, 0.0).push(np.zeros(WINDOW_SAMPLES - 1, np.float32)) == []
