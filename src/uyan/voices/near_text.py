"""What to let voices say that a detector of a word must not take for it: parts, turns, rhymes and neighbours of it.

Each text has a category, by which accept rates are reported. Texts for training and for the test share no sounds, and
every category of two texts or more has some on either side. Neighbours are spelt, not
transcribed, so that any engine can say them; how near they are is measured on their sounds. It knows no engine.
"""

import hashlib
import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from uyan.errors import ConfigError
from uyan.voices.phoneme_distance import relative_distance
from uyan.voices.phonemes import phonemes, transcribed
from uyan.voices.speech import checked_text

Half = Literal["train", "test"]
FIRST, LAST, TURNED, REPEATED = "first part", "last part", "turned around", "repeated part"
RHYME, NEAR, REAL, LONGER = "rhyme", "near word", "real word", "inside a longer word"

DOTTED = ("tr", "az")
"""Languages in which ı and i are two letters, İ and I their capitals."""

READ_AS = "en-us"
"""Language of a word that nobody names one for."""
NEAREST, FARTHEST = 0.12, 0.45
"""Relative distances between which a text is a neighbour: below, it is the word said badly."""
LEAST_PART, MOST_PART = 0.3, 0.8
"""Shares of the word's letters that a part has."""
VOWELS = set("aeiouyıöüâîûäåæøàáèéêëìíòóôõùúœ")
ONSETS = {
    "tr": (*"bcçdfghklmnprsştvyz",),
    "en": (*"bdfghjklmnprstvwyz", "ch", "sh", "st", "tr", "br", "fl", "kl", "sp"),
}
SWAPS = {
    "tr": ("aeıioöuü", "bcçdfgğhjklmnprsştvyz"),
    "en": ("aeiou", "bcdfghjklmnprstvwz"),
}
BEFORE = {"tr": ("ba", "ka", "sa", "te", "o"), "en": ("super", "un", "re", "al", "me")}
AFTER = {"tr": ("lar", "dan", "cı", "sız", "mış", "ın"), "en": ("ton", "son", "ing", "able", "ette", "us")}


@dataclass(frozen=True)
class NearText:
    """What to say."""

    text: str
    category: str
    distance: float
    """From the word, relative: 0 is the same."""
    phonemes: tuple[str, ...]


def checked_half(name: str | None) -> Half | None:
    """Raises ConfigError for what is neither half."""
    if name is not None and name not in get_args(Half):
        raise ConfigError(f"--near {name!r}: is none of {', '.join(get_args(Half))}")
    return cast(Half | None, name)


def near_texts(
    word: str,
    language: str = READ_AS,
    half: Half | None = None,
    lexicon: Sequence[str] = (),
    spellings: Sequence[str] = (),
) -> list[NearText]:
    """All that is near the word, the nearest of each category in turn.

    `lexicon` are real words to look for neighbours in, `spellings` other ways to write the word, which are it. Raises
    ConfigError for a word or a language that cannot be said.
    """
    given = [_plain(checked_text(each), language) for each in (word, *spellings)]
    said = [phonemes(each, language) for each in given]
    asked: dict[str, str] = {}
    for text, category in (*_made(given[0], language), *((each, REAL) for each in lexicon)):
        asked.setdefault(_plain(text, language), category)
    near = _near(asked, said, language)
    halves = _halves(near)
    found: dict[str, list[NearText]] = defaultdict(list)
    for each in near:
        if half not in (None, halves[each.phonemes]) or each.text in given:
            continue
        nearest = min(relative_distance(way, each.phonemes) for way in said)
        if _confusable(each.phonemes, nearest, each.category, said):
            found[each.category].append(replace(each, distance=nearest))
    for texts in found.values():
        texts.sort(key=lambda near: (near.distance, near.text))
    turns = itertools.zip_longest(*found.values())
    return [near for turn in turns for near in turn if near is not None]


def _plain(text: str, language: str) -> str:
    """Small letters, as the language has them, and single spaces.

    >>> _plain("IŞIK  İyi", "tr"), _plain("IŞIK", "en-us")
    ('ışık iyi', 'işik')
    """
    composed = unicodedata.normalize("NFC", text)
    if language[:2].lower() in DOTTED:
        composed = composed.replace("I", "ı").replace("İ", "i")
    return " ".join(composed.lower().split())


def _near(asked: dict[str, str], said: Sequence[tuple[str, ...]], language: str) -> list[NearText]:
    """Of texts with their categories those that are near the word, real ones also near another spelling of it."""
    found = []
    for (text, category), sounds in zip(asked.items(), transcribed(asked, language), strict=True):
        if sounds:
            ways = said if category == REAL else said[:1]
            nearest = min(relative_distance(each, sounds) for each in ways)
            if _confusable(sounds, nearest, category, ways):
                found.append(NearText(text, category, nearest, sounds))
    return found


def _halves(near: Sequence[NearText]) -> dict[tuple[str, ...], Half]:
    """The half of each sequence of sounds, whatever lexicon and spellings are given.

    What is made of the word goes to either half in turn, in the order of a hash and category by category, the only one
    to the test; real words go by their hash.
    """
    categories: dict[tuple[str, ...], str] = {}
    for text in near:
        categories.setdefault(text.phonemes, text.category)
    turns: Counter[str] = Counter()
    halves: dict[tuple[str, ...], Half] = {}
    for digest, sounds in sorted((_digest(sounds), sounds) for sounds in categories):
        category = categories[sounds]
        halves[sounds] = "train" if (digest[0] if category == REAL else turns[category]) % 2 else "test"
        turns[category] += 1
    return halves


