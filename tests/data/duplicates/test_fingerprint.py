import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.data.duplicates.fingerprint import DIMS, Fingerprint, fingerprint
from uyan.frontend import FrontendConfig, log_mel


def print_of(samples) -> Fingerprint:
    return fingerprint(log_mel(samples, FrontendConfig()))


def test_silence_has_no_anchor_and_any_sound_has_one(rng):
    assert print_of(np.zeros(16000, np.float32)).prints.shape == (0, DIMS)
    hiss = print_of(0.01 * rng.standard_normal(400).astype(np.float32))
    assert hiss.anchors_frames.tolist() == [0]


def test_prints_are_unit_vectors_without_a_mean(word):
    prints = print_of(word(1)).prints.astype(np.float64)
    assert np.linalg.norm(prints, axis=1) == pytest.approx(1.0, abs=1e-2)
    assert prints.mean(axis=1) == pytest.approx(0.0, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(hops=st.integers(0, 150), gain_db=st.floats(-20, 20))
def test_fingerprints_move_with_the_audio_and_ignore_its_gain(word, hops, gain_db):
    samples = word(3)
    moved = np.concatenate([np.zeros(160 * hops, np.float32), samples * np.float32(10 ** (gain_db / 20))])
    before, after = print_of(samples), print_of(moved)
    assert after.anchors_frames.tolist() == (before.anchors_frames + hops).tolist()
    cosine = np.sum(after.prints.astype(np.float64) * before.prints, axis=1)
    assert cosine.min() > 0.99
