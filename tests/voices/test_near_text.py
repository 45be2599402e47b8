"""What almost is a word: plausible, never the word itself, and other texts to test with than to train with."""

import pytest

from uyan.errors import ConfigError
from uyan.voices.near_text import (
    FIRST,
    LAST,
    LONGER,
    NEAR,
    NEAREST,
    REAL,
    REPEATED,
    RHYME,
    TURNED,
    checked_half,
    near_texts,
)
from uyan.voices.order import NEAR_TEXTS
from uyan.voices.phonemes import phonemes

WORDS = [("jarvis", "en-us"), ("computer", "en-us"), ("hey uyan", "tr"), ("merhaba evim", "tr")]


def texts(word: str, language: str, category: str) -> set[str]:
    return {near.text for near in near_texts(word, language) if near.category == category}


@pytest.mark.parametrize(("word", "language"), WORDS)
def test_nothing_near_the_word_sounds_like_it(word: str, language: str) -> None:
    found = near_texts(word, language)
    assert {near.category for near in found} >= {FIRST, LAST, TURNED, REPEATED, NEAR, LONGER}
    assert len({near.text for near in found}) == len(found) > 100
    said = "".join(phonemes(word, language))
    for near in found:
        assert near.text != word and "".join(near.phonemes) != said
        assert near.distance >= NEAREST
        assert near.category == LONGER or said not in "".join(near.phonemes)


@pytest.mark.parametrize(("word", "language"), WORDS)
def test_texts_for_the_test_are_not_trained_on(word: str, language: str) -> None:
    train, test = ({near.text for near in near_texts(word, language, half)} for half in ("train", "test"))
    assert not train & test
    assert train | test == {near.text for near in near_texts(word, language)}
    assert 0.3 < len(train) / len(train | test) < 0.7


@pytest.mark.parametrize(("word", "language"), WORDS)
def test_nothing_trained_on_sounds_like_a_text_of_the_test(word: str, language: str) -> None:
    train, test = ({near.phonemes for near in near_texts(word, language, half)} for half in ("train", "test"))
    assert not train & test


@pytest.mark.parametrize(("word", "language"), [*WORDS, ("hey uyan", "en-us"), ("hey rosalind", "en-us")])
def test_either_half_has_every_category(word: str, language: str) -> None:
    for half in ("train", "test"):
        said = {near.category for near in near_texts(word, language, half)[:NEAR_TEXTS]}
        assert said >= {FIRST, LAST, TURNED, REPEATED, NEAR, LONGER}


def test_neither_lexicon_nor_spellings_move_a_text() -> None:
    lexicon, spellings = ["harvest", "marvelous", "marvis", "jar"], ["jarvess", "garvis"]
    for half, other in (("train", "test"), ("test", "train")):
        alone = {near.phonemes for near in near_texts("jarvis", "en-us", half)}
        assert not alone & {near.phonemes for near in near_texts("jarvis", "en-us", other, lexicon, spellings)}


def test_a_capital_is_the_letter_of_its_language() -> None:
    assert near_texts("Işıl", "tr") == near_texts("ışıl", "tr")
    assert near_texts("İzmir", "tr") == near_texts("izmir", "tr")
    assert near_texts("\u0130zmir", "tr") == near_texts("I\u0307zmir", "tr")
    assert near_texts("IGOR", "en-us") == near_texts("igor", "en-us")


def test_a_real_word_is_one_text_however_it_is_spaced_and_composed() -> None:
    for half in ("train", "test"):
        one, other = (
            near_texts("mélodie", "en-us", half, lexicon=[word]) for word in ("m\u00e9lo  die", "me\u0301lo die")
        )
        assert one == other


def test_what_a_person_would_name() -> None:
    assert {"jar", "jarv"} <= texts("jarvis", "en-us", FIRST)
    assert {"vis", "arvis"} <= texts("jarvis", "en-us", LAST)
    assert "visjar" in texts("jarvis", "en-us", TURNED)
    assert "marvis" in texts("jarvis", "en-us", RHYME)
    assert "jarvisson" in texts("jarvis", "en-us", LONGER)
    assert "uyan hey" in texts("hey uyan", "tr", TURNED)
    assert {"hey"} <= texts("hey uyan", "tr", FIRST) and {"uyan"} <= texts("hey uyan", "tr", LAST)
    assert "evim evim" in texts("merhaba evim", "tr", REPEATED)


def test_the_nearest_of_each_category_come_in_turn() -> None:
    found = near_texts("jarvis", "en-us")
    assert len({near.category for near in found[:7]}) == 7
    for category in (NEAR, RHYME):
        distances = [near.distance for near in found if near.category == category]
        assert distances == sorted(distances)


def test_real_words_are_taken_where_they_are_near_and_spellings_of_the_word_are_not() -> None:
    found = near_texts("jarvis", "en-us", lexicon=["Harvest", "marvelous", "umbrella", "Jarvis"], spellings=["jarvess"])
    assert {near.text for near in found if near.category == REAL} == {"harvest", "marvelous"}
    assert "jarvess" not in {near.text for near in found}
    assert near_texts("jarvis", "en-us") == near_texts("Jarvis ", "en-us")


@pytest.mark.parametrize("word", ["", "?!", "x" * 10_000])
def test_what_is_no_word_is_refused(word: str) -> None:
    with pytest.raises(ConfigError):
        near_texts(word, "en-us")


def test_a_half_is_one_of_two() -> None:
    assert checked_half(None) is None and checked_half("test") == "test"
    with pytest.raises(ConfigError, match="is none of train, test"):
        checked_half("validation")
