"""Counting events on score tracks, against the one-score-at-a-time rule run on every track by itself."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.bundle import Bundle
from uyan.decision import Decision, DetectorConfig
from uyan.detector import Detector
from uyan.engine.parallel import AHEAD
from uyan.errors import EvaluationError
from uyan.evaluation import scores as scores_module
from uyan.evaluation.metrics import area_over_fah, miss_rate_at_fah
from uyan.evaluation.scores import (
    STRETCH_S,
    Part,
    ScoreTrack,
    event_curve,
    event_curves,
    false_alarm_hops,
    first_fire_hops,
    loudest,
    missed,
    score_streams,
    stretch_scores,
    strict_curve,
    track,
)
from uyan.evaluation.streams import Stream

Scores = NDArray[np.float64]
PLAIN = DetectorConfig()


def make_track(scores: list[float] | Scores, name: str = "t") -> ScoreTrack:
    return ScoreTrack(name, "ada", material_s=36.0, heard=slice(None), scores=np.array(scores, np.float64))


def fires(scores: Scores, threshold: float, config: DetectorConfig) -> list[int]:
    """What a fresh detector does with one stream."""
    decision = Decision(threshold, config)
    return [hop for hop, score in enumerate(scores.tolist()) if decision.push(score)]


# Coarse scores make ties, plateaus and scores exactly at a threshold common.
SCORE = st.integers(0, 20).map(lambda value: value / 20) | st.floats(0, 1)
TRACK = st.lists(SCORE, max_size=60).map(make_track)
POSITIVE = st.lists(SCORE, min_size=PLAIN.votes, max_size=40).map(make_track)
CONFIG = st.builds(
    lambda votes, spare, hysteresis, lockout_s: DetectorConfig(
        votes=votes, ballots=votes + spare, hysteresis=hysteresis, lockout_s=lockout_s
    ),
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.1, 0.35]),
    st.sampled_from([0.0, 0.3, 1.5]),
)


@settings(max_examples=60)
@given(st.lists(POSITIVE, min_size=1, max_size=4), st.lists(TRACK, max_size=4), CONFIG)
def test_the_curve_counts_what_a_fresh_detector_a_track_does(
    positives: list[ScoreTrack], negatives: list[ScoreTrack], config: DetectorConfig
) -> None:
    curve = event_curve(positives, negatives, config)
    assert curve.positives == len(positives)
    assert curve.hours == pytest.approx(len(negatives) * 36.0 / 3600)
    chosen = np.unique(np.linspace(0, curve.thresholds.size - 1, 25).astype(int))
    for at in chosen[curve.thresholds[chosen] > 0]:
        threshold = float(curve.thresholds[at])
        assert curve.false_alarms[at] == sum(len(fires(t.scores, threshold, config)) for t in negatives)
        assert curve.detected[at] == sum(bool(fires(t.scores, threshold, config)) for t in positives)


@settings(max_examples=60)
@given(st.lists(POSITIVE, min_size=1, max_size=3), st.lists(TRACK, min_size=1, max_size=3), st.floats(0.001, 1))
def test_no_threshold_between_two_of_the_curve_does_anything_else(
    positives: list[ScoreTrack], negatives: list[ScoreTrack], threshold: float
) -> None:
    """The threshold just below on the curve, or just above it, detects the same positives."""
    curve = event_curve(positives, negatives, PLAIN)
    above = int(np.searchsorted(curve.thresholds, threshold))
    detected = sum(bool(fires(t.scores, threshold, PLAIN)) for t in positives)
    assert detected in {int(curve.detected[above]), int(curve.detected[max(0, above - 1)])}


@settings(max_examples=30)
@given(st.lists(st.lists(POSITIVE, min_size=1, max_size=3), max_size=3), st.lists(TRACK, max_size=3), CONFIG)
def test_conditions_together_have_the_curves_of_each_alone(
    conditions: list[list[ScoreTrack]], negatives: list[ScoreTrack], config: DetectorConfig
) -> None:
    together = event_curves(conditions, negatives, config)
    for found, positives in zip(together, conditions, strict=True):
        alone = event_curve(positives, negatives, config)
        np.testing.assert_array_equal(found.thresholds, alone.thresholds)
        np.testing.assert_array_equal(found.detected, alone.detected)
        np.testing.assert_array_equal(found.false_alarms, alone.false_alarms)


@settings(max_examples=80)
@given(
    st.lists(POSITIVE, min_size=1, max_size=4),
    st.lists(TRACK, min_size=1, max_size=4),
    CONFIG,
    st.sampled_from([0.5, 30.0, 60.0, 200.0, 1000.0]),
    st.floats(0, 1),
)
def test_the_strict_end_of_the_curve_gives_the_same_figures(
    positives: list[ScoreTrack], negatives: list[ScoreTrack], config: DetectorConfig, max_fah: float, share: float
) -> None:
    whole = event_curve(positives, negatives, config)
    strict = strict_curve(positives, negatives, config, max_fah)
    for target_fah in (0.0, share * max_fah, max_fah):
        assert miss_rate_at_fah(strict, target_fah) == miss_rate_at_fah(whole, target_fah)
        if target_fah:
            assert area_over_fah(strict, target_fah) == pytest.approx(area_over_fah(whole, target_fah), abs=1e-12)


def test_the_strict_end_stops_at_the_first_threshold_with_more() -> None:
    """One alarm at 0.6, then a second at 0.4, in 0.02 h: 50 and 100 an hour."""
    rest = [0.0] * 20
    negatives = [make_track([0.6] * 5 + rest + [0.4] * 5), make_track(rest)]
    curve = strict_curve([make_track([0.8] * 5)], negatives, PLAIN, max_fah=50.0)
    assert (curve.thresholds[0], curve.thresholds[-1]) == (0.4, 1.0)
    assert curve.false_alarms[:2].tolist() == [2, 1]
    assert curve.hours == pytest.approx(0.02)


def test_no_negatives_have_no_strict_end() -> None:
    with pytest.raises(EvaluationError, match=r"FAH of 0(\.0)? hours"):
        strict_curve([make_track([0.8] * 5)], [], PLAIN)


def test_a_lockout_does_not_leak_into_the_next_track() -> None:
    burst = make_track([0.0] * 5 + [0.9] * 5)  # fires at its hop 7, three hops before its end
    start = make_track([0.9] * 5 + [0.0] * 5)  # fires at its hop 2
    assert false_alarm_hops([burst, start], 0.5, PLAIN) == [[7], [2]]
    curve = event_curve([burst], [burst, start], PLAIN)
    assert curve.false_alarms[np.searchsorted(curve.thresholds, 0.5)] == 2


def test_votes_do_not_leak_into_the_next_track() -> None:
    half = make_track([0.0, 0.9, 0.9]), make_track([0.9, 0.0, 0.0])
    curve = event_curve([make_track([0.9] * 3)], list(half), PLAIN)
    assert curve.false_alarms[np.searchsorted(curve.thresholds, 0.5)] == 0


def test_nothing_fires_after_the_end_of_a_track() -> None:
    """The lockout of a first alarm ends just after the track does, when the last scores still carry the vote."""
    again = make_track([0.9] * 3 + [0.0] * 12 + [0.9] * 2)
    config = DetectorConfig(votes=2, ballots=5, lockout_s=1.7)
    assert false_alarm_hops([again], 0.5, config) == [[1]]
    curve = event_curve([make_track([0.9] * 3)], [again], config)
    assert curve.false_alarms[np.searchsorted(curve.thresholds, 0.5)] == 1


def test_an_unreleased_track_does_not_silence_the_next() -> None:
    stuck = make_track([0.9] * 40)
    curve = event_curve([stuck], [stuck, stuck], PLAIN)
    assert curve.false_alarms[np.searchsorted(curve.thresholds, 0.5)] == 2


@settings(max_examples=60)
@given(st.lists(TRACK, min_size=1, max_size=4))
def test_the_order_of_tracks_makes_no_difference(negatives: list[ScoreTrack]) -> None:
    positives = [make_track([0.5] * 5)]
    forth, back = (event_curve(positives, order, PLAIN) for order in (negatives, negatives[::-1]))
    np.testing.assert_array_equal(forth.thresholds, back.thresholds)
    np.testing.assert_array_equal(forth.false_alarms, back.false_alarms)


@given(POSITIVE)
def test_loudest_is_the_highest_threshold_that_still_fires(positive: ScoreTrack) -> None:
    (highest,) = loudest([positive], PLAIN).tolist()
    assert not fires(positive.scores, float(np.nextafter(highest, 2.0)), PLAIN)
    if highest > 0:
        assert fires(positive.scores, highest, PLAIN)


def heard_within(draw: st.DrawFn) -> ScoreTrack:
    """A positive with some hops before it and after it that count for nothing."""
    scores = draw(st.lists(SCORE, min_size=1, max_size=60))
    start = draw(st.integers(0, len(scores)))
    return replace(make_track(scores), heard=slice(start, draw(st.integers(start, len(scores)))))


HEARD = st.composite(heard_within)()


@given(st.lists(HEARD, max_size=4), st.sampled_from([0.05, 0.3, 0.5, 0.9, 1.0]) | st.floats(0.001, 1), CONFIG)
def test_a_hit_is_what_a_listener_fires_at_while_the_recording_is_heard(
    positives: list[ScoreTrack], threshold: float, config: DetectorConfig
) -> None:
    first = [
        next((hop for hop in fires(t.scores, threshold, config) if t.heard.start <= hop < t.heard.stop), None)
        for t in positives
    ]
    assert first_fire_hops(positives, threshold, config) == first
    assert missed(positives, threshold, config).tolist() == [hop is None for hop in first]


@settings(max_examples=60)
@given(st.lists(HEARD, min_size=1, max_size=3), st.lists(TRACK, max_size=2), CONFIG)
def test_the_curve_counts_hits_as_a_listener_does(
    positives: list[ScoreTrack], negatives: list[ScoreTrack], config: DetectorConfig
) -> None:
    curve = event_curve(positives, negatives, config)
    chosen = np.unique(np.linspace(0, curve.thresholds.size - 1, 40).astype(int))
    for at in chosen[curve.thresholds[chosen] > 0]:
        misses = int(missed(positives, float(curve.thresholds[at]), config).sum())
        assert curve.detected[at] == len(positives) - misses


def test_only_what_fires_while_the_recording_is_heard_counts() -> None:
    early, inside = np.zeros(60), np.zeros(60)
    early[2:6] = 0.9
    inside[30:34] = 0.9
    tracks = [replace(make_track(scores), heard=slice(20, 60)) for scores in (early, inside)]
    assert first_fire_hops(tracks, 0.5, PLAIN) == [None, 32]


def test_an_alarm_just_before_the_recording_locks_its_word_out() -> None:
    """It fires at hop 4; until hop 19 nothing may, and the word is over at 15. Above 0.95 there is no such alarm."""
    scores = np.zeros(40)
    scores[2:6], scores[12:16] = 0.95, 0.99
    positive = replace(make_track(scores), heard=slice(5, 30))
    assert fires(scores, 0.9, PLAIN) == [4]
    assert missed([positive], 0.9, PLAIN).tolist() == [True]
    assert missed([positive], 0.97, PLAIN).tolist() == [False]
    assert loudest([positive], PLAIN).tolist() == [0.99]
    curve = event_curve([positive], [make_track([0.0] * 5)], PLAIN)
    assert curve.detected[np.searchsorted(curve.thresholds, [0.9, 0.97])].tolist() == [0, 1]


def test_loudest_of_tracks_too_short_to_vote() -> None:
    assert loudest([make_track([]), make_track([0.9, 0.9])], PLAIN).tolist() == [0.0, 0.0]


@given(st.lists(TRACK, max_size=4), CONFIG)
def test_stretch_scores_by_brute_force(negatives: list[ScoreTrack], config: DetectorConfig) -> None:
    hops = round(STRETCH_S / config.hop_s)
    expected = []
    for negative in negatives:
        scores = negative.scores
        for start in range(0, scores.size, hops):
            votes = [
                sorted(scores[max(0, hop + 1 - config.ballots) : hop + 1], reverse=True)[config.votes - 1]
                for hop in range(start, min(start + hops, scores.size))
                if hop + 1 >= config.votes
            ]
            expected.append(max(votes, default=0.0))
    assert stretch_scores(negatives, config).tolist() == expected


class StubScorer:
    """Gives the samples back as the scores."""

    def __init__(self, bundle: object, tta: bool) -> None:
        pass

    def push(self, samples: NDArray[np.float32]) -> Scores:
        return samples.astype(np.float64)

    def time_s(self, hop: int) -> float:
        return 1.0 + 0.1 * hop


def stub_stream(samples: list[float], name: str = "a.wav", speaker_id: str = "ada") -> Stream:
    recording = SimpleNamespace(speaker_id=speaker_id, id=f"id of {name}")
    member = SimpleNamespace(recording=recording, content_sha1=f"sha1 of {name}", moved_from="", duration_s=1.5)
    whole = 0.0, 99.0
    return Stream(name, (member,), 1.5, whole, (np.array(samples, np.float32),), (whole,))  # type: ignore[arg-type]


def test_a_track_keeps_what_a_report_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores_module, "HopScorer", StubScorer)
    found = track(None, stub_stream([0.25, 0.5]))  # type: ignore[arg-type]
    assert (found.stream, found.speaker_id, found.material_s) == ("a.wav", "ada", 1.5)
    assert found.scores.tolist() == [0.25, 0.5]


def test_a_track_knows_where_its_recordings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hop 0 is complete at 1.0 s, and one follows every 0.1 s."""
    monkeypatch.setattr(scores_module, "HopScorer", StubScorer)
    one, other = stub_stream([0.0] * 30, "a.wav"), stub_stream([], "b.wav")
    spans_s = (0.0, 2.05), (2.05, 99.0)
    found = track(None, replace(one, members=one.members + other.members, spans_s=spans_s))  # type: ignore[arg-type]
    assert found.parts == (
        Part("id of a.wav", "sha1 of a.wav", False, 0, 11, 1.5),
        Part("id of b.wav", "sha1 of b.wav", False, 11, 30, 1.5),
    )


