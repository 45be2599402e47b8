import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.voices import demo_corpus
from uyan.voices.demo_speech import PHRASE_S, at_peak, say_keyword, trimmed
from uyan.voices.demo_text import DEMO_KEYWORD
from uyan.voices.espeak import Voice, say


def test_every_speaker_of_the_full_corpus_fits_the_phrase_into_a_window() -> None:
    corpus_voices, stream_voices = demo_corpus._voices(42)
    takes = {voice.speaker_id: say_keyword(voice, np.random.default_rng(1)) for voice in corpus_voices + stream_voices}
    assert len(takes) == 84
    assert min(take.size for take in takes.values()) > 0.4 * SAMPLE_RATE
    assert max(take.size for take in takes.values()) <= 0.92 * SAMPLE_RATE
    assert min(np.abs(take).max() for take in takes.values()) > 0.02


def test_a_slow_voice_is_sped_up_until_the_phrase_fits() -> None:
    slow = Voice("tr+f4", 100, 50, 50)
    assert trimmed(say(DEMO_KEYWORD, slow)).size > PHRASE_S * SAMPLE_RATE
    assert say_keyword(slow, np.random.default_rng(0)).size <= PHRASE_S * SAMPLE_RATE


def test_pauses_around_speech_are_cut_to_the_block(tone) -> None:
    speech = tone(200.0, 0.3)
    pause = np.full(1600, 1e-4, np.float32)
    np.testing.assert_array_equal(trimmed(np.concatenate([pause, speech, pause])), speech)


def test_the_peak_is_the_one_asked_for(tone) -> None:
    assert np.abs(at_peak(tone(200.0), -6.0)).max() == np.float32(10 ** (-6 / 20))
