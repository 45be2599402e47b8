"""Synthetic speech: right rate and pitch, the same samples whatever came before, errors that say the fix."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.audio import SAMPLE_RATE, Samples
from uyan.errors import ConfigError
from uyan.voices import espeak
from uyan.voices.espeak import VARIANTS, Voice, languages, many_voices, say

FLUTTERING = Voice("en-us+m3", 160, 50, 50)
BREATHY = Voice("en-us+f5", 160, 50, 50)
KLATT = Voice("en-us+Reed", 160, 50, 50)
TURKISH = Voice("tr+f2", 170, 60, 40)


def pitch_hz(samples: Samples) -> float:
    """The fundamental of the loudest 80 ms, by autocorrelation between 60 and 500 Hz."""
    size = SAMPLE_RATE * 80 // 1000
    energy = np.convolve(samples**2, np.ones(size), "valid")
    part = samples[np.argmax(energy) :][:size]
    correlation = np.correlate(part, part, "full")[size - 1 :]
    lags = slice(SAMPLE_RATE // 500, SAMPLE_RATE // 60)
    return SAMPLE_RATE / (lags.start + np.argmax(correlation[lags]))


def test_speech_is_float32_below_full_scale_and_of_plausible_length() -> None:
    samples = say("hey ooyahn", FLUTTERING)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0.05 < np.abs(samples).max() < 1
    assert 0.4 < samples.size / SAMPLE_RATE < 1.2


def test_the_same_text_and_voice_give_the_same_samples_whatever_came_before() -> None:
    voices = [FLUTTERING, BREATHY, KLATT, TURKISH]
    first = [say("the wind is up", voice) for voice in voices]
    say("a longer sentence, which leaves the synthesiser in another state", BREATHY)
    time.sleep(1.1)  # espeak seeds its noise with the time in seconds
    again = [say("the wind is up", voice) for voice in reversed(voices)][::-1]
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before, after)


def test_an_error_leaves_the_next_utterance_as_it_was() -> None:
    before = say("one two", FLUTTERING)
    with pytest.raises(ConfigError):
        say("one two", Voice("klingon+zz", 160, 50, 50))
    np.testing.assert_array_equal(say("one two", FLUTTERING), before)


def test_threads_do_not_mix_their_audio() -> None:
    texts = ["one two three", "hello there", "a cup of tea", "good night"] * 3
    alone = [say(text, BREATHY) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: say(text, BREATHY), texts))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_higher_rate_is_shorter_and_a_higher_pitch_is_higher() -> None:
    slow, fast = (say("the wind is up", Voice("en-us+m1", rate, 50, 50)) for rate in (120, 240))
    assert fast.size < 0.65 * slow.size
    low, high = (pitch_hz(say("moon", Voice("en-us+m1", 120, pitch, 50))) for pitch in (20, 80))
    assert 65 < low < 80
    assert 115 < high < 140


def test_variants_and_languages_sound_different() -> None:
    male, female = (pitch_hz(say("moon", Voice(f"en-us+{variant}", 120, 50, 50))) for variant in ("m1", "f1"))
    assert female > 1.3 * male
    english, turkish = (say("hey uyan", Voice(f"{language}+m1", 160, 50, 50)) for language in ("en-us", "tr"))
    assert english.size != turkish.size


@pytest.mark.parametrize("text", ["", "  \n", "."])
def test_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="at least one word"):
        say(text, FLUTTERING)


@pytest.mark.parametrize("name", ["xx+f1", "en-us+nobody", "", "en-us+../f1/x"])
def test_an_unknown_voice_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="no voice"):
        say("hello", Voice(name, 160, 50, 50))


def test_a_missing_library_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ConfigError, match=r"pip install 'uyan\[train\]'"):
        say("hello", FLUTTERING)


def test_a_damaged_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "espeak.so").write_bytes(b"not a library")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "espeak.so"))
    with pytest.raises(ConfigError, match=r"espeak\.so: cannot be loaded"):
        say("hello", FLUTTERING)


@pytest.mark.parametrize("numbers", [(79, 50, 50), (451, 50, 50), (160, -1, 50), (160, 100, 50), (160, 50, 100)])
def test_a_voice_outside_espeaks_range_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="must lie in"):
        Voice("en-us+m1", *numbers)


def test_every_listed_variant_ships() -> None:
    shipped = {path.name for path in (Path(espeakng_loader.get_data_path()) / "voices" / "!v").iterdir()}
    assert set(VARIANTS) <= shipped
    assert len(set(VARIANTS)) == len(VARIANTS)


@given(count=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_drawn_voices_are_distinct_and_a_function_of_the_seed(count: int, seed: int) -> None:
    voices = many_voices(count, ["en-us", "tr", "en-us"], np.random.default_rng(seed))
    assert len({voice.speaker_id for voice in voices}) == count
    assert len({voice.name for voice in voices}) == min(count, 2 * len(VARIANTS))
    assert {voice.language for voice in voices} <= {"en-us", "tr"}
    assert voices == many_voices(count, ["en-us", "tr"], np.random.default_rng(seed))


@pytest.mark.parametrize(("count", "languages"), [(0, ["tr"]), (1, []), (10**9, ["tr"])])
def test_an_impossible_number_of_voices_is_refused(count: int, languages: list[str]) -> None:
    with pytest.raises(ConfigError, match="cannot draw"):
        many_voices(count, languages, np.random.default_rng(0))


def test_every_language_can_be_spoken() -> None:
    spoken = languages()
    assert len(spoken) > 100
    assert spoken["tr"] == "Turkish"
    wordless = set()
    for language in spoken:
        try:
            assert say("1 2 3", Voice(f"{language}+f2", 160, 50, 50)).any()
        except ConfigError as reason:  # a few have no numbers, and are loaded all the same
            assert "has no sound" in str(reason)
            wordless.add(language)
    assert len(wordless) < 0.05 * len(spoken), wordless
    assert not wordless & {"en-us", "en-gb", "tr", "de", "fr", "es"}


def test_a_language_without_its_dictionary_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lang").mkdir()
    (tmp_path / "lang" / "tr").write_text("name Turkish\nlanguage tr\n", encoding="utf-8")
    (tmp_path / "lang" / "ltg").write_text("name Latgalian\ndictionary lv\n", encoding="utf-8")
    (tmp_path / "lang" / "xex").write_text("name Left out\nlanguage xex\n", encoding="utf-8")
    for dictionary in ("tr", "lv"):
        (tmp_path / f"{dictionary}_dict").touch()
    monkeypatch.setattr(espeak, "_espeak_paths", lambda: (tmp_path / "library", tmp_path))
    assert languages() == {"ltg": "Latgalian", "tr": "Turkish"}
