"""Words and detections worked out by hand; a long recording scored as a live stream would be."""

from collections.abc import Callable
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
from uyan.detector import Detector
from uyan.errors import AudioError, EvaluationError
from uyan.evaluation.annotated import (
    LISTED,
    NO_WORDS,
    Event,
    Outcome,
    fires_s,
    judge,
    judge_recordings,
    outside_s,
    summary,
)
from uyan.evaluation.annotations import AnnotatedRecording, Annotation
from uyan.evaluation.intervals import clopper_pearson, poisson_rate
from uyan.evaluation.streams import TAIL_S
from uyan.hop_scorer import HopScorer

Sound = Callable[..., NDArray[np.float32]]


def word(start_s: float, end_s: float, label: str = "uyan") -> Annotation:
    return Annotation(start_s, end_s, label)


def recording(
    *words: Annotation, hours: float = 1.0, others: tuple[Annotation, ...] = (), path: str = "room/a.wav"
) -> AnnotatedRecording:
    return AnnotatedRecording(Path("/nowhere") / path, path, 3600 * hours, words, others)


def test_from_its_start_until_a_second_after_its_end_a_detection_is_the_words() -> None:
    words = [word(10.0, 10.5)]
    assert judge(words, [10.0]) == Outcome((10.0,), ())
    assert judge(words, [11.5]) == Outcome((11.5,), ())
    assert judge(words, [9.9, 11.6]) == Outcome((None,), (9.9, 11.6))


def test_a_second_detection_of_a_word_is_neither_a_hit_nor_an_alarm() -> None:
    assert judge([word(10.0, 12.0)], [10.2, 11.9, 12.8]) == Outcome((10.2,), ())


def test_of_two_words_within_a_second_each_has_a_detection_of_its_own() -> None:
    words = [word(10.0, 10.5), word(11.0, 11.5)]
    assert judge(words, [11.2]) == Outcome((11.2, None), ())
    assert judge(words, [10.6, 11.2]) == Outcome((10.6, 11.2), ())
    assert judge(words, [11.2, 12.4]) == Outcome((11.2, 12.4), ())


def test_hours_are_what_lies_outside_of_the_words() -> None:
    assert outside_s([], 60.0) == 60.0
    assert outside_s([word(10.0, 11.0)], 60.0) == 58.0
    assert outside_s([word(10.0, 11.0), word(11.5, 12.0)], 60.0) == 57.0  # 10 – 13 s
    assert outside_s([word(58.0, 59.5)], 60.0) == 58.0  # the second after it lies beyond the end
    assert outside_s([word(0.0, 1.0)], 1.5) == 0.0


# Eighths are exact, and make ties at both ends of a span common.
EIGHTHS = st.integers(0, 240).map(lambda eighths: eighths / 8)


@given(st.lists(EIGHTHS, unique=True, max_size=16), st.lists(EIGHTHS, unique=True, max_size=20))
def test_every_word_and_every_detection_counts_once(edges_s: list[float], fired_s: list[float]) -> None:
    edges_s, fired_s = sorted(edges_s), sorted(fired_s)
    words = [word(start, end) for start, end in zip(edges_s[::2], edges_s[1::2], strict=False)]
    found = judge(words, fired_s)
    hits_s = [hit_s for hit_s in found.hits_s if hit_s is not None]
    assert len(hits_s) + found.hits_s.count(None) == len(words)
    inside = {s for s in fired_s if any(w.start_s <= s <= w.end_s + TAIL_S for w in words)}
    assert sorted(found.false_alarms_s) == sorted(set(fired_s) - inside)
    assert len(hits_s) == len(set(hits_s)) and set(hits_s) <= inside
    for spoken, hit_s in zip(words, found.hits_s, strict=True):
        around = {s for s in fired_s if spoken.start_s <= s <= spoken.end_s + TAIL_S}
        assert hit_s in around if hit_s is not None else around <= set(hits_s)
    grid = np.arange(0, 40, 1 / 16) + 1 / 32
    spoken_at = np.array([any(w.start_s <= s <= w.end_s + TAIL_S for w in words) for s in grid])
    assert outside_s(words, 40.0) == np.count_nonzero(~spoken_at) / 16


