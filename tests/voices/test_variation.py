"""Speakers: distinct, evenly drawn, the first the same however many follow; timbre changes keep length and place."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.audio import SAMPLE_RATE
from uyan.errors import VoiceError
from uyan.voices.speech import EngineVoice
from uyan.voices.variation import EFFORTS, FORMANTS, PITCHES, RATES, Variation, speakers, tilted

VOICES = [EngineVoice("piper", f"joe:{number}", "en-us") for number in range(3)]


@given(seed=st.integers(0, 2**32), count=st.integers(1, 200))
def test_speakers_are_distinct_and_every_voice_is_heard_as_often(seed: int, count: int) -> None:
    drawn = list(itertools.islice(speakers(VOICES, np.random.default_rng(seed)), count))
    assert len({speaker.id for speaker in drawn}) == count
    heard = [sum(speaker.voice is voice for speaker in drawn) for voice in VOICES]
    assert max(heard) - min(heard) <= 1
    assert drawn[: count // 2] == list(itertools.islice(speakers(VOICES, np.random.default_rng(seed)), count // 2))


def test_when_all_are_used_up_it_says_so() -> None:
    most = len(RATES) * len(PITCHES) * len(FORMANTS) * len(EFFORTS)
    drawing = speakers(VOICES[:1], np.random.default_rng(0))
    assert len({speaker.id for speaker in itertools.islice(drawing, most)}) == most
    with pytest.raises(VoiceError, match=f"make {most} speakers"):
        next(drawing)


def test_the_same_voice_twice_is_an_error_and_no_endless_search() -> None:
    with pytest.raises(VoiceError, match="named twice"):
        next(speakers([VOICES[0], VOICES[0]], np.random.default_rng(0)))


def test_effort_moves_energy_upwards_at_the_same_level() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    loud, soft = tilted(noise, 3.0), tilted(noise, -3.0)
    assert np.std(loud) == pytest.approx(np.std(noise), rel=0.02) == pytest.approx(np.std(soft), rel=0.02)
    low_db, high_db = (
        10
        * np.log10(
            np.sum(np.abs(np.fft.rfft(sound)[4000:5000]) ** 2) / np.sum(np.abs(np.fft.rfft(sound)[400:500]) ** 2)
        )
        for sound in (soft, loud)
    )
    assert high_db - low_db == pytest.approx(2 * 3.0 * np.log2(10), abs=1.5)


def test_a_change_of_timbre_moves_nothing_in_time() -> None:
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[8000:8200] = np.random.default_rng(0).normal(0, 0.3, 200)
    changed = Variation(formant=2, effort=1).timbre(click)
    assert changed.size == click.size
    assert 7700 < np.argmax(np.abs(changed)) < 8500
