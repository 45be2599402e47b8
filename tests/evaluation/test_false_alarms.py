"""Alarms planted in tracks are found with their recording, moment, source and rate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uyan.data.recording import Kind, Recording
from uyan.data.split import Member
from uyan.decision import DetectorConfig
from uyan.evaluation.false_alarms import (
    OTHER_WORDS,
    loudest_alarms,
    rates_by,
    source_of,
    speaker_interval,
)
from uyan.evaluation.intervals import poisson_rate
from uyan.evaluation.scores import Part, ScoreTrack

CONFIG = DetectorConfig()


def member(path: str, kind: Kind = "negative", label: str = "speech", speaker_id: str = "") -> Member:
    recording = Recording(path, Path("/data/talk"), label, speaker_id or path, True, 36.0, kind, "", "")
    return Member(recording, path, 36.0, "test", 0, True)


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
MEMBERS = {m.recording.id: m for m in (TALK, WORD, NOISE)}


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
    members = {m.recording.id: m for m in speakers}
    one = [planted(quiet_track([speakers[0]]), *((hop, 0.9) for hop in range(20, 340, 40)))]
    one += [quiet_track([m]) for m in speakers[1:]]
    each = [planted(quiet_track([m]), *([(100, 0.9)] if n < 8 else [])) for n, m in enumerate(speakers)]
    wide, narrow = (speaker_interval(tracks, members, 0.5, CONFIG, np.random.default_rng(1)) for tracks in (one, each))
    assert wide.low == 0.0
    assert wide.high > 1.5 * narrow.high > 0
