import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.evaluation.false_alarms import SourceRate
from uyan.evaluation.intervals import Interval, poisson_rate
from uyan.report.bars import ROWS, ranked, rate_pictures, speaker_pictures


def source(events: int, hours: float) -> SourceRate:
    return SourceRate(events, 1, hours, events / hours, poisson_rate(events, hours))


def test_a_bar_is_as_long_as_its_share_and_its_count_is_written() -> None:
    (picture,) = speaker_pictures({"ada": (1, 4), "cem": (0, 3)}, "Missed")
    assert re.findall(r'class="bar" x="122" y="[\d.]+" width="([\d.]+)"', str(picture.svg)) == ["53.5"]  # of 214
    assert "1 / 4" in picture.svg
    assert "0 / 3" in picture.svg
    assert 'aria-label="Misses by speaker: ada 1 of 4"' in picture.svg
    assert "1 of them were never missed" in picture.caption


@settings(max_examples=15)
@given(st.dictionaries(st.text(), st.tuples(st.integers(0, 5), st.integers(5, 9)), min_size=1, max_size=80))
def test_every_speaker_has_a_row_and_pages_are_even(speakers: dict[str, tuple[int, int]]) -> None:
    pictures = speaker_pictures(speakers, "Missed")
    rows = [picture.svg.count('class="whisker"') for picture in pictures]
    assert sum(rows) == len(speakers)
    assert max(rows) <= ROWS
    assert max(rows) - min(rows) < len(rows)
    assert [name for name, _ in ranked(speakers)] != [] and {name for name, _ in ranked(speakers)} == set(speakers)


def test_more_alarms_per_hour_lie_further_right() -> None:
    (picture,) = rate_pictures({"music": source(50, 5.0), "speech": source(5, 5.0)}, "Alarms")
    music, speech = (float(x) for x in re.findall(r'<circle class="dot alarm" cx="([\d.]+)"', str(picture.svg)))
    assert music > speech


def test_no_alarm_is_a_bound_and_no_point() -> None:
    (picture,) = rate_pictures({"rain": source(0, 0.01)}, "Alarms")
    assert "0 in 36 s: ≤ 300" in picture.svg
    assert "dot alarm" not in picture.svg
    assert "whisker open" in picture.svg


def test_an_interval_without_an_end_is_drawn_to_the_edge() -> None:
    endless = SourceRate(1, 1, 1.0, 1.0, Interval(0.0, math.inf))
    (picture,) = rate_pictures({"one": endless}, "Alarms")
    assert "nan" not in picture.svg
    assert "inf" not in picture.svg
    assert "M6 29H394" in str(picture.svg).replace("6.0 ", "6 ").replace("H394.0", "H394")


def test_nobody_and_nothing_have_no_pictures() -> None:
    assert speaker_pictures({}, "Missed") == rate_pictures({}, "Alarms") == []
