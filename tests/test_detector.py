from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
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
from uyan.detector import Detection, Detector
from uyan.errors import AudioError, ConfigError
from uyan.frontend import log_mel
from uyan.hop_scorer import HopScorer

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


@pytest.fixture(scope="module")
def make_other(bundle: Bundle) -> Callable[[int], Bundle]:
    """make_other(window_frames): a bundle for "other", untrained, with that window."""
    from uyan.export.onnx import make_bundle, network_to_onnx
    from uyan.model.network import Network, NetworkConfig

    @cache
    def make(window_frames: int) -> Bundle:
        info = replace(bundle.info, label="other", window_frames=window_frames)
        network = Network(NetworkConfig(), 64, window_frames).eval()
        return make_bundle(network_to_onnx(network, mels=64), info, Path("other.onnx"))

    return make


def position_scores(bundle: Bundle, sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Scores 20 ms apart."""
    return bundle.scores(bundle.logits(log_mel(sound.astype(np.float32) / np.float32(32768), bundle.info.frontend)))


@pytest.mark.parametrize("hop_s", [0.02, 0.04, 0.06, 0.1, 0.2])
def test_averaged_scores_are_means_of_five_neighbours_and_of_those_there_are_at_the_start(
    bundle: Bundle, sound: NDArray[np.int16], hop_s: float
) -> None:
    """Shifts of −40 to +40 ms (MISSION 6.3); before the first window there is nothing."""
    info = replace(bundle.info, detector=DetectorConfig(hop_s=hop_s, lockout_s=1.5))
    other = Bundle(Path("other.onnx"), seal(bundle.data, info.to_json()))
    positions, stride = position_scores(bundle, sound), round(hop_s / 0.02)
    centres = range(0, len(positions) - 2, stride)
    expected = [positions[max(0, centre - 2) : centre + 3].mean() for centre in centres]
    found = HopScorer(other, tta=True).push(sound)
    assert found == pytest.approx(np.array(expected), abs=1e-6)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=12), st.sampled_from([0.02, 0.04, 0.06, 0.1, 0.2]))
def test_averaged_scores_do_not_depend_on_the_chunks(
    bundle: Bundle, sound: NDArray[np.int16], sizes: list[int], hop_s: float
) -> None:
    """Whatever the hop: means may overlap, tile the positions, or leave some out."""
    info = replace(bundle.info, detector=DetectorConfig(hop_s=hop_s, lockout_s=1.5))
    other = Bundle(Path("other.onnx"), seal(bundle.data, info.to_json()))
    scorer = HopScorer(other, tta=True)
    parts = [scorer.push(chunk) for chunk in chunks(sound, [*sizes, 20_000])]
    assert np.concatenate(parts) == pytest.approx(HopScorer(other, tta=True).push(sound), abs=1e-6)


def test_an_averaged_score_comes_40_ms_later(bundle: Bundle) -> None:
    plain, averaged = HopScorer(bundle), HopScorer(bundle, tta=True)
    assert averaged.time_s(7) - plain.time_s(7) == pytest.approx(0.04)
    samples = np.zeros(WINDOW_SAMPLES + 640, np.int16)
    assert averaged.push(samples[:-1]).size == 0
    assert averaged.push(samples[-1:]).size == 1


def test_averaged_scores_have_a_threshold_of_their_own(bundle: Bundle, sound: NDArray[np.int16]) -> None:
    info = replace(bundle.info, threshold=0.6, tta_threshold=1.0)
    other = Bundle(Path("other.onnx"), seal(bundle.data, info.to_json()))
    assert Detector(other).push(sound) and not Detector(other, tta=True).push(sound)
    assert Detector(other, 0.3, tta=True).push(sound)


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("window_frames", [100, 113])
@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=8))
@settings(max_examples=15)
def test_several_words_are_heard_as_each_of_them_alone(
    bundle: Bundle, sound: NDArray[np.int16], make_other: Any, tta: bool, window_frames: int, sizes: list[int]
) -> None:
    """Whatever the chunks, also where the windows end at different frames; the front end is shared."""
    other = make_other(window_frames)
    both = Detector([bundle, other], [0.5, 0.4], tta=tta)
    found = [d for chunk in chunks(sound, [*sizes, 20_000]) for d in both.push(chunk)]
    for one, at in ((bundle, 0.5), (other, 0.4)):
        assert_same([d for d in found if d.label == one.info.label], Detector(one, at, tta=tta).push(sound))
    assert [d.time_s for d in found] == sorted(d.time_s for d in found)


def test_levels_are_the_highest_scores_of_the_last_push(bundle: Bundle, sound: NDArray[np.int16]) -> None:
    detector, scorer = Detector(bundle), HopScorer(bundle)
    for chunk in chunks(sound, [4_000]):
        detector.push(chunk)
        assert detector.levels == {bundle.info.label: pytest.approx(max(scorer.push(chunk), default=0.0), abs=1e-6)}


@pytest.mark.parametrize(
    ("count", "threshold", "message"),
    [
        (0, None, "needs one bundle at least"),
        (1, [0.5, 0.5], "2 thresholds for 1 bundles"),
        (2, None, "two bundles listen for 'günaydın'"),
        (1, [1.5], "must lie in"),
        (1, float("nan"), "must lie in"),
    ],
)
def test_what_does_not_fit_together_is_refused(bundle: Bundle, count: int, threshold: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Detector([bundle] * count, threshold)


def test_thresholds_may_be_an_array(bundle: Bundle, sound: NDArray[np.int16], make_other: Any) -> None:
    words = [bundle, make_other(113)]
    assert_same(Detector(words, np.array([0.6, 0.7])).push(sound), Detector(words, [0.6, 0.7]).push(sound))  # type: ignore[arg-type]


def test_threads_share_one_session(bundle: Bundle) -> None:
    fresh = Bundle(bundle.path, bundle.data)
    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda _: fresh.session, range(32)))
    assert len({id(session) for session in sessions}) == 1


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
