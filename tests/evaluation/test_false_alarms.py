"""Alarms planted in tracks are found with their recording, moment, source and rate."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import write
from uyan.bundle import Bundle
from uyan.data.member import Member
from uyan.data.recording import Kind, Recording
from uyan.decision import DetectorConfig, Scores, fire_indices
from uyan.evaluation.false_alarms import (
    OTHER_WORDS,
    loudest_alarms,
    rates_by,
    source_of,
    speaker_interval,
)
from uyan.evaluation.intervals import poisson_rate
from uyan.evaluation.names import data_set_names
from uyan.evaluation.scores import Part, ScoreTrack, score_streams
from uyan.evaluation.streams import negative_streams
from uyan.hop_scorer import HopScorer

CONFIG = DetectorConfig()


def member(
    path: str, kind: Kind = "negative", label: str = "speech", speaker_id: str = "", root: str = "/data/talk"
) -> Member:
    recording = Recording(path, Path(root), label, speaker_id or path, True, 36.0, kind, "", "")
    return Member(recording, f"{root}/{path}", 36.0, "test", 0, True)


def quiet_track(members: list[Member], hops: int = 360) -> ScoreTrack:
    """Recordings of 36 s one after the other, with nothing in them."""
    parts = tuple(
        Part(m.recording.id, m.content_sha1, False, number * hops, (number + 1) * hops, 36.0)
        for number, m in enumerate(members)
    )
    return ScoreTrack(
        "t", members[0].recording.speaker_id, 36.0 * len(members), slice(None), np.zeros(hops * len(members)), parts
    )


def planted(track: ScoreTrack, *alarms: tuple[int, float]) -> ScoreTrack:
    """Four hops of that score from each of these hops on: three of them carry a vote, at the third."""
    scores = track.scores.copy()
    for hop, score in alarms:
        scores[hop : hop + 4] = score
    return replace(track, scores=scores)


TALK, WORD, NOISE = member("a.wav"), member("b.wav", "keyword", "cat"), member("c.wav", "noise", "rain")
MEMBERS = [TALK, WORD, NOISE]


def test_each_alarm_is_placed_in_its_recording() -> None:
    track = planted(quiet_track([TALK, WORD]), (100, 0.9), (460, 0.8))
    first, second = loudest_alarms([track], MEMBERS, 0.7, CONFIG)
    assert (first.path, first.score, first.fired, first.source) == ("talk/a.wav", 0.9, True, "speech")
    assert first.time_s == pytest.approx(10.2)
    assert (second.path, second.time_s, second.source, second.label) == (
        "talk/b.wav",
        pytest.approx(10.2),
        OTHER_WORDS,
        "cat",
    )


def test_what_came_near_is_listed_as_not_fired_and_after_the_louder() -> None:
    track = planted(quiet_track([TALK]), (50, 0.3), (200, 0.6))
    found = loudest_alarms([track], MEMBERS, 0.5, CONFIG, most=2)
    assert [(alarm.score, alarm.fired) for alarm in found] == [(0.6, True), (0.3, False)]


def test_one_long_alarm_is_listed_once() -> None:
    track = quiet_track([TALK])
    track.scores[100:112] = 0.9
    found = loudest_alarms([track], MEMBERS, 0.5, CONFIG, most=5)
    assert [alarm.score for alarm in found].count(0.9) == 1


def test_an_alarm_that_follows_a_louder_peak_is_listed() -> None:
    """Fires at hops 10 and 25. The highest vote of the first, at 14, is less than a lockout from the second."""
    track = quiet_track([TALK])
    track.scores[8:11], track.scores[12:15], track.scores[23:28] = 0.8, 0.95, 0.8
    assert fire_indices(track.scores, 0.7, CONFIG).tolist() == [10, 25]
    found = loudest_alarms([track], MEMBERS, 0.7, CONFIG)
    assert [(alarm.time_s, alarm.score, alarm.fired) for alarm in found] == [(1.0, 0.95, True), (2.5, 0.8, True)]


def test_an_alarm_is_listed_when_it_fires_and_not_when_it_is_loudest() -> None:
    """It fires at hop 10; the votes go on and are highest at 24, the last hop of its lockout."""
    track = quiet_track([TALK])
    track.scores[8:22], track.scores[22:25] = 0.75, 0.95
    assert fire_indices(track.scores, 0.7, CONFIG).tolist() == [10]
    found = loudest_alarms([track], MEMBERS, 0.7, CONFIG)
    assert [(alarm.time_s, alarm.score, alarm.fired) for alarm in found] == [(1.0, 0.95, True)]


def test_near_misses_are_a_lockout_from_each_other_and_from_what_passes() -> None:
    """Of those at 40 and 50 the higher one, of a long level stretch its start, and what leads up to an alarm never."""
    track = planted(quiet_track([TALK]), (40, 0.3), (50, 0.4), (195, 0.6), (200, 0.9))
    track.scores[100:110] = 0.35
    found = loudest_alarms([track], MEMBERS, 0.7, CONFIG)
    assert [(alarm.time_s, alarm.score, alarm.fired) for alarm in found] == [
        (20.2, 0.9, True),
        (5.2, 0.4, False),
        (10.2, 0.35, False),
    ]


@given(
    st.lists(st.integers(0, 10).map(lambda value: value / 10), min_size=1, max_size=120),
    st.sampled_from([0.3, 0.5, 0.9]),
    st.sampled_from([0.0, 0.3, 1.5]),
)
def test_what_fires_is_listed_and_no_more_than_that_as_fired(
    scores: list[float], threshold: float, lockout_s: float
) -> None:
    config = DetectorConfig(lockout_s=lockout_s)
    track = replace(quiet_track([TALK]), scores=np.array(scores))
    found = loudest_alarms([track], MEMBERS, threshold, config, most=200)
    fires = fire_indices(track.scores, threshold, config)
    assert sorted(alarm.time_s for alarm in found if alarm.fired) == pytest.approx(0.1 * fires)
    assert [alarm.fired for alarm in found] == sorted((alarm.fired for alarm in found), reverse=True)
    assert [alarm.score for alarm in found] == sorted((alarm.score for alarm in found), reverse=True)


@pytest.mark.usefixtures("one_push")
@pytest.mark.parametrize("durations_s", [(20.0,), (4.0, 3.3, 5.0)])
def test_the_moment_is_that_of_the_recording_and_not_of_the_stream(
    durations_s: tuple[float, ...], bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second of noise, planted 2 s into each recording, fires at the third hop that ends in it."""
    monkeypatch.setattr(HopScorer, "push", loud_hops)
    members, rng = [], np.random.default_rng(1)
    for number, duration_s in enumerate(durations_s):
        recording = Recording(f"{number}.wav", tmp_path, "speech", str(number), True, duration_s, "negative", "", "")
        samples = 1e-4 * rng.standard_normal(round(duration_s * SAMPLE_RATE))
        samples[2 * SAMPLE_RATE : round(2.5 * SAMPLE_RATE)] = 0.3
        write(recording.file, samples.astype(np.float32))
        members.append(Member(recording, str(number), duration_s, "test", number, True))
    tracks = score_streams("test", bundle, negative_streams(members), len(members))
    found = [alarm for alarm in loudest_alarms(tracks, members, 0.5, CONFIG) if alarm.fired]
    assert sorted(alarm.path for alarm in found) == [f"{tmp_path.name}/{n}.wav" for n in range(len(members))]
    # The third hop ends 0.2 to 0.3 s after the noise begins; a moment is rounded down to a hop.
    assert all(2.1 <= alarm.time_s <= 2.3 for alarm in found)


