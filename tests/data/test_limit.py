"""Fewer positives to train on: exactly so many, smaller sets inside larger ones, and nobody else touched."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.limit import expectation, limit_positives, speakers_needed, training_positives, without_synthetic
from uyan.data.member import Member, Split
from uyan.data.recording import Kind, Recording
from uyan.data.split import leakage_guard

KEYWORD = "uyan"


def member(
    speaker: str,
    take: int = 0,
    split: Split = "train",
    label: str = KEYWORD,
    kind: Kind = "keyword",
    counted: bool = True,
) -> Member:
    path = f"{split}/{label}/{speaker}/{take}.wav"
    recording = Recording(path, Path("/data"), label, f"{split}:{speaker}", True, 1.0, kind, "", "")
    return Member(recording, f"sha1 of {path}", 1.0, split, 0, counted)


def said(*counts: int) -> list[Member]:
    """Speaker after speaker with so many positives each."""
    return [member(f"voice{number}", take) for number, count in enumerate(counts) for take in range(count)]


def kept(members: list[Member], positives: int | None, speakers: int | None, seed: int = 42) -> set[str]:
    limited = limit_positives(members, KEYWORD, positives, speakers, seed)
    return {m.recording.path for _, m in training_positives(limited, KEYWORD)}


def speaker(path: str) -> str:
    return path.split("/")[2]


def test_without_limits_nothing_changes() -> None:
    members = said(3, 4)
    assert limit_positives(members, KEYWORD, None, None, 42) == members
    assert limit_positives(members, KEYWORD, 7, 2, 42) == members
    assert limit_positives([], KEYWORD, 7, 2, 42) == []


def test_synthetic_voices_are_no_part_of_the_limits() -> None:
    made = replace(member("voice0"), recording=replace(member("voice0").recording, speaker_id="tts:x", path="made.wav"))
    for limits in ((0, None), (None, 0), (3, 1)):
        limited = limit_positives([*said(3, 4), made], KEYWORD, *limits, 42)
        assert limited[-1] == made
        assert sum(m.active for m in limited[:-1]) == (3 if limits == (3, 1) else 0)
    without = without_synthetic([*said(3, 4), made])
    assert without[:-1] == said(3, 4)
    assert without[-1].excluded == "left out of training: data.synthetic_share is 0"
    judging = replace(made, split="test")
    assert without_synthetic([judging]) == [judging]


def test_thirty_of_five_speakers_are_six_of_each() -> None:
    chosen = kept(said(*[20] * 12), 30, 5)
    assert Counter(map(speaker, chosen)).most_common() == [(name, 6) for name in sorted_by_count(chosen)]
    assert len({speaker(path) for path in chosen}) == 5


def sorted_by_count(chosen: set[str]) -> list[str]:
    return [name for name, _ in Counter(map(speaker, chosen)).most_common()]


def test_a_speaker_with_few_is_made_up_for_by_the_others() -> None:
    assert sorted(Counter(map(speaker, kept(said(1, 9, 9), 15, None))).values()) == [1, 7, 7]


def test_only_training_positives_are_dropped_and_they_say_why() -> None:
    others = [
        member("ada", split="validation"),
        member("ada", split="test"),
        member("voice0", label="merhaba"),
        member("voice0", label="talk", kind="negative"),
        member("voice0", 9, counted=False),
    ]
    limited = limit_positives([*others, *said(2, 2)], KEYWORD, 1, 1, 42)
    assert limited[: len(others)] == others
    reasons = sorted(m.excluded for m in limited[len(others) :])
    by_speakers = "left out of training: data.max_positive_speakers is 1"
    assert reasons == ["", by_speakers, by_speakers, "left out of training: data.max_positives is 1"]
    assert [m.active for m in limited[len(others) :]].count(True) == 1
    assert len(limited) == len(others) + 4


def test_what_was_left_out_leaks_nothing() -> None:
    twice = [member("ada", split="test"), *said(2)]
    assert all(m.group == 0 for m in twice)  # one near-duplicate group across two splits
    leakage_guard(limit_positives(twice[1:], KEYWORD, 0, None, 42) + twice[:1])


counts = st.lists(st.integers(1, 6), min_size=1, max_size=8)


@given(counts, st.integers(1, 50), st.integers(1, 10), st.integers(0, 3))
def test_exactly_so_many_of_so_many_speakers(held: list[int], positives: int, speakers: int, seed: int) -> None:
    chosen = kept(said(*held), positives, speakers, seed)
    voices = kept(said(*held), None, speakers, seed)
    assert len({speaker(path) for path in voices}) == min(speakers, len(held))
    assert chosen <= voices
    assert len(chosen) == min(positives, len(voices))
    assert len({speaker(path) for path in chosen}) == min(speakers, len(held), positives)


@given(counts, st.integers(1, 50), st.integers(1, 50), st.integers(1, 10), st.integers(1, 10))
def test_smaller_sets_are_part_of_larger_ones(held: list[int], n: int, m: int, s: int, t: int) -> None:
    members = said(*held)
    assert kept(members, min(n, m), s) <= kept(members, max(n, m), s)
    assert kept(members, None, min(s, t)) <= kept(members, None, max(s, t))


@given(counts, st.integers(1, 50), st.randoms())
def test_neither_order_nor_other_speakers_matter(held: list[int], positives: int, random: object) -> None:
    members = said(*held)
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kept(members, positives, 3) == kept(shuffled, positives, 3)
    assert kept(members, None, 1) <= kept([*members, member("new", split="validation")], None, 1)


def test_another_seed_draws_other_speakers() -> None:
    members = said(*[2] * 20)
    assert kept(members, None, 5, 42) != kept(members, None, 5, 43)


@given(counts, st.integers(1, 50))
def test_speakers_needed_hold_so_many_and_one_less_does_not(held: list[int], positives: int) -> None:
    members = said(*held)
    needed = speakers_needed(members, KEYWORD, positives, 42)
    assert len(kept(members, None, needed)) >= min(positives, sum(held))
    if needed > 1:
        assert len(kept(members, None, needed - 1)) < positives


@pytest.mark.parametrize(
    ("positives", "speakers", "words"),
    [
        (30, 5, "only 30 recordings of the keyword by 5 speakers to train on: expect many misses"),
        (1, 1, "only 1 recording of the keyword by 1 speaker to train on"),
        (99, 40, "More recordings help, 100 and beyond"),
        (100, 14, "only 14 speakers of the keyword to train on: expect voices unlike theirs to be missed"),
        (30, 5, "New voices help most, up to 15 speakers and beyond"),
        (30, 5, "`uyan curve RECIPE` measures"),
    ],
)
def test_few_recordings_come_with_a_warning(positives: int, speakers: int, words: str) -> None:
    text = expectation(positives, speakers)
    assert text is not None and words in text


def test_enough_recordings_come_without() -> None:
    assert expectation(100, 15) is None
