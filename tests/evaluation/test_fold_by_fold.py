"""Two folds worked out by hand, each at its own threshold, and folds that have nothing to choose one by."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from uyan.decision import DetectorConfig
from uyan.evaluation.fold_by_fold import fold_by_fold
from uyan.evaluation.intervals import clopper_pearson
from uyan.evaluation.pooling import Pool, pool, pooled_conditions
from uyan.evaluation.scores import Part, ScoreTrack
from uyan.evaluation.track_file import TrackSet

EVERY_SCORE = DetectorConfig(votes=1, ballots=1, lockout_s=0.1)
QUIET = [0.0] * 5


def positive(name: str, speaker_id: str, score: float) -> ScoreTrack:
    return ScoreTrack(name, speaker_id, 1.0, slice(None), np.array([score]), (Part(name, name, False, 0, 1, 1.0),))


def negative(name: str, scores: Sequence[float], hours: float) -> ScoreTrack:
    part = Part(name, name, False, 0, len(scores), 3600 * hours)
    return ScoreTrack(name, "", 3600 * hours, slice(None), np.array(scores, np.float64), (part,))


def fold(threshold: float, positives: list[ScoreTrack], negatives: list[ScoreTrack]) -> TrackSet:
    return TrackSet("uyan", EVERY_SCORE, threshold, {"clean": positives}, negatives)


# The second fold says of everything what the first says, on a scale that is a fifth as high.
HIGH = fold(
    0.5,
    [positive("p0", "ada", 0.95), positive("p1", "ada", 0.8), positive("p2", "cem", 0.3)],
    [negative("n0", [0.9, *QUIET, 0.7, *QUIET, 0.6], 2.0)],
)
LOW = fold(
    0.02,
    [positive("p3", "ece", 0.19), positive("p4", "nur", 0.16)],
    [negative("n1", [0.18, *QUIET, 0.14, *QUIET, 0.02], 2.0)],
)


def test_a_scale_of_its_own_costs_a_fold_nothing() -> None:
    both = pool([HIGH, LOW])
    half = fold_by_fold(both, (0.5,))["clean"][0.5]
    assert (half.misses, half.positives, half.miss_rate) == (1, 5, 0.2)  # above 0.7 and 0.14: one alarm each
    assert half.per_speaker == {"ada": (0, 2), "cem": (1, 1), "ece": (0, 1), "nur": (0, 1)}
    assert (half.false_alarms, half.events_allowed, half.met, half.thresholds) == (2, (1, 1), True, (0.8, 0.16))
    assert half.miss_interval == clopper_pearson(1, 5)
    common = pooled_conditions(both, (0.5,))["clean"].at_fah[0.5]
    assert (common.point.misses, common.point.false_alarms) == (3, 1), "where the loud fold has its say for both"


def test_a_lower_target_grants_no_alarm() -> None:
    tenth = fold_by_fold(pool([HIGH, LOW]), (0.5, 0.1))["clean"][0.1]
    assert (tenth.misses, tenth.false_alarms, tenth.thresholds) == (3, 0, (0.95, 0.19))
    assert tenth.events_allowed == (0, 0)


def test_one_fold_alone_is_the_common_threshold() -> None:
    alone = pool([HIGH])
    for target in (0.5, 0.1):
        common = pooled_conditions(alone, (target,))["clean"].at_fah[target]
        each = fold_by_fold(alone, (target,))["clean"][target]
        assert (each.misses, each.false_alarms, each.thresholds) == (
            common.point.misses,
            common.point.false_alarms,
            (common.point.threshold,),
        )
        assert (each.speaker_interval, each.per_speaker) == (common.speaker_interval, common.per_speaker)


@pytest.mark.parametrize(
    ("changes", "misses", "alarms", "met"),
    [
        ({"negatives": []}, 1, 1, False),  # at the threshold it ships with both are heard
        ({"negatives": [], "threshold": 0.17}, 2, 1, False),
        ({"conditions": {"clean": []}}, 1, 1 + 3, True),  # all of its positives count in another fold
    ],
)
def test_folds_with_nothing_to_choose_by(changes: dict[str, object], misses: int, alarms: int, met: bool) -> None:
    made = Pool("uyan", EVERY_SCORE, (HIGH, replace(LOW, **changes)), pool([HIGH]).skipped)  # type: ignore[arg-type]
    half = fold_by_fold(made, (0.5,))["clean"][0.5]
    assert (half.misses, half.false_alarms, half.met) == (misses, alarms, met)


def test_a_fold_that_always_fires_is_not_met() -> None:
    loud = fold(0.5, [positive("p5", "eda", 0.3)], [negative("n2", [1.0, *QUIET, 1.0], 1.0)])
    found = fold_by_fold(pool([HIGH, loud]), (0.5,))["clean"][0.5]
    assert not found.met
