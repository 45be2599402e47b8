import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.decision import MAX_BALLOTS, Decision, DetectorConfig, ballot_scores, fire_indices
from uyan.errors import ConfigError

HIGH, LOW = 0.9, 0.0
DEFAULT = DetectorConfig()

configs = st.builds(
    lambda hop_steps, votes, more, hysteresis, lockout_s: DetectorConfig(
        hop_s=0.02 * hop_steps, votes=votes, ballots=votes + more, hysteresis=hysteresis, lockout_s=lockout_s
    ),
    hop_steps=st.integers(1, 10),
    votes=st.integers(1, 5),
    more=st.integers(0, 4),
    hysteresis=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    lockout_s=st.sampled_from([0.0, 0.05, 0.5, 1.5]),
)
thresholds = st.one_of(st.sampled_from([0.0, 1.0, 0.1, 0.5]), st.floats(0, 1))


def fires(scores: list[float], threshold: float = 0.5, config: DetectorConfig = DEFAULT) -> list[int]:
    """The hops at which both forms of the rule fire."""
    decision = Decision(threshold, config)
    streamed = [hop for hop, score in enumerate(scores) if decision.push(score)]
    assert fire_indices(np.array(scores), threshold, config).tolist() == streamed
    return streamed


@st.composite
def score_tracks(draw: st.DrawFn, threshold: float, config: DetectorConfig) -> list[float]:
    """Plateaus of up to 40 hops, many of them exactly on the threshold, on the re-arm level or next to one."""
    levels = [threshold, config.rearm_below(threshold), 0.0, 1.0]
    levels += [float(np.nextafter(level, towards)) for level in levels for towards in (0.0, 1.0)]
    level = st.one_of(st.sampled_from(levels), st.floats(0, 1))
    plateaus = draw(st.lists(st.tuples(level, st.integers(1, 40)), max_size=20))
    return [score for score, hops in plateaus for _ in range(hops)]


@given(st.data(), thresholds, configs)
def test_the_stream_and_the_whole_track_fire_at_the_same_hops(
    data: st.DataObject, threshold: float, config: DetectorConfig
) -> None:
    scores = data.draw(score_tracks(threshold, config))
    found = fires(scores, threshold, config)
    assert np.diff(found).min(initial=config.lockout_hops) >= config.lockout_hops
    for earlier, later in itertools.pairwise(found):
        assert min(scores[earlier + 1 : later + 1]) < config.rearm_below(threshold)


@given(st.data(), configs)
def test_ballots_computed_before_hand_change_nothing(data: st.DataObject, config: DetectorConfig) -> None:
    scores = np.array(data.draw(score_tracks(0.5, config)), np.float64)
    expected = fire_indices(scores, 0.5, config)
    assert fire_indices(scores, 0.5, config, ballot_scores(scores, config)).tolist() == expected.tolist()


@given(st.lists(st.floats(0, 1), max_size=60), configs)
def test_ballot_scores_are_the_nth_highest_of_the_last_scores(scores: list[float], config: DetectorConfig) -> None:
    expected = []
    for hop in range(len(scores)):
        recent = sorted(scores[max(0, hop - config.ballots + 1) : hop + 1], reverse=True)
        expected.append(recent[config.votes - 1] if len(recent) >= config.votes else -np.inf)
    assert ballot_scores(np.array(scores, np.float64), config).tolist() == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([HIGH, HIGH, HIGH], [2]),
        ([HIGH, HIGH, LOW], []),
        ([HIGH, LOW, HIGH, LOW, HIGH], [4]),
        ([HIGH, LOW, LOW, HIGH, LOW, HIGH], []),
        ([HIGH, HIGH, LOW, LOW, LOW, HIGH, HIGH, LOW], []),
        ([0.5, 0.5, 0.5], [2]),
        ([0.5, 0.5, float(np.nextafter(0.5, 0))], []),
        ([], []),
    ],
)
def test_three_of_the_last_five_scores_must_reach_the_threshold(scores: list[float], expected: list[int]) -> None:
    assert fires(scores) == expected


