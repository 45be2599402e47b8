"""How alike two sequences of sounds are: an edit distance whose costs come from how the sounds are made.

A consonant is its place, manner and voicing, a vowel its height, backness and rounding (IPA chart, 2020); b is nearer
to p than to s. A table this small does here what a library of features (panphon) would with pandas behind it. It knows
nothing of texts.
"""

from collections.abc import Sequence
from typing import NamedTuple

PLACES = (
    "pbmɸβʙɓ",
    "fvɱʋ",
    "θð",
    "tdnszlɾrɹɬɮ",
    "ʃʒɻʂʐʈɖɳɽɭ",
    "cɟɲçʝjɕʑʎ",
    "kɡgŋxɣwɰʟʍ",
    "qɢɴχʁʀ",
    "ħʕ",
    "hɦʔ",
)
"""Consonants from the lips to the glottis."""
MANNERS = (
    "pbtdʈɖcɟkɡgqɢʔɓ",
    "ɸβfvθðszʃʒʂʐçʝɕʑxɣχʁħʕhɦɬɮʍ",
    "mɱnɳɲŋɴ",
    "ʋɹɻjɰwlɭʎʟɾrɽʀʙ",
)
"""Stops, fricatives, nasals, liquids and glides; affricates lie between the first two."""
VOICED = set("bβmʙɓvɱʋðdnzlɾrɹɮʒɻʐɖɳɽɭɟɲʝjʑʎɡgŋɣwɰʟɢɴʁʀʕɦ")
HEIGHTS = ("iyɨʉɯu", "ɪʏʊᵻ", "eøɘɵɤoɚ", "əᵊ", "ɛœɜɞʌɔɝ", "æɐ", "aɶɑɒ")
BACKNESS = ("iyɪʏeøɛœæaɶ", "ɨʉɘɵəɜɞɐᵻɚɝᵊ", "ɯuʊɤoʌɔɑɒ")
ROUND = set("yʏøœɶʉɵɞuʊoɔɒ")
GLIDES = {"j": "iɪy", "w": "uʊo", "ɹ": "ɚɝɜ", "ɰ": "ɯ"}
"""Consonants and the vowels that they nearly are."""
REDUCED = set("əᵊᵻɨɪ")
INSERTED, REDUCED_INSERTED, GLIDE, MARKS = 0.9, 0.5, 0.4, 1.0


class _Consonant(NamedTuple):
    place: int
    manner: float
    voiced: bool


class _Vowel(NamedTuple):
    height: int
    back: int
    round: bool


def sound_distance(one: str, other: str) -> float:
    """Between two IPA segments, from 0, the same, to 1.

    >>> sound_distance("b", "p") < sound_distance("b", "d") < sound_distance("b", "s")
    True
    """
    if one == other:
        return 0.0
    a, b = _made(one), _made(other)
    if isinstance(a, _Consonant) and isinstance(b, _Consonant):
        place, manner = min(abs(a.place - b.place), 4) / 4, min(abs(a.manner - b.manner), 2) / 2
        return max(0.1, 0.4 * place + 0.4 * manner + 0.2 * (a.voiced != b.voiced))
    if isinstance(a, _Vowel) and isinstance(b, _Vowel):
        height, back = min(abs(a.height - b.height), 4) / 4, abs(a.back - b.back) / 2
        return max(0.1, 0.8 * (0.45 * height + 0.4 * back + 0.15 * (a.round != b.round)))
    if other in GLIDES.get(one, "") or one in GLIDES.get(other, ""):
        return GLIDE
    return MARKS


def distance(one: Sequence[str], other: Sequence[str]) -> float:
    """Cost of the cheapest way from one sequence of segments to the other (Wagner and Fischer 1974).

    >>> distance("dog", "dog"), distance("", "dg")
    (0.0, 1.8)
    """
    row = [0.0]
    for sound in other:
        row.append(row[-1] + _alone(sound))
    for mine in one:
        above, row = row, [row[0] + _alone(mine)]
        for column, theirs in enumerate(other):
            replaced = above[column] + sound_distance(mine, theirs)
            row.append(min(replaced, above[column + 1] + _alone(mine), row[-1] + _alone(theirs)))
    return row[-1]


def relative_distance(one: Sequence[str], other: Sequence[str]) -> float:
    """The distance as a share of what leaving out all of `one` costs; 0 is the same, from 1 on nothing is in common."""
    return distance(one, other) / max(1e-9, sum(_alone(sound) for sound in one))


def _alone(sound: str) -> float:
    """Of leaving a sound out, or putting it in."""
    return REDUCED_INSERTED if sound in REDUCED else INSERTED


def _made(sound: str) -> _Consonant | _Vowel | None:
    """How a segment is made; None for one that the table does not have."""
    last = sound[-1]
    place = _index(PLACES, last)
    if place is not None:
        manner = float(_index(MANNERS, last) or 0)
        return _Consonant(place, 0.5 if len(sound) > 1 else manner, last in VOICED)
    height, back = _index(HEIGHTS, sound), _index(BACKNESS, sound)
    return None if height is None or back is None else _Vowel(height, back, sound in ROUND)


def _index(groups: Sequence[str], sound: str) -> int | None:
    return next((number for number, group in enumerate(groups) if sound in group), None)
