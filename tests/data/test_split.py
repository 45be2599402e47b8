"""No voice and no take in two splits, whatever is added, and a split that judges is never empty."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uyan.data.duplicates.fingerprint import DIMS, Fingerprint
from uyan.data.member import SPLITS, Member, Split, is_positive, save_splits
from uyan.data.probe import Probe
from uyan.data.recording import Kind, Recording
from uyan.data.split import SplitConfig, assign, circle_position, leakage_guard, split_of
from uyan.errors import ConfigError, DataError, LeakageError

KEYWORD = "uyan"
NO_PRINTS = Fingerprint(np.zeros(0, np.int32), np.zeros((0, DIMS), np.float16))


def recording(speaker_id: str, kind: Kind = "keyword", label: str = KEYWORD, take: int = 0) -> Recording:
    path = f"{kind}/{label}/{speaker_id}/{take}.wav"
    return Recording(path, Path("/data"), label, speaker_id, True, 1.0, kind, "", "")


def probe(content: str) -> Probe:
    return Probe(content, 1.25, 0.5, -20.0, 0.0, 0.0, NO_PRINTS)


def place(
    recordings: Sequence[Recording],
    config: SplitConfig | None = None,
    groups: Iterable[Sequence[int]] = (),
    contents: Sequence[str] | None = None,
) -> list[Member]:
    probes = [probe(content) for content in contents or [r.path for r in recordings]]
    return assign(recordings, probes, groups, KEYWORD, config or SplitConfig())


def both(speakers: Iterable[str]) -> list[Recording]:
    """Everyone says the keyword and something else."""
    return [r for s in speakers for r in (recording(s), recording(s, "negative", "talk"))]


def people(count: int, prefix: str = "speaker") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def in_split(split: Split, config: SplitConfig, count: int) -> list[str]:
    """The first few made-up names that fall in a split's arc."""
    return [name for name in people(500) if split_of(name, config) == split][:count]


def splits_held(members: Sequence[Member], positive: bool) -> set[Split]:
    speech = [m for m in members if m.recording.kind in ("keyword", "negative")]
    return {m.split for m in speech if is_positive(m.recording, KEYWORD) == positive}


def test_the_circle_is_fair_and_ignores_all_but_id_and_seed() -> None:
    positions = [circle_position(name, 42) for name in people(2000)]
    assert np.histogram(positions, 10, (0, 1))[0] == pytest.approx(np.full(10, 200), abs=4 * np.sqrt(180))
    assert circle_position("ada", 42) == circle_position("ada", 42) != circle_position("ada", 43)


@pytest.mark.parametrize("real", [2, 3, 12])
@pytest.mark.parametrize("fold", range(5))
def test_synthetic_voices_only_train_where_two_real_ones_say_the_word(real: int, fold: int) -> None:
    members = place([*both(people(real)), *both(people(40, "tts:piper:joe:"))], SplitConfig(fold=fold))
    assert {m.split for m in members if m.recording.synthetic} == {"train"}
    assert splits_held([m for m in members if not m.recording.synthetic], True) >= {"validation", "test"}
    assert splits_held(members, True) == splits_held(members, False) == {"train", "validation", "test"}


def test_a_single_real_voice_tests_and_without_one_synthetic_voices_do() -> None:
    voices = both(people(60, "tts:piper:joe:"))
    alone = place([*both(["ada"]), *voices])
    assert {m.split for m in alone if not m.recording.synthetic} == {"test"}
    assert {m.split for m in alone if m.recording.synthetic} == {"train", "validation"}
    config = SplitConfig()
    for member in place(voices, config):
        assert member.split == split_of(member.recording.speaker_id, config)


def test_synthetic_voices_move_no_real_one() -> None:
    def places(members: Sequence[Member]) -> dict[str, Split]:
        return {m.recording.speaker_id: m.split for m in members if not m.recording.synthetic}

    crowd = both(people(30))
    assert places(place(crowd)) == places(place([*crowd, *both(people(200, "tts:espeak:"))]))


def test_the_shares_of_many_speakers_are_near_those_asked_for() -> None:
    found = Counter(m.split for m in place(both(people(2000))))
    shares = {split: found[split] / 4000 for split in SPLITS}
    assert shares == pytest.approx({"train": 0.6, "validation": 0.2, "test": 0.2}, abs=4 * np.sqrt(0.24 / 2000))


