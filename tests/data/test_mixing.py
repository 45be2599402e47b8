"""Real and synthetic recordings are drawn in the asked proportion, within reason, and sources by their weights."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.mixing import MOST_OFTEN, draw_weights
from uyan.data.recording import Recording


def said(speaker: str, source: str = "") -> Recording:
    return Recording(f"{speaker}.wav", Path("/data"), "uyan", speaker, True, 1.0, "keyword", "", source)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.05, 0.95))
def test_the_share_is_kept_unless_one_side_would_be_learnt_by_heart(real: int, made: int, share: float) -> None:
    weights = draw_weights([said("ada")] * real + [said("tts:x")] * made, share, {})
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    each_real, each_made = weights[0], weights[-1]
    ratio = each_made / each_real
    assert 1 / MOST_OFTEN * 0.999 <= ratio <= MOST_OFTEN * 1.001
    if 1 / MOST_OFTEN < share * real / ((1 - share) * made) < MOST_OFTEN:
        assert weights[real:].sum() / weights.sum() == pytest.approx(share, rel=1e-4)


def test_without_a_share_or_of_one_kind_alone_all_count_alike() -> None:
    mixed = [said("ada"), said("tts:x"), said("tts:y")]
    assert draw_weights(mixed, None, {}).tolist() == [1, 1, 1]
    assert draw_weights([said("ada"), said("can")], 0.3, {}).tolist() == [1, 1]
    assert draw_weights(mixed[1:], 0.3, {}).tolist() == [1, 1]
    assert draw_weights([], 0.5, {}).tolist() == []


def test_sources_are_weighted_within_their_kind() -> None:
    recordings = [said("ada", "home"), said("can", "office"), said("tts:x", "piper"), said("tts:y", "kokoro")]
    weights = draw_weights(recordings, 0.5, {"home": 3.0, "kokoro": 0.0})
    np.testing.assert_allclose(weights, [1.5, 0.5, 2.0, 0.0])
