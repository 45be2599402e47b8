"""Which recordings train, which validate, which test, and the guard that nothing leaks between them.

Each speaker sits at a fixed point of a circle, given by a hash of its id alone, and the splits are arcs of that circle:
adding recordings moves no speaker, and the K folds are the same arcs, turned by one fold (MISSION 1.2, 5.1). The one
exception: where an arc is empty, as happens with few speakers, its nearest are moved in; `Member.moved_from` says who.
Synthetic voices judge only what no real voice can: with two people who say the word or more, they train.
Near-duplicate takes across splits stay only in the split that judges; within a split the same take counts once.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from uyan.data.duplicates.duplicate_groups import DuplicateLink
from uyan.data.duplicates.duplicate_groups import groups as connected
from uyan.data.member import Member, Split, is_positive
from uyan.data.probe import Probe
from uyan.data.recording import Recording
from uyan.errors import ConfigError, DataError, LeakageError

SAME_RECORDING_SHARE = 0.1
"""Takes of a group whose durations differ by less are one recording; others merely share a part, such as a jingle."""
_JUDGES_FIRST: tuple[Split, ...] = ("test", "validation", "train")


@dataclass(frozen=True)
class SplitConfig:
    """Shares of speakers, and which turn of the circle."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    validation: float = 0.2
    test: float = 0.2
    folds: int = 5
    """Turns of the circle that bring every speaker into the test arc once when test = 1/folds."""
    fold: int = 0
    seed: int = 42
    official: bool = False
    """Speakers whom a manifest's column `split` places go there, and not where their id points."""

    def __post_init__(self) -> None:
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            raise ConfigError("split: validation and test must be positive and leave a share for train")
        if not 0 <= self.fold < self.folds:
            raise ConfigError(f"split.fold must lie in 0..{self.folds - 1}, not {self.fold}")


