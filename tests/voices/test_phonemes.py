"""Sounds of texts as espeak-ng reads them, without marks."""

import pytest

from uyan.errors import ConfigError
from uyan.voices.phonemes import phonemes, segments, transcribed


def test_spelling_is_read_by_the_rules_of_its_language() -> None:
    assert phonemes("çay", "tr") == ("tʃ", "a", "j")
    assert phonemes("jarvis", "en-us")[0] == "dʒ"
    assert phonemes("jarvis", "tr") != phonemes("jarvis", "en-us")


def test_borders_of_words_make_no_sound_and_every_clause_is_read() -> None:
    assert phonemes("merhaba evim", "tr") == phonemes("merhaba", "tr") + phonemes("evim", "tr")
    assert phonemes("merhaba. evim!", "tr") == phonemes("merhaba evim", "tr")


def test_many_are_read_at_once_as_one_by_one() -> None:
    texts = ["jarvis", "computer", "?!", "hey you"]
    assert transcribed(texts, "en-us")[2] == ()
    assert [transcribed([text], "en-us")[0] for text in texts] == transcribed(texts, "en-us")


@pytest.mark.parametrize(("text", "language"), [("", "en-us"), ("?!", "en-us"), ("jarvis", "xx-nowhere")])
def test_what_has_no_sound_is_refused(text: str, language: str) -> None:
    with pytest.raises(ConfigError):
        phonemes(text, language)


def test_marks_ties_and_switches_of_language_are_left_out() -> None:
    assert segments("d͡ʒˈɑːɹ_vɪs") == ("dʒ", "ɑ", "ɹ", "v", "ɪ", "s")
    assert segments("(en)hˈeɪ(tr)") == ("h", "e", "ɪ")
    assert segments("") == ()


def test_a_country_that_espeak_does_not_tell_apart_is_the_language() -> None:
    assert phonemes("merhaba", "tr-TR") == phonemes("merhaba", "tr")
    assert phonemes("tomato", "en-gb") != phonemes("tomato", "en-us")
    assert phonemes("tomato", "en_GB") == phonemes("tomato", "en-gb")
