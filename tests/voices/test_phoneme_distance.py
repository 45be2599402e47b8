"""Sounds made alike are near, and the distance is a metric on sequences of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.voices.phoneme_distance import HEIGHTS, INSERTED, PLACES, distance, relative_distance, sound_distance

SOUNDS = st.sampled_from([*"".join(PLACES), *"".join(HEIGHTS), "tʃ", "dʒ", "?"])
SEQUENCES = st.lists(SOUNDS, max_size=5)


@pytest.mark.parametrize(
    ("sound", "near", "far"),
    [
        ("b", "p", "s"),
        ("s", "z", "m"),
        ("m", "n", "k"),
        ("dʒ", "tʃ", "m"),
        ("i", "ɪ", "ɑ"),
        ("u", "ʊ", "æ"),
        ("j", "i", "ɑ"),
        ("ɹ", "ɚ", "s"),
        ("t", "d", "a"),
    ],
)
def test_what_is_made_alike_is_nearer(sound: str, near: str, far: str) -> None:
    assert 0 < sound_distance(sound, near) < sound_distance(sound, far) <= 1


@given(SOUNDS, SOUNDS)
def test_sounds_are_as_far_from_each_other_either_way(one: str, other: str) -> None:
    assert sound_distance(one, other) == sound_distance(other, one)
    assert (sound_distance(one, other) == 0) == (one == other)


@settings(max_examples=200)
@given(SEQUENCES, SEQUENCES)
def test_the_distance_is_symmetric_and_zero_only_of_the_same(one: list[str], other: list[str]) -> None:
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert (distance(one, other) < 1e-9) == (one == other)
    assert distance(one, other) <= distance(one, []) + distance([], other) + 1e-9


@given(SEQUENCES, SOUNDS, st.integers(0, 5))
def test_one_more_sound_costs_no_more_than_putting_it_in(word: list[str], sound: str, at: int) -> None:
    longer = [*word[:at], sound, *word[at:]]
    assert distance(word, longer) <= INSERTED + 1e-9


def test_worked_by_hand() -> None:
    # k→g: same place and manner, other voicing; ə left out.
    assert distance("kəm", "gəm") == pytest.approx(0.2)
    assert distance("kəm", "km") == pytest.approx(0.5)
    assert relative_distance("kəm", "km") == pytest.approx(0.5 / 2.3)
    assert relative_distance("", "km") > 1
