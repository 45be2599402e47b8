"""Plateaus planted at known ends of words are found, and where energy misleads, the other recordings put it right."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from uyan.data.cache import FeatureCache
from uyan.data.locate import Span
from uyan.frontend import FrontendConfig
from uyan.model.network import Network, NetworkConfig
from uyan.training.align import relocate_word, relocate_words

WINDOW, TAIL = 100, 40
QUIET, HEARD = -4.0, 3.0


def plateau(end: int, frames: int = TAIL, positions: int = 150, first: int = -WINDOW) -> NDArray[np.float64]:
    """Margins high in windows that end in [end, end + frames)."""
    ends = first + 2 * np.arange(positions) + WINDOW
    return np.where((ends >= end) & (ends < end + frames), HEARD, QUIET)


def found(margins: NDArray[np.float64], energy: Span = Span(10, 70), first: int = -WINDOW) -> Span:
    return relocate_word(margins, first, energy, WINDOW, TAIL)


@pytest.mark.parametrize("end", [20, 60, 100, 180])
@pytest.mark.parametrize("frames", [TAIL // 2, TAIL, 3 * TAIL])
def test_a_word_ends_where_the_plateau_begins(end: int, frames: int) -> None:
    assert found(plateau(end, frames)) == Span(end - 60, end)


def test_the_first_frame_counts() -> None:
    assert found(plateau(100, first=-30), first=-30) == Span(40, 100)


def test_noise_and_the_dip_of_a_window_do_not_move_the_end() -> None:
    margins = plateau(100) + np.random.default_rng(42).normal(0, 0.5, 150)
    margins[55] = margins[62] = QUIET
    assert abs(found(margins).end - 100) <= 2


def test_a_slope_counts_at_half_its_height() -> None:
    margins = np.interp(np.arange(150), [0, 40, 60, 80, 81, 150], [QUIET, QUIET, 4.0, 4.0, QUIET, QUIET])
    assert found(margins).end == 2 * 50  # −4 at position 40 and before, 4 at 60 and after: half is 0


def test_of_two_plateaus_the_higher_is_the_word_and_a_spike_is_none() -> None:
    margins = np.maximum(plateau(40) - 1, plateau(160))
    margins[45:47] = 20.0
    assert found(margins).end == 160


def test_a_word_is_no_longer_than_the_window() -> None:
    assert found(plateau(150), Span(0, 140)) == Span(50, 150)


@pytest.mark.parametrize("level", [-7.0, 0.0, 5.0])
def test_without_a_rise_or_unheard_the_energy_stands(level: float) -> None:
    assert found(np.full(150, level)) == Span(10, 70)
    assert found(plateau(60) - HEARD) == Span(10, 70)
    spike = np.full(150, QUIET)
    spike[70:72] = 9.0
    assert found(spike) == Span(10, 70)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=80), st.integers(2, 60))
def test_any_margins_give_a_span_as_long_as_the_energy_s(margins: list[float], tail: int) -> None:
    span = relocate_word(np.array(margins), -WINDOW, Span(10, 50), WINDOW, tail)
    assert span.frames == 40
    assert span == Span(10, 50) or 0 < span.end <= 2 * len(margins)


class LastFrame(Network):
    """A network whose margin is what the first mel holds in the window's last frame."""

    def __init__(self) -> None:
        super().__init__(NetworkConfig(size="small"), mels=64, window_frames=WINDOW)

    def forward(self, features: Tensor) -> Tensor:
        margin = features[:, 0, WINDOW - 1 :: 2]
        return torch.stack([torch.zeros_like(margin), margin], dim=1)


NAMES = [f"{number:040x}" for number in range(6)]
UNHEARD = "f" * 40


@pytest.mark.parametrize("early_frames", [0, 16])
def test_the_recordings_tell_where_the_words_are(tmp_path: Path, early_frames: int) -> None:
    cache, true_ends = FeatureCache(tmp_path, FrontendConfig(), 0.0), (60, 80, 98, 120, 6_250, 140)
    for number, end in enumerate(true_ends):
        features = np.full((64, max(98, end + 60 if end > 98 else 98)), QUIET, np.float32)
        heard = end - 1 - early_frames
        features[0, heard : heard + TAIL] = HEARD
        features[1:, heard : heard + TAIL] += 1.0  # its quietest frames are others
        cache.put(NAMES[number], features)
    cache.put(UNHEARD, np.full((64, 120), QUIET, np.float32))
    energy = {NAMES[number]: Span(end - 50, end) for number, end in enumerate(true_ends)}
    energy |= {NAMES[5]: Span(0, 30), UNHEARD: Span(3, 40)}
    steps: list[tuple[str, int, int]] = []
    words = relocate_words(LastFrame(), cache, energy, TAIL, lambda *step: steps.append(step))
    assert list(words) == list(energy)
    assert words == energy | {NAMES[5]: Span(110, 140)}
    assert steps[-1] == ("word positions", 7, 7)


def test_a_word_stays_in_its_recording(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, FrontendConfig(), 0.0)
    for key, begin in ((NAMES[0], 30), (NAMES[1], 50), (NAMES[2], 70), (NAMES[3], 2)):
        features = np.full((64, 90), QUIET, np.float32)
        features[0, begin - 1 : begin + 20] = HEARD
        cache.put(key, features)
    energy = {NAMES[0]: Span(0, 50), NAMES[1]: Span(20, 70), NAMES[2]: Span(0, 88), NAMES[3]: Span(0, 45)}
    words = relocate_words(LastFrame(), cache, energy, 20)
    assert words == {NAMES[0]: Span(0, 50), NAMES[1]: Span(20, 70), NAMES[2]: Span(2, 90), NAMES[3]: Span(0, 22)}


def test_no_words_are_none() -> None:
    assert relocate_words(LastFrame(), FeatureCache(Path(), FrontendConfig(), 0.0), {}, TAIL) == {}
