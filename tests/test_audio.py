from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import to_float
from uyan.errors import AudioError


@given(st.lists(st.integers(-32_768, 32_767), max_size=50))
def test_int16_chunks_become_the_floats_a_file_gives(values: list[int]) -> None:
    floats = to_float(np.array(values, np.int16))
    assert floats.dtype == np.float32
    assert (floats * 32_768).tolist() == values
    assert to_float(floats) is floats


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros((10, 2), np.float32), r"mono, shape \(samples,\), not \(10, 2\)"),
        (np.zeros(10, np.int32), "int16 or float32, not int32"),
        (np.zeros(10, np.uint8), "not uint8"),
        (np.array([0.0, np.nan], np.float32), "NaN or Inf"),
        (np.array([0.0, -np.inf]), "NaN or Inf"),
    ],
)
def test_buffers_that_are_no_audio_are_refused(samples: NDArray[Any], problem: str) -> None:
    with pytest.raises(AudioError, match=problem):
        to_float(samples)


def test_a_float64_beyond_float32_is_refused() -> None:
    # Reported: the cast warns of the overflow, and with warnings as errors that is no AudioError.
    with pytest.raises(AudioError, match="NaN or Inf"):
        to_float(np.array([0.0, 1e300]))
