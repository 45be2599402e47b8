"""Figures of a few recordings, with scores put in the network's place."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import write
from uyan.bundle import Bundle
from uyan.data.member import Member
from uyan.data.recording import Kind, Recording
from uyan.decision import Scores
from uyan.evaluation.streams import LEAD_S
from uyan.hop_scorer import HopScorer
from uyan.pipeline.measure import Task, measure

LOUD, QUIET = 0.8, 0.2


def member(folder: Path, path: str, kind: Kind, amplitude: float, duration_s: float = 1.0) -> Member:
    """A tone on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    write(folder / path, (amplitude * np.sin(2 * np.pi * 440 * times_s)).astype(np.float32))
    recording = Recording(path, folder, "speech", "ada", True, duration_s, kind, "", "")
    return Member(recording, str(folder / path), duration_s, "test", 0, True)


def planted(scorer: HopScorer, samples: NDArray[np.float32]) -> Scores:
    """A word at hops 12 to 15; where the sound is loud, something at hops 2 to 5, before the recording is heard."""
    scores = np.zeros(round((samples.size / SAMPLE_RATE - scorer.time_s(0)) * 10))
    scores[12:16] = 0.99
    if np.abs(samples).max() > 0.5:
        scores[2:6] = 0.95
    return scores


def task(bundle: Bundle, positives: list[Member], negatives: list[Member]) -> Task:
    return Task(bundle, positives, negatives, noise=(), snr_db=(), telephone=False, lead_s=LEAD_S, seed=1)


@pytest.mark.usefixtures("one_push")
def test_misses_and_latency_count_the_same_hits(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm before the first word, at hop 4, locks the detector until the word is over."""
    monkeypatch.setattr(HopScorer, "push", planted)
    positives = [member(tmp_path, f"{n}.wav", "keyword", height) for n, height in enumerate((LOUD, QUIET, QUIET))]
    clean = measure(task(bundle, positives, [member(tmp_path, "talk.wav", "negative", QUIET)])).figures["conditions"][
        "clean"
    ]
    assert (clean["misses"], clean["positives"]) == (1, 3)
    assert clean["latency"]["detected"] == clean["positives"] - clean["misses"]


@pytest.mark.usefixtures("one_push")
def test_data_sets_in_folders_of_one_name_are_told_apart(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HopScorer, "push", planted)
    negatives = [
        member(tmp_path / parent / "talk", "a.wav", "negative", height, 10.0)
        for parent, height in (("radio", LOUD), ("street", QUIET))
    ]
    figures = measure(task(bundle, [member(tmp_path, "word.wav", "keyword", QUIET)], negatives)).figures
    rates = figures["false_alarms"]["by_data_set"]
    assert {name: (rate["events"], rate["recordings"]) for name, rate in rates.items()} == {
        "radio/talk": (1, 1),
        "street/talk": (1, 1),
    }
    assert figures["false_alarms"]["by_stream"] == {"radio/talk/a.wav": 1, "street/talk/a.wav": 1}
    # The loud one fires at hop 4, before its recording begins at hop 5; the quiet one at hop 14.
    assert {(alarm["path"], alarm["time_s"]) for alarm in figures["loudest_alarms"]} == {
        ("radio/talk/a.wav", -0.1),
        ("street/talk/a.wav", 0.9),
    }