@given(st.integers(20, 80), st.integers(1, 3), st.integers(0, 100), st.integers(0, 4))
def test_every_speaker_is_in_one_split(count: int, takes: int, seed: int, fold: int) -> None:
    recordings = [recording(s, take=t) for s in people(count) for t in range(takes)] + both(people(count, "more"))
    members = place(recordings, SplitConfig(seed=seed, fold=fold))
    assert [m.recording for m in members] == recordings
    homes = {(m.recording.speaker_id, m.split) for m in members}
    assert len(homes) == len({r.speaker_id for r in recordings})


@given(
    st.lists(st.text(min_size=1, max_size=5), min_size=15, max_size=40, unique=True),
    st.lists(st.text(min_size=1, max_size=5), max_size=15),
    st.integers(0, 4),
    st.integers(0, 1000),
)
def test_adding_recordings_moves_nobody(before: list[str], more: list[str], fold: int, seed: int) -> None:
    config = SplitConfig(fold=fold)
    assume({split_of(name, config) for name in before} == set(SPLITS))  # no arc is empty, so nothing is filled
    old = both(before)
    rng = np.random.default_rng(seed)
    kinds: list[Kind] = rng.choice(["keyword", "negative", "noise", "rir"], len(more) + 3).tolist()
    added = [recording(name, kind, take=9) for name, kind in zip(more + before[:3], kinds, strict=True)]
    everything = old + added
    rng.shuffle(everything)  # type: ignore[arg-type]
    homes = {m.recording.speaker_id: m.split for m in place(old, config)}
    after = {m.recording.speaker_id: m.split for m in place(everything, config)}
    assert homes.items() <= after.items()


def test_the_folds_test_every_speaker_once_and_keep_them_apart() -> None:
    recordings, tested = both(people(200)), Counter[str]()
    for fold in range(5):
        members = place(recordings, SplitConfig(test=0.2, folds=5, fold=fold))
        tested.update({m.recording.speaker_id for m in members if m.split == "test"})
    assert tested == Counter(people(200))


@pytest.mark.parametrize("fold", range(5))
@given(shared=st.integers(0, 4), alone=st.integers(0, 4), others=st.integers(0, 4), seed=st.integers(0, 500))
def test_with_few_speakers_no_split_is_empty(fold: int, shared: int, alone: int, others: int, seed: int) -> None:
    """Some say the keyword and more, some only the keyword, some only more: three of each are enough."""
    assume(shared + alone >= 3 and shared + others >= 3)
    alone_say = [recording(s) for s in people(alone, "alone")]
    others_say = [recording(s, "keyword", "other") for s in people(others, "other")]
    members = place(both(people(shared)) + alone_say + others_say, SplitConfig(seed=seed, fold=fold))
    assert splits_held(members, positive=True) == splits_held(members, positive=False) == set(SPLITS)


@given(count=st.integers(1, 6), seed=st.integers(0, 300), voices=st.integers(3, 5), shared=st.integers(0, 3))
def test_noise_is_spread_too_but_never_at_the_cost_of_speech(count: int, seed: int, voices: int, shared: int) -> None:
    """The first few noises carry the id of a speaker, who must not be moved away for them."""
    sources = (people(shared) + people(6, "noise"))[:count]
    members = place(both(people(voices)) + [recording(s, "noise") for s in sources], SplitConfig(seed=seed))
    assert splits_held(members, positive=True) == splits_held(members, positive=False) == set(SPLITS)
    noisy = {m.split for m in members if m.recording.kind == "noise"}
    if not shared:
        assert len(noisy) == min(3, count)


def test_an_empty_split_gets_its_nearest_speaker() -> None:
    config = SplitConfig()
    crowd, judges = in_split("train", config, 6), in_split("validation", config, 1)
    homes = {m.recording.speaker_id: m.split for m in place(both(crowd + judges), config)}
    # The test arc is [0, 0.2): from train one reaches it past 1, or past the validation arc.
    to_test = {s: min(1 - circle_position(s, 42), circle_position(s, 42) - 0.2) for s in crowd}
    assert [s for s in crowd if homes[s] == "test"] == [min(to_test, key=lambda s: to_test[s])]
    assert homes[judges[0]] == "validation"