def test_figures_of_two_recordings_are_those_of_all_words_and_hours() -> None:
    """Four words, one of them missed; three alarms, one while somebody says another word."""
    first = recording(word(10, 11), word(20, 21), others=(word(50, 51, "merhaba"),))
    second = recording(word(10, 11), word(20, 21), hours=0.5, path="room/b.wav")
    quiet = recording(hours=0.5, path="room/c.wav")
    outcomes = [Outcome((11.2, None), (50.9, 70.0)), Outcome((10.9, 21.4), ()), Outcome((), (5.0,))]
    found = summary([first, second, quiet], outcomes)
    hours = (7200 - 4 * 2) / 3600
    assert (found.recordings, found.words, found.misses, found.miss_rate) == (3, 4, 1, 0.25)
    assert (found.miss_interval, found.fah_interval) == (clopper_pearson(1, 4), poisson_rate(3, hours))
    assert (found.false_alarms, found.hours, found.fah) == (3, pytest.approx(hours), pytest.approx(3 / hours))
    assert found.claims["misses"].startswith("1 of 4 missed: 25.0 %")
    assert found.claims["false alarms"].startswith("3 alarms in 2.00 h: 1.50 per hour")
    assert found.latency is not None
    assert (found.latency.detected, found.latency.median_s, found.latency.earliest_s) == (3, 0.2, -0.1)
    assert found.missed.events == (Event("room/a.wav", 20, "uyan"),)
    alarms = Event("room/a.wav", 50.9, "merhaba"), Event("room/a.wav", 70.0, ""), Event("room/c.wav", 5.0, "")
    assert (found.alarms.events, found.alarms.left_out) == (alarms, 0)


def test_without_a_word_the_miss_rate_is_refused_and_the_hours_count() -> None:
    found = summary([recording(hours=6.0)], [Outcome((), ())])
    assert (found.words, found.miss_rate, found.miss_interval, found.latency) == (0, None, None, None)
    assert found.claims == {"misses": NO_WORDS, "false alarms": "0 alarms in 6.00 h: ≤ 0.50 per hour (95 %)"}


def test_lists_are_capped_and_say_what_they_leave_out() -> None:
    found = summary([recording()], [Outcome((), tuple(float(s) for s in range(10, 70)))])
    assert (len(found.alarms.events), found.alarms.left_out, found.false_alarms) == (LISTED, 10, 60)


def test_nothing_but_the_word_can_have_no_false_alarm() -> None:
    with pytest.raises(EvaluationError, match="nothing but the keyword, so that no detection could be false; add"):
        summary([recording(word(0.0, 9.5), hours=10 / 3600)], [Outcome((None,), ())])


@pytest.fixture
def long_file(tmp_path: Path, changing_sound: Sound) -> AnnotatedRecording:
    """75 s, more than a block."""
    write(tmp_path / "long.wav", changing_sound(75.0))
    return AnnotatedRecording(tmp_path / "long.wav", "room/long.wav", 75.0, ())


def test_a_long_recording_fires_where_a_live_detector_does(
    bundle: Bundle, long_file: AnnotatedRecording, changing_sound: Sound
) -> None:
    detector = Detector(bundle)
    # As the file holds them: 16-bit, in chunks of 0.2 s.
    samples = np.clip(np.rint(changing_sound(75.0) * 32768), -32768, 32767).astype(np.int16)
    live = [d.time_s for chunk in np.array_split(samples, 375) for d in detector.push(chunk)]
    found = fires_s(bundle, long_file)
    assert len(live) > 5
    assert found[: len(live)] == live
    assert all(75.0 <= late <= 75.0 + TAIL_S for late in found[len(live) :])


def test_a_file_that_ends_before_its_header_says_is_refused(bundle: Bundle, long_file: AnnotatedRecording) -> None:
    with pytest.raises(EvaluationError, match=r"long\.wav: truncated: 75\.000 s of audio, the header announces 90"):
        fires_s(bundle, replace(long_file, duration_s=90.0))


def test_a_file_that_went_away_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        judge_recordings(bundle, [AnnotatedRecording(tmp_path / "gone.wav", "room/gone.wav", 10.0, ())])


def test_a_score_that_is_no_number_is_no_silence(
    bundle: Bundle, long_file: AnnotatedRecording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HopScorer, "push", lambda _, samples: np.full(samples.size * 10 // SAMPLE_RATE, np.nan))
    with pytest.raises(EvaluationError, match=r"room/long\.wav: the network gave a score that is not a number"):
        fires_s(bundle, long_file)
