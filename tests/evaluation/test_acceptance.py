"""Near words are counted by category, each alone, with exact intervals."""

from pathlib import Path

import numpy as np
import pytest

from uyan.data.member import Member
from uyan.data.recording import Recording
from uyan.decision import DetectorConfig
from uyan.evaluation.acceptance import UNNAMED, accept_rates, pooled_acceptance
from uyan.evaluation.intervals import clopper_pearson
from uyan.evaluation.scores import ScoreTrack

CONFIG = DetectorConfig()


def member(label: str, speaker: str) -> Member:
    recording = Recording(f"{label}/{speaker}.wav", Path("/near"), label, speaker, True, 1.0, "negative", "", "")
    return Member(recording, "", 1.0, "test", 0, True)


def track(loud: bool, heard: slice = slice(10, 40)) -> ScoreTrack:
    scores = np.full(50, 0.1)
    if loud:
        scores[20:30] = 0.9
    return ScoreTrack("near", "ada", 1.0, heard, scores)


def test_each_category_has_its_count_its_voices_and_its_interval_the_worst_first() -> None:
    members = [member("rhyme", "a"), member("rhyme", "b"), member("half", "a"), member("half", "a"), member("", "c")]
    tracks = [track(False), track(True), track(False), track(False), track(True)]
    rates = accept_rates(tracks, members, 0.5, CONFIG)
    assert list(rates) == [UNNAMED, "rhyme", "half"]
    assert [(rate.accepted, rate.recordings, rate.speakers) for rate in rates.values()] == [
        (1, 1, 1),
        (1, 2, 2),
        (0, 2, 1),
    ]
    assert rates["half"].interval == clopper_pearson(0, 2)


@pytest.mark.parametrize(("threshold", "accepted"), [(0.5, 1), (0.95, 0)])
def test_the_threshold_decides_and_only_what_is_heard_in_the_recording_counts(threshold: float, accepted: int) -> None:
    (rate,) = accept_rates([track(True)], [member("half", "a")], threshold, CONFIG).values()
    assert rate.accepted == accepted
    (before,) = accept_rates([track(True, slice(40, 50))], [member("half", "a")], threshold, CONFIG).values()
    assert before.accepted == 0


def test_folds_are_added_up_by_category_the_worst_first() -> None:
    folds = [
        {
            "accepted": 3,
            "recordings": 6,
            "by_category": {"rhyme": {"accepted": 2, "recordings": 2}, "half": {"accepted": 1, "recordings": 4}},
        },
        {"accepted": 2, "recordings": 4, "by_category": {"half": {"accepted": 2, "recordings": 4}}},
    ]
    pooled = pooled_acceptance(folds)
    assert (pooled.accepted, pooled.judged) == (5, 10)
    assert list(pooled.by_category.items()) == [("rhyme", (2, 2)), ("half", (3, 8))]
    assert pooled.by_fold == ((3, 6), (2, 4))