def test_scoring_streams_makes_few_ahead_and_tells_how_many_recordings_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scores_module, "HopScorer", StubScorer)
    told: list[tuple[str, int, int]] = []
    made: list[tuple[int, int]] = []

    def streams() -> Iterator[Stream]:
        for number in range(6):
            made.append((number, len(told)))
            members = 1 + 2 * (number == 1)
            one = stub_stream([0.5], f"{number}.wav")
            yield Stream(one.name, one.members * members, 1.5, one.heard_s, one.blocks, one.spans_s * members)

    found = score_streams("test", None, streams(), 8, lambda *step: told.append(step))  # type: ignore[arg-type]
    assert [t.stream for t in found] == [f"{number}.wav" for number in range(6)]
    assert told == [("test", done, 8) for done in (1, 4, 5, 6, 7, 8)]
    assert all(number - scored <= AHEAD for number, scored in made)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_not_a_number_is_an_error(monkeypatch: pytest.MonkeyPatch, score: float) -> None:
    monkeypatch.setattr(scores_module, "HopScorer", StubScorer)
    with pytest.raises(EvaluationError, match=r"a\.wav: the network gave a score that is not a number"):
        track(None, stub_stream([0.5, score]))  # type: ignore[arg-type]


def test_alarms_of_a_track_are_the_detections_of_a_listener(
    bundle: Bundle, changing_sound: Callable[..., NDArray[np.float32]]
) -> None:
    whole = 0.0, 20.0
    stream = Stream("s", stub_stream([]).members, 20.0, whole, (changing_sound(20.0, seed=3),), (whole,))
    found = track(bundle, stream)
    counts = []
    for threshold in (0.3, 0.5, 0.8):
        (hops,) = false_alarm_hops([found], threshold, bundle.info.detector)
        assert len(hops) == len(Detector(bundle, threshold).push(*stream.blocks))
        counts.append(len(hops))
    assert max(counts) > 0


def test_a_positive_is_judged_only_while_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores_module, "HopScorer", StubScorer)
    samples = [0.9] * 5 + [0.0] * 5 + [0.7] * 5 + [0.0] * 5 + [0.8] * 5
    stream = replace(stub_stream(samples), heard_s=(1.95, 2.75))  # hops 10 to 17
    found = track(None, stream)  # type: ignore[arg-type]
    assert found.heard == slice(10, 18)
    assert loudest([found], DetectorConfig()).tolist() == pytest.approx([0.7])