def test_who_was_moved_is_on_record(tmp_path: Path) -> None:
    config = SplitConfig()
    members = place(both(in_split("train", config, 6) + in_split("validation", config, 1)), config)
    assert {m.moved_from for m in members if m.split == "test"} == {"train"}
    assert {m.moved_from for m in members if m.split != "test"} == {""}
    save_splits(members, tmp_path / "splits.csv")
    with (tmp_path / "splits.csv").open(encoding="utf-8", newline="") as file:
        assert [row["moved"] for row in csv.DictReader(file)] == [m.moved_from for m in members]


def test_what_cannot_be_split_is_refused_with_the_remedy() -> None:
    talk = [recording(s, "negative", "talk") for s in people(5)]
    others = [recording(s, "keyword", "other") for s in people(5)]
    cases = {
        "'uyan' does not occur; keyword labels in the data: other": talk + others,
        "keyword labels in the data: –": talk,
        r"2 speaker\(s\) of 'uyan'.*Record more people": [
            *talk,
            recording("a"),
            recording("b"),
            recording("b", take=1),
        ],
        "no negatives, or fewer than 3 speakers": [recording(s) for s in people(9)],
        "add other speech": [recording(s) for s in people(9)] + talk[:2] + [recording("n", "noise")],
    }
    for problem, recordings in cases.items():
        with pytest.raises(DataError, match=problem):
            place(recordings)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"validation": 0.0}, "must be positive"),
        ({"test": 0.5, "validation": 0.5}, "leave a share for train"),
        ({"fold": 5}, r"fold must lie in 0\.\.4, not 5"),
        ({"fold": -1}, "fold"),
        ({"folds": 0}, "fold"),
    ],
)
def test_shares_and_folds_are_validated(config: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        SplitConfig(**config)


def test_a_take_in_several_splits_stays_where_it_judges() -> None:
    config = SplitConfig()
    train, judge = in_split("train", config, 6), in_split("test", config, 2)
    recordings = both(train + judge + in_split("validation", config, 2))
    numbers = {(r.speaker_id, r.kind): number for number, r in enumerate(recordings)}
    group = [numbers[s, "keyword"] for s in (train[0], judge[0], train[1], judge[1])]
    members = place(recordings, config, [sorted(group)])
    kept, again = sorted([group[1], group[3]])
    for number in (group[0], group[2]):
        assert not members[number].active
        assert members[number].excluded == f"near-duplicate of {recordings[kept].path} in test"
    assert (members[kept].active, members[again].active) == (True, False)  # one take counts once
    assert not members[again].excluded
    assert {members[number].group for number in group} == {kept}
    rest = [m for number, m in enumerate(members) if number not in group]
    assert all(m.active and m.group != kept for m in rest)


def test_repeated_takes_count_once() -> None:
    recordings = [*both(people(20)), *(recording("speaker0", take=t) for t in range(1, 4))]
    talk = [recording("speaker0", "negative", "talk", take=t) for t in range(1, 11)]
    contents = [r.path for r in recordings] + [recordings[1].path] * 10  # no fingerprint links the copies
    members = place(recordings + talk, groups=[[0, 40, 41, 42]], contents=contents)
    assert not any(m.counted for m in members[40:])
    assert all(m.counted for m in members[:40])


def test_recordings_that_share_a_jingle_all_count_but_a_repeat_of_either_does_not() -> None:
    shows = [recording("speaker0", "negative", "talk", take=t) for t in range(1, 5)]
    recordings = both(people(20)) + shows
    durations_s = [1.25] * 40 + [60.0, 30.0, 31.0, 57.0]
    probes = [replace(probe(r.path), duration_s=s) for r, s in zip(recordings, durations_s, strict=True)]
    members = assign(recordings, probes, [[40, 41, 42, 43]], KEYWORD, SplitConfig())
    assert [m.counted for m in members[40:]] == [True, True, False, False]


def test_a_word_cut_from_a_longer_recording_of_the_split_still_counts() -> None:
    long = recording("speaker0", "negative", "talk", take=7)
    recordings = [long, *both(people(20)), recording("speaker0", take=1)]
    probes = [replace(probe(r.path), duration_s=60.0 if r is long else 1.25) for r in recordings]
    members = assign(recordings, probes, [[0, 1, 41]], KEYWORD, SplitConfig())
    assert [members[i].counted for i in (0, 1, 41)] == [True, True, False]


def test_exact_copies_are_one_take_even_when_no_fingerprint_says_so() -> None:
    config = SplitConfig()
    learn, judge = in_split("train", config, 5), in_split("test", config, 2)
    recordings = both(learn + judge + in_split("validation", config, 2))
    contents = [r.path for r in recordings]
    contents[0] = contents[2] = "quiet"  # two who train
    contents[10] = "near"  # one who judges, near to the second of them
    members = place(recordings, config, [[2, 10]], contents)
    assert [members[i].active for i in (0, 2, 10)] == [False, False, True]
    assert {members[i].group for i in (0, 2, 10)} == {10}


def member(path: str, split: Split, speaker_id: str, sha1: str, group: int) -> Member:
    one = Recording(path, Path("/data"), KEYWORD, speaker_id, True, 1.0, "keyword", "", "")
    return Member(one, sha1, 1.0, split, group, counted=True)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (member("b.wav", "test", "ada", "2", 2), "the same speaker"),
        (member("b.wav", "test", "eve", "1", 2), "the same audio"),
        (member("b.wav", "validation", "eve", "2", 1), "near-duplicate audio"),
    ],
)
def test_a_leak_names_both_files(other: Member, what: str) -> None:
    one = member("a.wav", "train", "ada", "1", 1)
    leakage_guard([one, replace(other, split="train")])
    leakage_guard([one, replace(other, excluded="left out")])
    for pair in ([one, other], [other, one]):
        with pytest.raises(LeakageError, match=what) as caught:
            leakage_guard([member("c.wav", "test", "bob", "3", 3), *pair])
        message = str(caught.value)
        assert "/data/a.wav" in message and "/data/b.wav" in message
        assert "train" in message and other.split in message


