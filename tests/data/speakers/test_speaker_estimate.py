"""Estimated ids: who gets one, who keeps theirs, what is said of groups; with an encoder that hears the pitch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.recording import Recording
from uyan.data.speakers import speaker_estimate as speakers
from uyan.data.speakers.speaker_encoder import Embedding
from uyan.data.speakers.speaker_estimate import estimate_speakers

Say = Callable[..., Recording]


@pytest.fixture(autouse=True)
def pitch_as_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(_: object, samples: Samples) -> Embedding | None:
        if not samples.any():
            return None
        angle = np.abs(np.fft.rfft(samples)).argmax() / len(samples) * SAMPLE_RATE / 1000
        return np.array([np.cos(angle), np.sin(angle)], np.float32)

    monkeypatch.setattr(speakers, "load_encoder", lambda weights: None)
    monkeypatch.setattr(speakers, "embed", hear)
    speakers._encoder.cache_clear()


@pytest.fixture
def say(tmp_path: Path) -> Say:
    def make(name: str, pitch_hz: float, speaker: str = "", kind: str = "keyword", level: float = 0.5) -> Recording:
        path = tmp_path / f"{name}.wav"
        times_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        soundfile.write(path, level * np.sin(2 * np.pi * pitch_hz * times_s), SAMPLE_RATE)
        known = bool(speaker)
        return Recording(path.name, tmp_path, "uyan", speaker or f"unknown:{name}", known, 1.0, kind, "", "")  # type: ignore[arg-type]

    return make


def test_like_voices_share_an_id_and_given_ones_stay(say: Say) -> None:
    given = [say("a", 300), say("b", 1200), say("c", 310, "ada"), say("d", 305), say("n", 300, kind="noise")]
    found = estimate_speakers(given, 0.1)
    ids = [r.speaker_id for r in found.recordings]
    assert ids[0] == ids[3] != ids[1] and ids[2] == "ada" and ids[4] == "unknown:n"
    assert all(ids[n].startswith("est:") and found.recordings[n].speaker_known for n in (0, 1, 3))
    assert [(v.recordings, v.like) for v in found.voices] == [(2, "ada"), (1, "")]
    assert found.voices[0].distance == pytest.approx(0, abs=0.01)
    assert (found.named, found.mute) == (1, [])


def test_again_it_says_the_same_and_changes_nothing_more(say: Say) -> None:
    first = estimate_speakers([say("a", 300), say("b", 1200)], 0.1).recordings
    assert estimate_speakers([say("a", 300), say("b", 1200)], 0.1).recordings == first
    again = estimate_speakers(first, 0.1)
    assert (again.recordings, again.voices, again.named) == (first, [], 2)


def test_where_nothing_is_heard_the_speaker_stays_unknown(say: Say, tmp_path: Path) -> None:
    gone = replace(say("b", 300), path="gone.wav")
    found = estimate_speakers([say("a", 300, level=0.0), gone], 0.1)
    assert [r.speaker_known for r in found.recordings] == [False, False]
    assert found.mute[0][1] == "nothing is heard" and "gone.wav" in found.mute[1][1]


def test_synthetic_voices_are_nobody_to_sound_like(say: Say) -> None:
    found = estimate_speakers([say("a", 300), say("b", 300, "tts:espeak:en+f2")], 0.1)
    assert [v.like for v in found.voices] == [""]


def test_torch_gets_its_threads_back(say: Say) -> None:
    """Another number of threads sums in another order: everything trained later in this process would differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        estimate_speakers([say("a", 200), say("b", 900)], 0.1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
