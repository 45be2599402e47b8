"""Two folds worked out by hand, and what happens to recordings that stand in both."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from uyan.decision import DetectorConfig
from uyan.errors import EvaluationError
from uyan.evaluation.intervals import clopper_pearson, poisson_rate
from uyan.evaluation.pooling import Skipped, misses_by_speaker, pool, pooled_alarms, pooled_conditions
from uyan.evaluation.scores import Part, ScoreTrack
from uyan.evaluation.track_file import TrackSet

EVERY_SCORE = DetectorConfig(votes=1, ballots=1, lockout_s=0.1)
QUIET = [0.0] * 5


def positive(name: str, speaker_id: str, score: float, *, take: str = "", moved: bool = False) -> ScoreTrack:
    part = Part(name, take or name, moved, 0, 1, 1.0)
    return ScoreTrack(name, speaker_id, 1.0, slice(None), np.array([score]), (part,))


def negative(name: str, scores: Sequence[float], hours: float = 1.0, *, moved: bool = False) -> ScoreTrack:
    part = Part(name, name, moved, 0, len(scores), 3600 * hours)
    return ScoreTrack(name, "", 3600 * hours, slice(None), np.array(scores, np.float64), (part,))


def fold(
    threshold: float, positives: list[ScoreTrack], negatives: list[ScoreTrack], harder: list[ScoreTrack] | None = None
) -> TrackSet:
    return TrackSet("uyan", EVERY_SCORE, threshold, {"clean": positives, "noisy": harder or positives}, negatives)


FOLDS = [
    fold(
        0.5,
        [positive("p0", "ada", 0.9), positive("p1", "ada", 0.6), positive("p2", "cem", 0.3)],
        [negative("n0", [0.7, *QUIET, 0.2]), negative("n1", [0.55])],
        [positive("p0", "ada", 0.45), positive("p1", "ada", 0.1), positive("p2", "cem", 0.1)],
    ),
    fold(0.8, [positive("p3", "ece", 0.75)], [negative("n2", [0.4, *QUIET, 0.85], hours=2.0)]),
]


def test_at_a_common_threshold_over_all_folds() -> None:
    """Alarms above 0.85: none in 4 h. Above 0.7: one. Above 0.55: two. p2 is heard above 0.3 alone."""
    conditions = pooled_conditions(pool(FOLDS), targets=(0.5, 0.25, 0.1))
    clean = conditions["clean"]
    assert (clean.curve.positives, clean.curve.hours) == (4, 4.0)
    tenth, quarter, half = clean.at_fah[0.1], clean.at_fah[0.25], clean.at_fah[0.5]
    assert (tenth.point.false_alarms, tenth.point.misses, tenth.events_allowed) == (0, 3, 0)
    assert tenth.per_speaker == {"ada": (1, 2), "cem": (1, 1), "ece": (1, 1)}
    assert (quarter.point.false_alarms, quarter.point.misses, quarter.events_allowed) == (1, 2, 1)
    assert (half.point.false_alarms, half.point.misses, half.events_allowed) == (2, 1, 2)
    assert half.point.miss_rate == 0.25 and half.per_speaker["cem"] == (1, 1)
    assert half.point.miss_interval == clopper_pearson(1, 4)
    assert 0.0 <= half.speaker_interval.low <= 0.25 <= half.speaker_interval.high
    assert not half.supported  # 3 / 4 h > 0.5
    assert conditions["noisy"].at_fah[0.5].point.misses == 3


def test_as_shipped_each_fold_has_its_own_threshold() -> None:
    shipped = pooled_conditions(pool(FOLDS))["clean"].shipped
    assert (shipped.misses, shipped.positives, shipped.miss_rate) == (2, 4, 0.5)  # p2 at 0.5, p3 at 0.8
    assert shipped.per_speaker == {"ada": (0, 2), "cem": (1, 1), "ece": (1, 1)}
    assert shipped.fold_miss_rates == pytest.approx((1 / 3, 1.0))
    assert shipped.mean == pytest.approx(2 / 3)
    assert shipped.spread == pytest.approx(np.sqrt(2) / 3)
    alarms = pooled_alarms(pool(FOLDS))
    assert (alarms.events, alarms.fold_events, alarms.hours, alarms.fold_hours) == (3, (2, 1), 4.0, (2.0, 2.0))
    assert alarms.fah == 0.75 and alarms.fah_interval == poisson_rate(3, 4.0)


def test_misses_as_shipped_are_counted_as_the_detector_fires() -> None:
    """An alarm at hop 0, before the recording, locks out the word at hop 2; and so at the common threshold."""
    locked = DetectorConfig(votes=1, ballots=1, lockout_s=1.0)
    word = replace(positive("p0", "ada", 0.0), scores=np.array([0.7, 0.0, 0.9, 0.0]), heard=slice(1, 4))
    deaf = TrackSet("uyan", locked, 0.6, {"clean": [word]}, [negative("n0", [0.5])])
    found = pooled_conditions(pool([deaf]), targets=(0.5,))["clean"]
    assert (found.shipped.misses, found.shipped.per_speaker) == (1, {"ada": (1, 1)})
    assert (found.at_fah[0.5].point.threshold, found.at_fah[0.5].per_speaker) == (0.9, {"ada": (0, 1)})
    assert found.curve.detected[np.searchsorted(found.curve.thresholds, [0.6, 0.8])].tolist() == [0, 1]


def test_without_repetition_nothing_is_skipped() -> None:
    assert pool(FOLDS).skipped == Skipped(0, 0)


def test_folds_that_overlap_are_refused() -> None:
    other = fold(0.5, [positive("p2", "cem", 0.3)], [negative("n9", [0.1])])
    with pytest.raises(EvaluationError, match=r"a recording of p2 stands in the test splits of folds 0 \(p2\) and 2"):
        pool([*FOLDS, other])
    with pytest.raises(EvaluationError, match=r"a recording of n1 stands in the test splits of folds 0 \(n1\) and 2"):
        pool([*FOLDS, fold(0.5, [positive("p9", "eda", 0.3)], [negative("n1", [0.1])])])


def test_who_was_moved_counts_in_the_first_fold_only() -> None:
    again = fold(
        0.5,
        [positive("p2", "cem", 0.9, moved=True), positive("p4", "eda", 0.2)],
        [negative("n1", [0.9], moved=True), negative("n3", [0.9])],
    )
    pooled = pool([*FOLDS, again])
    assert pooled.skipped == Skipped(1, 1)
    assert pooled.hours == 5.0
    shipped = pooled_conditions(pooled)["clean"].shipped
    assert (shipped.misses, shipped.positives) == (3, 5)
    assert shipped.per_speaker["cem"] == (1, 1)
    assert pooled_alarms(pooled).fold_events == (2, 1, 1)


def test_the_same_take_under_another_speaker_counts_once() -> None:
    again = fold(0.5, [positive("p5", "eda", 0.9, take="p2"), positive("p6", "eda", 0.9)], [negative("n3", [0.9])])
    pooled = pool([*FOLDS, again])
    assert pooled.skipped == Skipped(1, 0)
    assert pooled_conditions(pooled)["clean"].shipped.per_speaker["eda"] == (0, 1)


def test_a_repeated_recording_is_cut_out_of_a_joined_stream() -> None:
    """n1 and n4 are half an hour each; both would fire, only n4 may."""
    parts = Part("n1", "n1", True, 0, 4, 1800.0), Part("n4", "n4", False, 4, 8, 1800.0)
    joined = ScoreTrack("n1 and 1 more", "", 3600.0, slice(None), np.array([0.0, 0.9, 0, 0, 0, 0.9, 0, 0]), parts)
    pooled = pool([*FOLDS, fold(0.5, [positive("p4", "eda", 0.2)], [joined])])
    (left,) = pooled.folds[2].negatives
    assert left.scores.tolist() == [0, 0, 0, 0, 0, 0.9, 0, 0]
    assert (left.material_s, left.parts) == (1800.0, parts[1:])
    assert pooled.skipped == Skipped(0, 1)
    assert pooled_alarms(pooled).fold_events == (2, 1, 1)
    assert joined.scores[1] == 0.9  # the track itself is as it was


def test_conditions_that_a_fold_lacks_are_left_out() -> None:
    without = TrackSet("uyan", EVERY_SCORE, 0.5, {"clean": [positive("p4", "eda", 0.2)]}, [negative("n3", [0.9])])
    assert list(pooled_conditions(pool([*FOLDS, without]))) == ["clean"]


def test_folds_of_different_detectors_are_refused() -> None:
    other = TrackSet("selam", EVERY_SCORE, 0.5, {"clean": [positive("p4", "eda", 0.2)]}, [negative("n3", [0.9])])
    with pytest.raises(EvaluationError, match=r"the folds \(selam, uyan\) differ in keyword or detector"):
        pool([*FOLDS, other])
    with pytest.raises(EvaluationError, match="no folds to pool"):
        pool([])


def test_misses_by_speaker_counts_and_sorts() -> None:
    tracks = [positive("a", "cem", 0.1), positive("b", "ada", 0.1), positive("c", "cem", 0.9)]
    assert misses_by_speaker(tracks, [True, False, False]) == {"ada": (0, 1), "cem": (1, 2)}
    assert list(misses_by_speaker(tracks, [True, False, False])) == ["ada", "cem"]