def loud_hops(scorer: HopScorer, samples: NDArray[np.float32]) -> Scores:
    """0.9 at each hop whose last millisecond is loud."""
    ends = (round(scorer.time_s(hop) * SAMPLE_RATE) for hop in itertools.count())
    inside = itertools.takewhile(lambda end: end <= samples.size, ends)
    return np.array([0.9 if np.abs(samples[end - 16 : end]).mean() > 0.1 else 0.0 for end in inside])


def test_an_alarm_in_the_quiet_before_a_recording_has_a_negative_moment() -> None:
    track = quiet_track([TALK])
    later = replace(track, parts=(track.parts[0]._replace(start=50),))
    (found,) = loudest_alarms([planted(later, (10, 0.9))], MEMBERS, 0.5, CONFIG)
    assert (found.path, found.time_s) == ("talk/a.wav", -3.8)


def test_two_data_sets_of_one_name_and_layout_are_told_apart() -> None:
    """Recordings of one path, duration and speaker have one id."""
    radio, street = (member("a.wav", root=f"/{parent}/talk") for parent in ("radio", "street"))
    assert radio.recording.id == street.recording.id
    track = planted(quiet_track([radio, street]), (460, 0.9))
    (found,) = loudest_alarms([track], [radio, street], 0.5, CONFIG)
    assert found.path == "street/talk/a.wav"
    names = data_set_names([radio, street])
    rates = rates_by([track], [radio, street], 0.5, CONFIG, lambda m: names[m.recording.root])
    assert {name: (rate.events, rate.recordings) for name, rate in rates.items()} == {
        "street/talk": (1, 1),
        "radio/talk": (0, 1),
    }


def test_rates_by_source_have_their_own_hours() -> None:
    tracks = [planted(quiet_track([TALK, WORD]), (100, 0.9), (200, 0.9), (460, 0.9)), quiet_track([NOISE])]
    rates = rates_by(tracks, MEMBERS, 0.5, CONFIG, source_of)
    assert {name: (rate.events, rate.recordings) for name, rate in rates.items()} == {
        "speech": (2, 1),
        OTHER_WORDS: (1, 1),
        "rain": (0, 1),
    }
    assert rates["speech"].hours == pytest.approx(0.01)
    assert rates["speech"].fah == pytest.approx(200)
    assert rates["rain"].fah_interval == poisson_rate(0, rates["rain"].hours)
    assert list(rates) == ["speech", OTHER_WORDS, "rain"]


def test_an_alarm_just_before_the_first_recording_belongs_to_it() -> None:
    track = quiet_track([TALK, WORD])
    later = replace(track, parts=(track.parts[0]._replace(start=50), track.parts[1]))
    rates = rates_by([planted(later, (10, 0.9))], MEMBERS, 0.5, CONFIG, source_of)
    assert (rates["speech"].events, rates[OTHER_WORDS].events) == (1, 0)


def test_the_interval_over_speakers_is_wider_where_one_of_them_has_all_the_alarms() -> None:
    speakers = [member(f"{n}.wav") for n in range(20)]
    one = [planted(quiet_track([speakers[0]]), *((hop, 0.9) for hop in range(20, 340, 40)))]
    one += [quiet_track([m]) for m in speakers[1:]]
    each = [planted(quiet_track([m]), *([(100, 0.9)] if n < 8 else [])) for n, m in enumerate(speakers)]
    wide, narrow = (speaker_interval(tracks, speakers, 0.5, CONFIG, np.random.default_rng(1)) for tracks in (one, each))
    assert wide.low == 0.0
    assert wide.high > 1.5 * narrow.high > 0