def test_the_same_recording_below_two_roots_is_a_leak() -> None:
    one = member("a.wav", "train", "ada", "1", 1)
    other = replace(one, recording=replace(one.recording, root=Path("/copy")), split="test", content_sha1="2", group=2)
    with pytest.raises(LeakageError, match=r"same recording id in train and test: /data/a\.wav and /copy/a\.wav"):
        leakage_guard([one, other])


def test_a_repeat_that_does_not_count_may_still_not_leak() -> None:
    one = member("a.wav", "train", "ada", "1", 1)
    with pytest.raises(LeakageError):
        leakage_guard([one, replace(one, split="test", counted=False)])


def test_the_table_of_splits_has_a_row_for_every_recording(tmp_path: Path) -> None:
    recordings = [*both(["Zoë", "a,b", *people(6)]), recording("Zoë", take=1)]
    members = place(recordings, groups=[[0, 16]])
    save_splits(members, tmp_path / "splits.csv")
    with (tmp_path / "splits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(members)
    for row, m in zip(rows, members, strict=True):
        assert (row["path"], row["speaker_id"], row["label"]) == (
            m.recording.path,
            m.recording.speaker_id,
            m.recording.label,
        )
        assert (row["kind"], row["split"], row["content_sha1"]) == (m.recording.kind, m.split, m.content_sha1)
        assert (int(row["group"]), row["counted"], row["excluded"]) == (m.group, str(int(m.counted)), m.excluded)
    assert [row["counted"] for row in rows] == ["1"] * 16 + ["0"]


def test_official_splits_are_kept_where_they_are_asked_for() -> None:
    """And one whom two of them hold judges: what of them is to train with is left out."""
    plain, config = both(people(12)), SplitConfig(official=True)
    places: dict[str, Split] = {"speaker0": "test", "speaker1": "train", "speaker2": "validation"}
    official = [replace(r, split=places.get(r.speaker_id, "")) for r in plain]
    members = place(official, config)
    assert {m.recording.speaker_id: m.split for m in members if m.recording.speaker_id in places} == places
    assert [m.split for m in members[6:]] == [m.split for m in place(plain)[6:]]
    assert [m.split for m in place(official)] == [m.split for m in place(plain)]

    official[0] = replace(official[0], split="train")
    members = place(official, config)
    assert members[0].split == "test"
    assert members[0].excluded == "its speaker is also in the official test split"
    assert not any(m.excluded for m in members[1:])


def test_nobody_leaves_an_official_split_to_fill_another() -> None:
    official = [replace(r, split="train") for r in both(people(6))]
    assert {m.split for m in place(official, SplitConfig(official=True))} == {"train"}