def _digest(sounds: Sequence[str]) -> bytes:
    return hashlib.sha256(f"near|{' '.join(sounds)}".encode()).digest()


def _confusable(sounds: Sequence[str], nearest: float, category: str, said: Sequence[Sequence[str]]) -> bool:
    """Whether a text is neither the word nor holds it, unless it is to, and is near enough to be mistaken for it."""
    if nearest < NEAREST or (category in (NEAR, REAL, RHYME) and nearest > FARTHEST):
        return False
    return category == LONGER or not any(_holds(sounds, word) for word in said)


def _holds(sounds: Sequence[str], word: Sequence[str]) -> bool:
    return any(tuple(sounds[at : at + len(word)]) == tuple(word) for at in range(len(sounds) - len(word) + 1))


def _made(word: str, language: str) -> Iterator[tuple[str, str]]:
    """Texts and their categories, whatever they sound like."""
    rules = "tr" if language.startswith("tr") else "en"
    words = word.split()
    pieces = words if len(words) > 1 else _syllables(word)
    space = " " if len(words) > 1 else ""
    for text in _parts(word, pieces, space, first=True):
        yield text, FIRST
    for text in _parts(word, pieces, space, first=False):
        yield text, LAST
    if len(words) > 1:
        syllables = [syllable for each in words for syllable in _syllables(each)]
        for cut in range(1, len(syllables)):
            yield " ".join(syllables[cut:] + syllables[:cut]), TURNED
    elif len(pieces) == 2:
        for cut in _cuts(word):
            yield f"{word[cut:]} {word[:cut]}", TURNED
    if len(pieces) > 1:
        for order in itertools.islice(itertools.permutations(pieces), 1, 7):
            yield space.join(order), TURNED
            yield " ".join(order), TURNED
        yield space.join([pieces[-1], *pieces[:-1]]), TURNED
    for piece in pieces:
        yield from ((space.join([piece] * 2), REPEATED), (" ".join([piece] * 3), REPEATED))
    yield from ((f"{pieces[0]} {pieces[0]} {pieces[-1]}", REPEATED), (f"{pieces[-1]} {pieces[-1]}", REPEATED))
    for text in _in_last_word(words, _rhymes(words[-1], rules)):
        yield text, RHYME
    for number, each in enumerate(words):
        for changed in _edits(each, rules):
            yield " ".join([*words[:number], changed, *words[number + 1 :]]), NEAR
    for before, after in itertools.product(("", *BEFORE[rules]), ("", *AFTER[rules])):
        if before or after:
            yield before + word + after, LONGER


def _parts(word: str, pieces: Sequence[str], space: str, first: bool) -> Iterator[str]:
    """The beginning or the end of the word: whole pieces, then cut anywhere in its middle."""
    for count in range(1, len(pieces)):
        yield space.join(pieces[:count] if first else pieces[-count:])
    for kept in _cuts(word):
        yield (word[:kept] if first else word[-kept:]).strip()


def _cuts(word: str) -> range:
    """Letters that a part may have."""
    return range(max(2, round(LEAST_PART * len(word))), round(MOST_PART * len(word)) + 1)


def _syllables(word: str) -> list[str]:
    """Cut before the last consonant in front of each vowel but the first: rough, and the same in every language.

    >>> _syllables("jarvis"), _syllables("computer"), _syllables("günaydın")
    (['jar', 'vis'], ['com', 'pu', 'ter'], ['gü', 'nay', 'dın'])
    """
    plain = unicodedata.normalize("NFC", word)
    vowels = [
        at for at, char in enumerate(plain) if char in VOWELS and not (char == "y" and plain[at + 1 : at + 2] in VOWELS)
    ]
    cuts = [at - 1 for at in vowels[1:] if at - 1 not in vowels]
    borders = [0, *cuts, len(plain)]
    return [plain[start:end] for start, end in itertools.pairwise(borders)]


def _rhymes(word: str, rules: str) -> Iterator[str]:
    """The word with another onset."""
    rest = re.sub(rf"^[^{''.join(VOWELS)}]*", "", word)
    for onset in ("", *ONSETS[rules]):
        yield onset + rest


def _edits(word: str, rules: str) -> Iterator[str]:
    """One letter changed, left out, or put in; then two changed."""
    vowels, consonants = SWAPS[rules]
    once = list(dict.fromkeys(_one_edit(word, vowels, consonants)))
    yield from once
    for changed in once[:: max(1, len(once) // 40)]:
        yield from itertools.islice(_one_edit(changed, vowels, consonants), 0, None, 7)


def _one_edit(word: str, vowels: str, consonants: str) -> Iterator[str]:
    for at, char in enumerate(word):
        alike = vowels if char in vowels else consonants
        yield from (word[:at] + other + word[at + 1 :] for other in alike if other != char)
        if len(word) > 3:
            yield word[:at] + word[at + 1 :]
        if char in vowels:
            yield from (word[: at + 1] + other + word[at + 1 :] for other in "lnrs")


def _in_last_word(words: Sequence[str], changed: Iterable[str]) -> Iterator[str]:
    return (" ".join([*words[:-1], each]) for each in changed if each)
