import numpy as np
import pytest

from uyan.detector import Detection
from uyan.errors import ConfigError
from uyan.runtime.listener import Heard, Score
from uyan.runtime.near_misses import LONGEST_S, QUIET_S, REACH_S, Event, NearMisses

NOTHING = np.zeros(0, np.float32)


def told(scores: list[float], fires_at: int | None = None, share: float = 0.5) -> list[Event]:
    """Events of one word with threshold 0.8, a score every 0.1 s; no near miss comes later than it may."""
    near, events = NearMisses({"uyan": 0.8}, share), []
    for hop, value in enumerate(scores):
        time_s = hop / 10
        fired = [Detection("uyan", time_s, value)] if hop == fires_at else []
        found = near.push(Heard(NOTHING, 0, [Score("uyan", time_s, value)], fired))
        assert all(time_s - event.time_s <= REACH_S + 0.1 + 1e-9 for event in found)
        events += found
    return events + near.flush()


QUIET = [0.0] * 8


def test_a_rise_that_does_not_fire_is_a_near_miss_at_its_highest_score() -> None:
    assert told([*QUIET, 0.45, 0.7, 0.6, *QUIET]) == [Event("uyan", 0.9, 0.7, fired=False)]


def test_it_is_known_when_the_score_has_been_low_for_a_while_not_before() -> None:
    dip = [0.1] * (round(QUIET_S * 10) - 1)
    assert told([0.5, *dip, 0.6, *QUIET]) == [Event("uyan", 0.5, 0.6, fired=False)]
    assert [event.score for event in told([0.5, *dip, 0.1, 0.6, *QUIET])] == [0.5, 0.6]


def test_a_rise_that_fires_is_a_detection_and_nothing_else() -> None:
    assert told([*QUIET, 0.5, 0.9, 0.9, 0.9, 0.6, *QUIET], fires_at=11) == [Event("uyan", 1.1, 0.9, fired=True)]


def test_scores_above_the_threshold_without_enough_votes_are_near_misses_too() -> None:
    assert told([*QUIET, 0.9, 0.95, *QUIET]) == [Event("uyan", 0.9, 0.95, fired=False)]


def test_below_its_share_of_the_threshold_nothing_is_near() -> None:
    assert told([0.39] * 30) == []
    assert told([*QUIET, 0.39, *QUIET], share=0.45) == [Event("uyan", 0.8, 0.39, fired=False)]


def test_a_rise_that_lasts_is_told_in_parts() -> None:
    events = told([0.5] * 70)
    assert [event.time_s for event in events] == [0, LONGEST_S, 2 * LONGEST_S]


def test_what_stays_high_after_a_detection_belongs_to_it() -> None:
    assert told([0.9] * 70, fires_at=2) == [Event("uyan", 0.2, 0.9, fired=True)]


def test_the_end_of_the_stream_ends_a_rise() -> None:
    assert told([0.0, 0.6]) == [Event("uyan", 0.1, 0.6, fired=False)]
    assert told([0.9, 0.9, 0.9], fires_at=2) == [Event("uyan", 0.2, 0.9, fired=True)]


def test_words_are_told_apart() -> None:
    near = NearMisses({"uyan": 0.8, "selam": 0.4}, 0.5)
    scores = [Score("uyan", 1.0, 0.3), Score("selam", 1.0, 0.3)]
    assert near.push(Heard(NOTHING, 0, scores, [])) == []
    assert near.flush() == [Event("selam", 1.0, 0.3, fired=False)]
    assert near.flush() == []


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="share of the threshold"):
        NearMisses({"uyan": 0.8}, share)
