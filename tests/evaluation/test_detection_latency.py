"""Latency is from where the word's sound ends to where the detector fires."""

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.evaluation.detection_latency import detection_latency, word_end_s
from uyan.frontend import FrontendConfig


def test_the_end_of_a_tone_is_the_end_of_the_word(rng: np.random.Generator) -> None:
    samples = 1e-3 * rng.standard_normal(2 * SAMPLE_RATE)
    times_s = np.arange(samples.size) / SAMPLE_RATE
    samples += 0.3 * np.sin(2 * np.pi * 700 * times_s) * ((times_s > 0.5) & (times_s < 1.2))
    assert word_end_s(samples.astype(np.float32), FrontendConfig()) == pytest.approx(1.2, abs=0.05)


def test_nothing_detected_has_no_latency() -> None:
    assert detection_latency([]) is None


def test_the_summary_of_known_values() -> None:
    found = detection_latency(np.arange(1, 101) / 100)
    assert found is not None
    assert (found.detected, found.mean_s, found.median_s, found.p95_s, found.earliest_s) == (
        100,
        0.505,
        0.505,
        0.9505,
        0.01,
    )
