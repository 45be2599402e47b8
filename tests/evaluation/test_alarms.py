"""Counting alarms at many thresholds, against the rule that looks at one threshold and every hop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.decision import DetectorConfig, ballot_scores, fire_indices
from uyan.evaluation import alarms
from uyan.evaluation.alarms import AlarmCounter

SCORE = st.integers(0, 20).map(lambda value: value / 20) | st.floats(0, 1) | st.just(-np.inf)
TRACK = st.lists(SCORE, max_size=80).map(np.array)
CONFIG = st.builds(
    lambda votes, spare, hysteresis, lockout_s: DetectorConfig(
        votes=votes, ballots=votes + spare, hysteresis=hysteresis, lockout_s=lockout_s
    ),
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.1, 0.35]),
    st.sampled_from([0.0, 0.3, 1.5]),
)


def counter(scores: NDArray[np.float64], config: DetectorConfig) -> AlarmCounter:
    return AlarmCounter(scores, ballot_scores(scores, config), config)


@pytest.mark.parametrize("few", [0.0, 1 / 16, 1.0])  # every hop, as it comes, only the hops that matter
def test_every_threshold_has_the_count_of_the_rule(few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "FEW", few)

    @settings(max_examples=100)
    @given(TRACK, CONFIG, st.lists(st.floats(0, 1), max_size=5))
    def check(scores: NDArray[np.float64], config: DetectorConfig, others: list[float]) -> None:
        scores = scores.astype(np.float64)
        observed = scores[np.isfinite(scores)]
        thresholds = np.unique(np.concatenate([observed, np.nextafter(observed, 2.0), others, [0.0, 1.0]])).tolist()
        expected = [fire_indices(scores, threshold, config).size for threshold in thresholds]
        assert counter(scores, config).counts(thresholds).tolist() == expected

    check()


def test_a_count_by_hand() -> None:
    """0.9 fires; it is released by 0.3 alone when the threshold is 0.5, and by 0.6 too when it is 0.8."""
    scores = np.array([0.0, 0.9, 0.9, 0.6, 0.9, 0.9, 0.3, 0.9, 0.0])
    config = DetectorConfig(votes=1, ballots=1, lockout_s=0.1)
    assert counter(scores, config).counts([0.5, 0.8, 0.95]).tolist() == [2, 3, 0]


def test_an_empty_track_has_no_alarms() -> None:
    assert counter(np.zeros(0), DetectorConfig()).counts([0.0, 0.5]).tolist() == [0, 0]
