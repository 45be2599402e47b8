"""Made-up words of known place are found in noise; any clip at all gives a span inside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.data.locate import GAP_FRAMES, Span, locate_word
from uyan.frontend import FRAME_SAMPLES, HOP_S, FrontendConfig, log_mel

CONFIG = FrontendConfig()
CLIP_S, CLOSURE_S = 2.0, 0.12
TOLERANCE_S = 0.06
FRAME_CENTRE_S = FRAME_SAMPLES / SAMPLE_RATE / 2


def syllable(duration_s: float, formants_hz: tuple[float, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Harmonics of a random pitch under formants, RMS 1, with 20 ms edges."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics_hz = rng.uniform(90, 220) * np.arange(1, 22)
    strength = sum(1 / (1 + ((harmonics_hz - hz) / 120) ** 2) / (k + 1) for k, hz in enumerate(formants_hz))
    phases = 2 * np.pi * harmonics_hz * time_s[:, None] + rng.uniform(0, 6, harmonics_hz.size)
    sound = np.sin(phases) @ (strength + 0.01)
    sound *= np.clip(np.minimum(time_s, time_s[::-1]) / 0.02, 0, 1)
    return sound / np.sqrt(np.mean(sound**2))


def spoken(syllables: int, rng: np.random.Generator) -> NDArray[np.float64]:
    first = syllable(0.25 if syllables == 2 else 0.5, (500, 1500, 2500), rng)
    if syllables == 1:
        return first
    second = 0.7 * syllable(0.3, (350, 2000, 2700), rng)
    return np.concatenate([first, np.zeros(round(CLOSURE_S * SAMPLE_RATE)), second])


@pytest.mark.parametrize("snr_db", [40, 20, 10, 5])
@pytest.mark.parametrize("place", ["start", "middle", "end"])
@pytest.mark.parametrize("syllables", [1, 2])
@pytest.mark.parametrize("click", [False, True])
def test_a_planted_word_is_found(snr_db: float, place: str, syllables: int, click: bool) -> None:
    rng = np.random.default_rng(round(snr_db))
    word = spoken(syllables, rng)
    word_s = word.size / SAMPLE_RATE
    start_s = {"start": 0.0, "middle": 0.613, "end": CLIP_S - word_s}[place]
    clip = 10 ** (-snr_db / 20) * rng.standard_normal(round(CLIP_S * SAMPLE_RATE))
    at = round(start_s * SAMPLE_RATE)
    clip[at : at + word.size] += word
    if click:
        at = round((start_s - 0.35 if place == "end" else start_s + word_s + 0.35) * SAMPLE_RATE)
        clip[at : at + 40] += 4 * rng.standard_normal(40)
    span = locate_word(log_mel((0.1 * clip).astype(np.float32), CONFIG))
    assert span.start * HOP_S + FRAME_CENTRE_S == pytest.approx(start_s, abs=TOLERANCE_S)
    assert (span.end - 1) * HOP_S + FRAME_CENTRE_S == pytest.approx(start_s + word_s, abs=TOLERANCE_S)


def test_of_two_sounds_far_apart_the_longer_is_the_word() -> None:
    clip = np.full((64, 200), -13.0)
    clip[:, 20:40] = clip[:, 100:150] = 0.0
    assert locate_word(clip) == Span(100, 150)


def test_a_click_however_loud_is_no_word_and_a_short_word_is_one() -> None:
    clip = np.full((64, 200), -13.0)
    clip[:, 40:52] = 0.0
    clip[:, 150:152] = 60.0
    assert locate_word(clip) == Span(40, 52)


def test_gaps_within_a_word_are_bridged_and_longer_ones_are_not() -> None:
    for gap, found in ((GAP_FRAMES, Span(30, 90 + GAP_FRAMES)), (GAP_FRAMES + 1, Span(30, 60))):
        clip = np.full((64, 200), -13.0)
        clip[:, 30:60] = clip[:, 60 + gap : 90 + gap] = 0.0
        clip[:, 30:60] += 1.0
        assert locate_word(clip) == found


def test_hum_and_hiss_are_no_word() -> None:
    clip = np.full((64, 200), -13.0)
    clip[10:30, 40:80] = -5.0
    clip[:4, 100:] = clip[56:, 100:] = 5.0  # below and above where voices are
    assert locate_word(clip) == Span(40, 80)


@pytest.mark.parametrize("frames", [1, 2, 3, 150])
@pytest.mark.parametrize("value", [-13.8, 0.0, 7.0])
def test_a_clip_without_any_change_is_all_word(frames: int, value: float) -> None:
    assert locate_word(np.full((64, frames), value, np.float16)) == Span(0, frames)


@given(
    arrays(
        st.sampled_from([np.float16, np.float32]),
        array_shapes(min_dims=1, max_dims=1, max_side=80).map(lambda shape: (64, *shape)),
        elements=st.floats(-60000, 60000, width=16),
        fill=st.just(0.0),
    )
)
def test_any_clip_gives_a_span_inside_it(clip: NDArray[np.floating]) -> None:
    span = locate_word(clip)
    assert 0 <= span.start < span.end <= clip.shape[1]
    assert span.frames == span.end - span.start


@given(st.integers(1, 300), st.integers(0, 1000), st.floats(0, 10))
def test_a_clip_of_noise_gives_a_span_inside_it(frames: int, seed: int, spread: float) -> None:
    clip = np.random.default_rng(seed).normal(-5, spread, (64, frames))
    span = locate_word(clip)
    assert 0 <= span.start < span.end <= frames
