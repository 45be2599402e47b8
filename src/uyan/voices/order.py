"""What a corpus is asked for: the word or its texts, in which sentences, how many takes; checked, and read from files.

It knows nothing of voices.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

import numpy as np

from uyan.data.recording import normal_word
from uyan.errors import ConfigError
from uyan.voices.near_text import NearText
from uyan.voices.phrase import Phrase, make_phrase
from uyan.voices.speech import checked_text

Kind = Literal["keyword", "negative"]
Format = Literal["wav", "flac"]
Item = TypeVar("Item")

MAX_TEXTS_BYTES = 10_000_000
NEAR_TEXTS = 150
"""So many of what is near a word, the nearest of each category in turn: more would nearly all be of one."""


@dataclass(frozen=True)
class Order:
    """What is wanted."""

    label: str
    """The word; empty for negatives, each of which is labelled with its own text."""
    texts: tuple[str, ...]
    """The word's spellings, or what negatives say."""
    carriers: tuple[str, ...] = ("{}",)
    """Sentences with {} for the word."""
    kind: Kind = "keyword"
    seed: int = 42
    takes: int = 4
    """Clips of each speaker."""
    format: Format = "wav"
    categories: tuple[str, ...] = ()
    """What each of the texts is labelled with, where neither the word nor the text is the label."""

    def phrases(self) -> list[Phrase]:
        """Every text in every carrier. Raises ConfigError for one that cannot be said."""
        if not self.texts or not self.carriers or self.takes < 1:
            raise ConfigError("nothing to say: give at least one text, one carrier and one take")
        return [make_phrase(text, carrier) for text in self.texts for carrier in self.carriers]

    def labels(self) -> list[str]:
        """The label of each of the phrases."""
        own = self.categories or tuple(self.label or text for text in self.texts)
        return [normal_word(label) for label in own for _ in self.carriers]

    def draws(self, rng: np.random.Generator) -> Iterator[int]:
        """Which of the phrases is said next, without end: every category as often as the others, and each of its texts.

        Without categories any phrase, at random.
        """
        groups: dict[str, list[int]] = defaultdict(list)
        for at, category in enumerate(self.labels()):
            groups[category].append(at)
        if not self.categories:
            while True:
                yield int(rng.integers(sum(map(len, groups.values()))))
        shuffled = {category: _shuffled(texts, rng) for category, texts in groups.items()}
        for category in _shuffled(list(groups), rng):
            yield next(shuffled[category])


def make_order(
    word: str,
    texts: Path | None = None,
    carriers: Sequence[str] = (),
    kind: str = "keyword",
    seed: int = 42,
    takes: int = 4,
    audio_format: str = "wav",
) -> Order:
    """An order from what a user gives; `texts` is a file with one text a line. Raises ConfigError where it is wrong."""
    if kind not in get_args(Kind):
        raise ConfigError(f"kind {kind!r}: is none of {', '.join(get_args(Kind))}")
    if audio_format not in get_args(Format):
        raise ConfigError(f"format {audio_format!r}: is none of {', '.join(get_args(Format))}")
    label = checked_text(word) if kind == "keyword" else ""
    said = (word,) if texts is None else _lines(texts)
    return Order(label, said, tuple(carriers) or ("{}",), cast(Kind, kind), seed, takes, cast(Format, audio_format))


def near_order(
    near: Sequence[NearText], seed: int = 42, takes: int = 4, carriers: Sequence[str] = (), audio_format: str = "wav"
) -> Order:
    """An order of what is near a word, labelled by category; ConfigError where there is nothing near it."""
    if not near:
        raise ConfigError("nothing is near that word; it is too short, or --language is not its own")
    said = near[:NEAR_TEXTS]
    order = make_order("", None, carriers, "negative", seed, takes, audio_format)
    return replace(order, texts=tuple(n.text for n in said), categories=tuple(n.category for n in said))


def word_list(path: Path | None) -> tuple[str, ...]:
    """One word or text a line; none without a file. Raises ConfigError for one that cannot be read."""
    return _lines(path) if path else ()


def _shuffled(items: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """All of them in random order, again and again."""
    while True:
        yield from (items[at] for at in rng.permutation(len(items)))


def _lines(path: Path) -> tuple[str, ...]:
    """The lines that are not empty, each once; # begins a comment."""
    try:
        if path.stat().st_size > MAX_TEXTS_BYTES:
            raise ConfigError(f"{path}: too large for a list of texts, one a line")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as reason:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({reason})") from reason
    texts = tuple(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#")))
    if not texts:
        raise ConfigError(f"{path}: no text in it; write one a line")
    return texts
