"""Fewer recordings of the keyword to train on, as for a learning curve, and what to expect of few.

Speakers are drawn first, then recordings of them, each speaker giving about as many. The order is given by hashes
alone, so that more of either adds to what was there. Validation and test stay whole, and what is dropped
becomes no negative: a network taught that some of the keyword is not the keyword would measure something else.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from uyan.data.member import Member, is_positive

FEW_POSITIVES = 100
"""With fewer to train on, the user is told what to expect."""
FEW_SPEAKERS = 15
"""The same, of voices."""

_Take = tuple[int, int]
"""A recording among its speaker's, counted from 0 in drawing order, and its index in the list of members."""


def limit_positives(
    members: Sequence[Member], keyword: str, max_positives: int | None, max_speakers: int | None, seed: int
) -> list[Member]:
    """The members, in order, with all but so many of the training split's positives excluded.

    `max_speakers` are drawn, then `max_positives` of their recordings, one a speaker in turn; None is no limit. Real
    voices are meant: synthetic ones stay.
    Of as many speakers, fewer positives are a subset of more; all that fewer speakers have is part of what more have.
    """
    takes = _takes_by_speaker(members, keyword, seed)
    speakers = set(list(takes)[:max_speakers])
    in_turn = sorted(
        (take, number, index)
        for number, speaker in enumerate(takes)
        for take, index in takes[speaker]
        if speaker in speakers
    )
    kept = {index for _, _, index in in_turn[:max_positives]}
    limited = list(members)
    for speaker, index in ((speaker, index) for speaker, of_speaker in takes.items() for _, index in of_speaker):
        if index not in kept:
            field, limit = "max_positives", max_positives
            if speaker not in speakers:
                field, limit = "max_positive_speakers", max_speakers
            limited[index] = replace(members[index], excluded=f"left out of training: data.{field} is {limit}")
    return limited


def without_synthetic(members: Sequence[Member]) -> list[Member]:
    """The members, in order, with all synthetic ones of the training split excluded."""
    reason = "left out of training: data.synthetic_share is 0"
    return [
        replace(m, excluded=m.excluded or reason) if m.split == "train" and m.recording.synthetic else m
        for m in members
    ]


def speakers_needed(members: Sequence[Member], keyword: str, positives: int, seed: int) -> int:
    """How many speakers `limit_positives` must draw to find so many positives; all where there are fewer."""
    held = 0
    takes = _takes_by_speaker(members, keyword, seed)
    for number, of_speaker in enumerate(takes.values(), 1):
        held += len(of_speaker)
        if held >= positives:
            return number
    return len(takes)


def training_positives(members: Sequence[Member], keyword: str) -> Iterator[tuple[int, Member]]:
    """Index and member of each recording of the keyword that is trained on."""
    for index, member in enumerate(members):
        if member.split == "train" and member.active and is_positive(member.recording, keyword):
            yield index, member


def expectation(positives: int, speakers: int) -> str | None:
    """What to expect of a training split with few positives or few speakers of them; None where there are enough.

    >>> expectation(400, 40) is None
    True
    >>> print(expectation(400, 5))
    only 5 speakers of the keyword to train on: expect voices unlike theirs to be missed, however many recordings ...
    """
    few_positives, few_speakers = positives < FEW_POSITIVES, speakers < FEW_SPEAKERS
    if not (few_positives or few_speakers):
        return None
    if few_speakers and not few_positives:
        found = f"only {_count(speakers, 'speaker')} of the keyword to train on"
        expect = "expect voices unlike theirs to be missed, however many recordings each of them gives"
    else:
        found = f"only {_count(positives, 'recording')} of the keyword by {_count(speakers, 'speaker')} to train on"
        expect = "expect many misses, most of all of other voices, in noise and far from the microphone"
    more = (
        f"New voices help most, up to {FEW_SPEAKERS} speakers and beyond, a few recordings of each"
        if few_speakers
        else f"More recordings help, {FEW_POSITIVES} and beyond, best of new voices"
    )
    return f"{found}: {expect}. {more}; `uyan curve RECIPE` measures what more would buy with these recordings"


def _takes_by_speaker(members: Sequence[Member], keyword: str, seed: int) -> dict[str, list[_Take]]:
    """The training split's positives of each speaker, speakers and recordings in the order in which they are drawn."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, member in training_positives(members, keyword):
        if not member.recording.synthetic:
            found[member.recording.speaker_id].append(index)
    return {
        speaker: list(enumerate(sorted(found[speaker], key=lambda i: _drawn(members[i].content_sha1, seed))))
        for speaker in sorted(found, key=lambda speaker: _drawn(speaker, seed))
    }


def _drawn(name: str, seed: int) -> bytes:
    """A place in the drawing order that depends on nothing else in the data."""
    return hashlib.sha256(f"limit|{seed}|{name}".encode()).digest()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
