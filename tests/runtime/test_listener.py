from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.audio import SAMPLE_RATE
from uyan.bundle import Bundle
from uyan.detector import Detection, Detector
from uyan.errors import AudioError, ConfigError
from uyan.hop_scorer import HopScorer
from uyan.runtime.listener import Chunk, Heard, Listener, hear, thresholds

HOP = 1600


class Record:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Heard | int | str] = []

    def heard(self, heard: Heard) -> None:
        self.told.append(heard)

    def cut(self, position: int) -> None:
        self.told.append(position)

    def finish(self) -> None:
        self.told.append("finished")

    @property
    def pieces(self) -> list[Heard]:
        return [each for each in self.told if isinstance(each, Heard)]

    @property
    def detections(self) -> list[Detection]:
        return [found for piece in self.pieces for found in piece.detections]


@settings(max_examples=15)
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=6), tta=st.booleans())
def test_pieces_scores_and_detections_are_those_of_the_stream_whatever_the_chunks(
    bundle: Bundle, changing_sound: Any, sizes: list[int], tta: bool
) -> None:
    sound = changing_sound(8.0, seed=1)
    ends = np.cumsum(sizes * (sound.size // max(1, sum(sizes)) + 1))
    listener = Listener(bundle, tta=tta)
    pieces = [heard for chunk in np.split(sound, ends[ends < sound.size]) for heard in listener.push(chunk)]
    assert np.concatenate([heard.samples for heard in pieces]).tolist() == sound.tolist()
    assert [heard.start for heard in pieces] == np.cumsum([0, *(h.samples.size for h in pieces[:-1])]).tolist()
    assert max(heard.samples.size for heard in pieces) <= HOP
    assert listener.position == sound.size

    scorer = HopScorer(bundle, tta)
    expected = scorer.push(sound)
    scores = [score for heard in pieces for score in heard.scores]
    assert [score.time_s for score in scores] == [scorer.time_s(hop) for hop in range(expected.size)]
    assert [score.value for score in scores] == pytest.approx(expected.tolist(), abs=1e-6)
    for heard in pieces:
        for score in heard.scores:
            assert heard.start < round(score.time_s * SAMPLE_RATE) <= heard.start + heard.samples.size
    found = [detection for heard in pieces for detection in heard.detections]
    assert [each.time_s for each in found] == [each.time_s for each in Detector(bundle, tta=tta).push(sound)]


def test_after_a_cut_the_detector_begins_anew_and_the_clock_goes_on(bundle: Bundle, changing_sound: Any) -> None:
    sound, lost = changing_sound(6.0, seed=1), 12_345
    alone = [(d.time_s, d.score) for d in Detector(bundle, tta=True).push(sound)]
    assert alone
    record = Record()
    hear(Listener(bundle), [Chunk(sound), Chunk(sound[:0], lost), Chunk(sound)], [record])
    offset_s = (sound.size + lost) / SAMPLE_RATE
    assert [(d.time_s, d.score) for d in record.detections] == [
        *((time_s, pytest.approx(score)) for time_s, score in alone),
        *((pytest.approx(time_s + offset_s), pytest.approx(score)) for time_s, score in alone),
    ]
    assert [told for told in record.told if isinstance(told, int)] == [sound.size + lost]
    assert record.told[-1] == "finished"
    times_s = [score.time_s for piece in record.pieces for score in piece.scores]
    assert times_s == sorted(times_s)


def test_watchers_are_finished_when_the_source_fails(bundle: Bundle) -> None:
    record, damaged = Record(), np.full(100, np.nan, np.float32)
    with pytest.raises(AudioError, match="NaN"):
        hear(Listener(bundle), [Chunk(damaged)], [record])
    assert record.told == ["finished"]


def test_the_threshold_is_each_word_s_own_unless_given(bundle: Bundle) -> None:
    assert Listener(bundle).thresholds == {"günaydın": bundle.info.tta_threshold}
    assert thresholds([bundle], 0.7, tta=True) == {"günaydın": 0.7}
    with pytest.raises(ConfigError, match="threshold"):
        Listener(bundle, threshold=2.0)
