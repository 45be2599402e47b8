"""The word's place in running speech: by the engine's timing, by joined parts, and never beside the word."""

import numpy as np
import pytest
from fake_engines import LETTER_S, Moody, Tones

from uyan.audio import SAMPLE_RATE
from uyan.errors import ConfigError, VoiceError
from uyan.voices.espeak_engine import EspeakEngine
from uyan.voices.phrase import make_phrase, say_phrase, speech_span
from uyan.voices.speech import EngineVoice

CARRIER = "hello there, {}, play some music"


@pytest.mark.parametrize("timed", [True, False])
def test_the_word_is_where_it_is_said(timed: bool) -> None:
    engine = Tones(timed=timed)
    said = say_phrase(engine, engine.voices()[0], make_phrase("jarvis", CARRIER), 1.0, 0.0, np.random.default_rng(0))
    assert said.end_s - said.start_s == pytest.approx(LETTER_S * len("jarvis,"), abs=0.09)  # the comma is a letter here
    between = said.samples[int((said.start_s - 0.03) * SAMPLE_RATE) : int(said.start_s * SAMPLE_RATE) - 160]
    assert np.abs(between).max() < 1e-3
    if timed:
        assert said.start_s == pytest.approx(LETTER_S * len("hellothere,") + 0.2, abs=0.02)


def test_a_word_alone_fills_its_clip() -> None:
    engine = Tones()
    said = say_phrase(engine, engine.voices()[0], make_phrase("jarvis"), 1.0, 0.0, np.random.default_rng(0))
    assert said.start_s == 0.0
    assert said.end_s == said.samples.size / SAMPLE_RATE == pytest.approx(6 * LETTER_S, abs=0.02)


@pytest.mark.parametrize("carrier", ["hello there, {}, play some music", "i told {} to stop", "{} what time is it"])
def test_espeak_times_its_words(carrier: str) -> None:
    """The word cut out of the sentence is about as long as alone, and before it lies about what is before it."""
    engine, voice, rng = EspeakEngine(), EngineVoice("espeak", "en-us+f3", "en-us"), np.random.default_rng(0)
    whole = say_phrase(engine, voice, make_phrase("jarvis", carrier), 1.0, 0.0, rng)
    alone = say_phrase(engine, voice, make_phrase("jarvis"), 1.0, 0.0, rng)
    assert whole.end_s - whole.start_s == pytest.approx(alone.end_s, abs=0.16)
    before = carrier.partition("{}")[0].strip(" ,")
    if before:
        lead = say_phrase(engine, voice, make_phrase(before), 1.0, 0.0, rng)
        assert whole.start_s == pytest.approx(lead.end_s, abs=0.35)
    else:
        assert whole.start_s == 0.0


def test_silence_is_no_speech() -> None:
    with pytest.raises(VoiceError, match="empty"):
        speech_span(np.full(SAMPLE_RATE, 1e-5, np.float32))
    with pytest.raises(VoiceError, match="empty"):
        speech_span(np.zeros(0, np.float32))
    engine = Moody(names=("silent",))
    with pytest.raises(VoiceError, match="empty"):
        say_phrase(engine, engine.voices()[0], make_phrase("hi"), 1.0, 0.0, np.random.default_rng(0))


@pytest.mark.parametrize("text", ["", "   ", "?!", "a" * 10_000, "bell\x07"])
def test_texts_that_cannot_be_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"nothing to say|characters to say|control character"):
        make_phrase(text)


@pytest.mark.parametrize("carrier", ["hello", "{} and {}", "x" * 400 + "{}"])
def test_carriers_that_do_not_carry(carrier: str) -> None:
    with pytest.raises(ConfigError, match=r"needs one \{\}|characters to say"):
        make_phrase("jarvis", carrier)