def circle_position(speaker_id: str, seed: int) -> float:
    """Where a speaker sits, in [0, 1).

    >>> round(circle_position("ada", 42), 4)
    0.3233
    """
    digest = hashlib.sha256(f"{seed}|{speaker_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(speaker_id: str, config: SplitConfig) -> Split:
    """The arc a speaker falls in."""
    turned = _turned(speaker_id, config)
    if turned < config.test:
        return "test"
    return "validation" if turned < config.test + config.validation else "train"


def _turned(speaker_id: str, config: SplitConfig) -> float:
    """Where a speaker sits in this fold, in [0, 1)."""
    return (circle_position(speaker_id, config.seed) + config.fold / config.folds) % 1.0


def assign(
    recordings: Sequence[Recording],
    probes: Sequence[Probe],
    groups: Iterable[Sequence[int]],
    keyword: str,
    config: SplitConfig,
) -> list[Member]:
    """Place every recording.

    `groups` are indices of near-duplicate takes; exact copies are found here. While every arc holds speakers, more
    recordings move nobody; while one is empty, they may change who is moved into it (`Member.moved_from`). Raises
    DataError when the keyword does not occur, has too few speakers to be split, or there is no negative material.
    """
    _require_material(recordings, keyword)
    hashed = _hashed(recordings, keyword, config)
    speakers = dict(hashed)
    _fill_empty_splits(recordings, keyword, speakers, config)
    members = []
    for index, (r, probe) in enumerate(zip(recordings, probes, strict=True)):
        split, by_hash = speakers[r.speaker_id], hashed[r.speaker_id]
        moved_from: Split | Literal[""] = by_hash if by_hash != split else ""
        astray = config.official and r.split not in ("", split)
        excluded = f"its speaker is also in the official {split} split" if astray else ""
        members.append(Member(r, probe.content_sha1, probe.duration_s, split, index, True, excluded, moved_from))
    for group in _with_copies(groups, probes):
        _settle_group(members, group)
    leakage_guard(members)
    return members


def _hashed(recordings: Sequence[Recording], keyword: str, config: SplitConfig) -> dict[str, Split]:
    """The arc of each speaker; of a synthetic one, training instead of a split that real voices can serve."""
    real = {r.speaker_id for r in recordings if is_positive(r, keyword) and not r.synthetic}
    served = _JUDGES_FIRST[: min(2, len(real))]
    hashed = {r.speaker_id: split_of(r.speaker_id, config) for r in recordings}
    if config.official:
        hashed |= official_splits(recordings)
    for speaker_id in {r.speaker_id for r in recordings if r.synthetic}:
        if hashed[speaker_id] in served:
            hashed[speaker_id] = "train"
    return hashed


def official_splits(recordings: Sequence[Recording]) -> dict[str, Split]:
    """Where publishers put speakers; one whom they put into several splits judges, as a test speaker if possible."""
    placed: dict[str, Split] = {}
    for split in reversed(_JUDGES_FIRST):
        placed |= {r.speaker_id: split for r in recordings if r.split == split}
    return placed


def judges(recordings: Sequence[Recording], probes: Sequence[Probe], groups: Iterable[Sequence[int]]) -> list[Member]:
    """Every recording in the test split, the same take once: for a detector that is finished."""
    members = [
        Member(r, probe.content_sha1, probe.duration_s, "test", index, True)
        for index, (r, probe) in enumerate(zip(recordings, probes, strict=True))
    ]
    for group in _with_copies(groups, probes):
        _settle_group(members, group)
    return members


def _require_material(recordings: Sequence[Recording], keyword: str) -> None:
    positives = [r for r in recordings if is_positive(r, keyword)]
    if not positives:
        labels = sorted({r.label for r in recordings if r.kind == "keyword"})
        raise DataError(
            f"the keyword {keyword!r} does not occur; keyword labels in the data: {', '.join(labels) or '–'}"
        )
    speakers = len({r.speaker_id for r in positives})
    if speakers < 3:
        raise DataError(
            f"{speakers} speaker(s) of {keyword!r}; at least 3 are needed, one each to train, validate and test on. "
            "Record more people, or give every recording its speaker_id"
        )
    others = [r for r in recordings if r.kind in ("keyword", "negative") and not is_positive(r, keyword)]
    if len({r.speaker_id for r in others}) < 3:
        raise DataError("no negatives, or fewer than 3 speakers of them; add other speech of 3 speakers or more")


def _fill_empty_splits(
    recordings: Sequence[Recording], keyword: str, speakers: dict[str, Split], config: SplitConfig
) -> None:
    """With few speakers an arc can be empty: give it the nearest speaker of a split that has some to spare.

    A speaker moves only where this empties no split of positives or negatives. Those two can always be served: of
    the speakers that crowd one split, either two are in the other stratum as well, or one is not and may go.
    """
    positives = {r.speaker_id for r in recordings if is_positive(r, keyword)}
    negatives = {r.speaker_id for r in recordings if r.kind in ("keyword", "negative") and not is_positive(r, keyword)}
    # Nobody who speaks moves for the sake of noise.
    noises = {r.speaker_id for r in recordings if r.kind == "noise"} - positives - negatives
    strata = positives, negatives, noises
    fixed = set(official_splits(recordings)) if config.official else set()
    made = {r.speaker_id for r in recordings if r.synthetic}
    for stratum in strata:
        for split in _JUDGES_FIRST:
            held = Counter(speakers[i] for i in stratum)
            spare = [i for i in stratum if not held[split] and i not in fixed and _can_leave(i, strata, speakers)]
            if spare:
                nearest = min(spare, key=lambda i: (i in made, -held[speakers[i]], _distance(i, split, config), i))
                speakers[nearest] = split


def _can_leave(speaker_id: str, strata: Iterable[set[str]], speakers: dict[str, Split]) -> bool:
    """Whether each of these strata that the speaker is in has another one in the same split."""
    return all(
        any(speakers[other] == speakers[speaker_id] for other in stratum - {speaker_id})
        for stratum in strata
        if speaker_id in stratum
    )


def _distance(speaker_id: str, split: Split, config: SplitConfig) -> float:
    """How far along the circle a speaker outside an arc sits from it."""
    arcs = {
        "test": (0.0, config.test),
        "validation": (config.test, config.test + config.validation),
        "train": (config.test + config.validation, 1.0),
    }
    start, end = arcs[split]
    turned = _turned(speaker_id, config)
    return min((start - turned) % 1.0, (turned - end) % 1.0)


def _with_copies(groups: Iterable[Sequence[int]], probes: Sequence[Probe]) -> list[list[int]]:
    """The groups, with recordings of exactly the same audio joined to them: fingerprints do not see the quietest."""
    links = [DuplicateLink(group[0], other, 1.0) for group in groups for other in group[1:]]
    first: dict[str, int] = {}
    for index, probe in enumerate(probes):
        if (original := first.setdefault(probe.content_sha1, index)) != index:
            links.append(DuplicateLink(original, index, 1.0))
    return connected(links, len(probes))


def _settle_group(members: list[Member], group: Sequence[int]) -> None:
    home = next(s for s in _JUDGES_FIRST if any(members[i].split == s for i in group))
    staying = [i for i in group if members[i].split == home]
    first = next((i for i in staying if members[i].recording.kind == "keyword"), staying[0])
    counted: list[Member] = []
    for i in [first, *(i for i in group if i != first)]:
        member = members[i]
        if member.split != home:
            reason = f"near-duplicate of {members[first].recording.path} in {home}"
            members[i] = replace(member, group=first, excluded=reason)
        else:
            repeated = any(_same_take(member, other) for other in counted)
            members[i] = replace(member, group=first, counted=not repeated)
            counted += [] if repeated else [member]


def _same_take(member: Member, other: Member) -> bool:
    """Whether one of a near-duplicate group repeats another: a word always, other recordings only as a whole."""
    if member.recording.kind == "keyword":
        return True
    close = abs(member.duration_s - other.duration_s) <= SAME_RECORDING_SHARE * other.duration_s
    return member.content_sha1 == other.content_sha1 or close


def leakage_guard(members: Sequence[Member]) -> None:
    """Raise LeakageError, naming both files, if anything that took part stands in two splits (MISSION 1.3)."""
    checks: tuple[tuple[str, Callable[[Member], object]], ...] = (
        ("the same recording id", lambda m: m.recording.id),
        ("the same speaker", lambda m: m.recording.speaker_id),
        ("the same audio", lambda m: m.content_sha1),
        ("near-duplicate audio", lambda m: m.group),
    )
    for what, key in checks:
        first: dict[object, Member] = {}
        for member in members:
            if member.excluded:
                continue
            other = first.setdefault(key(member), member)
            if other.split != member.split:
                raise LeakageError(
                    f"{what} in {other.split} and {member.split}: {other.recording.file} and {member.recording.file}"
                )
