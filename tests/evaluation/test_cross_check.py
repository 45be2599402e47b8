"""A second event counter, written from the rule in words (MISSION 6.2) alone, against everything that counts events.

In words: the detector fires when 3 of the last 5 scores reach the on-threshold. It fires again only when 1500 ms have
passed since, and when the score has been below the off-threshold (on − 0.1; half of on where that is not above 0)
since; votes are counted from there. A score comes every 100 ms.
"""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.decision import Decision, DetectorConfig, ballot_scores, fire_indices
from uyan.evaluation.alarms import AlarmCounter
from uyan.evaluation.scores import ScoreTrack, event_curve, false_alarm_hops

CONFIG = DetectorConfig()
VOTES, BALLOTS, HYSTERESIS, LOCKOUT_MS, HOP_MS = 3, 5, 0.1, 1500, 100

# Steps of 0.05 often lie on a threshold exactly; anything else lies beside it.
SCORE = st.integers(0, 20).map(lambda steps: steps / 20) | st.floats(0, 1)
# Random scores seldom carry a vote and seldom let go: stretches of one score do both.
STRETCH = st.tuples(SCORE, st.integers(1, 12)).map(lambda drawn: [drawn[0]] * drawn[1])
TRACK = st.lists(st.lists(SCORE, max_size=6) | STRETCH, max_size=25).map(lambda parts: list(chain.from_iterable(parts)))
THRESHOLD = st.integers(0, 20).map(lambda steps: steps / 20) | st.floats(0, 1)


def second_counter(scores: list[float], on: float) -> list[int]:
    """The numbers of the scores at which the detector fires."""
    off = on - HYSTERESIS if on - HYSTERESIS > 0 else on / 2
    fired: list[int] = []
    counted_from = 0
    waits_for_release = False
    for now, score in enumerate(scores):
        if waits_for_release and score < off:
            waits_for_release, counted_from = False, now
        ballots = scores[max(counted_from, now + 1 - BALLOTS) : now + 1]
        carried = sum(ballot >= on for ballot in ballots) >= VOTES
        locked = bool(fired) and (now - fired[-1]) * HOP_MS < LOCKOUT_MS
        if carried and not locked and not waits_for_release:
            fired.append(now)
            waits_for_release = True
    return fired


def test_the_second_counter_by_hand() -> None:
    word, quiet = [0.9, 0.9, 0.9], [0.0] * 15
    assert second_counter([*word, *quiet, *word], 0.5) == [2, 20]
    assert second_counter([*word, *quiet[:10], *word], 0.5) == [2]  # the lockout holds until 17, the votes are gone
    assert second_counter(word * 20, 0.5) == [2]  # never below 0.4
    assert second_counter([*word, *[0.45] * 20, *word], 0.5) == [2]
    assert second_counter([*word, 0.35, *[0.45] * 20, *word], 0.5) == [2, 26]
    assert second_counter([0.9, 0.0, 0.9, 0.0, 0.9], 0.5) == [4]
    assert second_counter([0.9, 0.0, 0.9, 0.0, 0.0, 0.9], 0.5) == []


def test_the_settings_in_words_are_the_settings() -> None:
    said = (CONFIG.votes, CONFIG.ballots, CONFIG.hysteresis, 1000 * CONFIG.lockout_s, 1000 * CONFIG.hop_s)
    assert said == (VOTES, BALLOTS, HYSTERESIS, LOCKOUT_MS, HOP_MS)


@settings(max_examples=300)
@given(TRACK, THRESHOLD)
def test_both_forms_of_the_rule_and_the_alarm_counter_agree_with_it(scores: list[float], on: float) -> None:
    expected = second_counter(scores, on)
    decision, track = Decision(on, CONFIG), np.array(scores, np.float64)
    assert [hop for hop, score in enumerate(scores) if decision.push(score)] == expected
    assert fire_indices(track, on, CONFIG).tolist() == expected
    assert AlarmCounter(track, ballot_scores(track, CONFIG), CONFIG).count(on) == len(expected)


@settings(max_examples=30)
@given(st.lists(TRACK, min_size=1, max_size=4))
def test_the_alarms_of_a_curve_are_those_of_every_stream_by_itself(drawn: list[list[float]]) -> None:
    streams = [
        ScoreTrack(f"stream {number}", "", 3600.0, slice(0, len(scores)), np.array(scores, np.float64))
        for number, scores in enumerate(drawn)
    ]
    positive = ScoreTrack("word", "voice", 1.0, slice(0, 3), np.array([0.9, 0.9, 0.9]))
    curve = event_curve([positive], streams, CONFIG)
    for on, alarms in zip(curve.thresholds.tolist(), curve.false_alarms.tolist(), strict=True):
        assert alarms == sum(len(second_counter(scores, on)) for scores in drawn)
    for on in (0.05, 0.5, 0.95):
        assert false_alarm_hops(streams, on, CONFIG) == [second_counter(scores, on) for scores in drawn]


@pytest.mark.parametrize("seed", range(3))
def test_ten_minutes_that_wander(seed: int) -> None:
    """Scores that rise and fall as those of speech do: dozens of events."""
    steps = np.random.default_rng(seed).normal(0, 1.5, 6000)
    logits = np.zeros(6000)
    for hop in range(1, 6000):
        logits[hop] = 0.8 * logits[hop - 1] + steps[hop]
    scores = 1 / (1 + np.exp(-logits))
    counter = AlarmCounter(scores, ballot_scores(scores, CONFIG), CONFIG)
    for on in (0.3, 0.6, 0.9, 0.97):
        expected = second_counter(scores.tolist(), on)
        assert len(expected) > 10
        assert fire_indices(scores, on, CONFIG).tolist() == expected
        assert counter.count(on) == len(expected)