def test_the_lockout_is_fifteen_hops_from_the_detection() -> None:
    released_at_once = [HIGH] * 3 + [LOW] + [HIGH] * 40
    assert DEFAULT.lockout_hops == 15
    assert fires(released_at_once) == [2, 2 + 15]
    assert fires(released_at_once[:17]) == [2]


@pytest.mark.parametrize(("hop_s", "lockout_s", "hops"), [(0.02, 1.5, 75), (0.1, 1.5, 15), (0.1, 0.0, 1)])
def test_the_lockout_in_hops(hop_s: float, lockout_s: float, hops: int) -> None:
    assert DetectorConfig(hop_s=hop_s, lockout_s=lockout_s).lockout_hops == hops


@pytest.mark.parametrize(
    ("dip", "expected"),
    [(0.4, [2]), (float(np.nextafter(0.4, 0)), [2, 23]), (0.45, [2]), (0.0, [2, 23])],
)
def test_it_rearms_only_below_the_threshold_less_the_hysteresis(dip: float, expected: list[int]) -> None:
    assert fires([HIGH] * 20 + [dip] + [HIGH] * 20) == expected


def test_votes_from_before_the_release_do_not_carry_the_next_detection() -> None:
    falling = [HIGH] * 20 + [LOW]
    assert fires([*falling, HIGH, HIGH, LOW, LOW, LOW]) == [2]
    assert fires([*falling, HIGH, LOW, HIGH, LOW, LOW, HIGH]) == [2]
    assert fires([*falling, HIGH, LOW, HIGH, LOW, HIGH]) == [2, 25]


def test_the_threshold_is_where_a_low_hysteresis_cannot_reach() -> None:
    low_threshold = [0.06] * 20 + [0.03] * 5 + [0.06] * 5
    assert fires(low_threshold, threshold=0.05) == [2]
    assert fires([0.024 if score == 0.03 else score for score in low_threshold], threshold=0.05) == [2, 27]


def test_a_score_that_stays_high_for_ten_seconds_is_one_detection() -> None:
    assert fires([LOW] * 5 + [HIGH] * 100 + [LOW] * 5) == [7]


def test_two_words_two_seconds_apart_are_two_detections() -> None:
    word = [HIGH] * 5 + [LOW] * 15
    assert fires(word + word) == [2, 22]


def test_at_threshold_zero_it_fires_once_and_never_rearms() -> None:
    assert fires([0.0] * 50, threshold=0.0) == [2]


def test_at_threshold_one_only_certainty_counts() -> None:
    assert fires([0.999_999] * 10 + [1.0] * 3, threshold=1.0) == [12]


@given(st.data(), configs)
def test_reset_forgets_the_stream(data: st.DataObject, config: DetectorConfig) -> None:
    before, after = (data.draw(score_tracks(0.5, config)) for _ in range(2))
    used, fresh = Decision(0.5, config), Decision(0.5, config)
    for score in before:
        used.push(score)
    used.reset()
    assert [used.push(score) for score in after] == [fresh.push(score) for score in after]


def test_peak_is_the_highest_ballot() -> None:
    decision = Decision(0.5, DEFAULT)
    assert decision.peak == 0.0
    for score in (0.99, 0.6, 0.7, 0.8, 0.5, 0.6):
        decision.push(score)
    assert decision.peak == 0.8


@pytest.mark.parametrize(
    "fields",
    [
        {"votes": 0},
        {"votes": 6},
        {"votes": 3, "ballots": 2},
        {"ballots": MAX_BALLOTS + 1},
        {"hop_s": 0.0},
        {"hop_s": -0.1},
        {"hop_s": 0.03},
        {"hop_s": 1e-9},
        {"hop_s": float("nan")},
        {"hop_s": float("inf")},
        {"hysteresis": -0.1},
        {"hysteresis": float("nan")},
        {"lockout_s": -1.0},
        {"lockout_s": float("nan")},
        {"lockout_s": float("inf")},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="detector"):
        DetectorConfig(**fields)


@pytest.mark.parametrize("hop_s", [0.02, 0.04, 0.06, 0.1, 0.3, 1.0])
def test_multiples_of_20_ms_are_hops(hop_s: float) -> None:
    assert DetectorConfig(hop_s=hop_s).hop_s == hop_s
