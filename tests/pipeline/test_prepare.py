"""From manifests to material: what is refused before training, what is only warned about, and who goes where."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.data import mixing
from uyan.data.member import SPLITS
from uyan.errors import DataError, StorageError
from uyan.frontend import Cmvn
from uyan.pipeline.prepare import (
    Material,
    check_recordings,
    data_summary,
    example_maker,
    make_features,
    split_recordings,
)
from uyan.pipeline.run import run_until
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe

Prepared = tuple[Workspace, Material]


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory: pytest.TempPathFactory, write_corpus: Callable[..., Path]) -> Path:
    return write_corpus(tmp_path_factory.mktemp("small"), speakers=3, noise=3).parent


@pytest.fixture
def mine(small_corpus: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the small corpus (24 recordings) to spoil."""
    shutil.copytree(small_corpus, tmp_path / "corpus")
    return tmp_path


def workspace(folder: Path, **changes: Any) -> Workspace:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"]},
        "cache": {"workers": 1, "max_ram_gb": 0.1},
        "network": {"size": "small"},
        **changes,
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / "run")


def edit(folder: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    """Rewrite the rows (path, label, speaker_id, duration_s, kind) of the manifest."""
    manifest = folder / "corpus" / "manifest.csv"
    header, *rows = [line.split(",") for line in manifest.read_text(encoding="utf-8").splitlines()]
    lines = [",".join(row) for row in [header, *change(rows)]]
    manifest.write_text("\n".join([*lines, ""]), encoding="utf-8")


def prepare(run: Workspace) -> Material:
    return make_features(run, split_recordings(run, check_recordings(run)))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_corpus: Callable[..., Path]) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    write_corpus(folder / "corpus")
    run = workspace(folder)
    return run, prepare(run)


def test_a_store_that_cannot_be_read_is_said_before_anything_is_decoded(mine: Path) -> None:
    run = workspace(mine, cache={"workers": 1, "read_from": "corpus/manifest.csv"})
    with pytest.raises(StorageError, match=r"corpus/manifest\.csv/\w+: cannot be read"):
        check_recordings(run)
    assert not (run.cache_folder / "probes.parquet").exists()
    run.cache().folder.mkdir(parents=True)  # what is here may be enough
    assert len(check_recordings(run).good) == 24


def test_no_speaker_stands_in_two_splits(prepared: Prepared) -> None:
    run, material = prepared
    with (run.out / "splits.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(material.members) == 8 * 7 + 4
    places: dict[str, set[str]] = {}
    for row in rows:
        places.setdefault(row["speaker_id"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in places.values())
    assert set.union(*places.values()) == set(SPLITS)


def test_every_active_recording_is_a_positive_or_a_negative(prepared: Prepared) -> None:
    _, material = prepared
    found = []
    for split in SPLITS:
        positives, negatives = material.positives(split, "uyan"), material.negatives(split, "uyan")
        assert {m.recording.label for m in positives} == {"uyan"}
        assert {m.recording.kind for m in material.noise(split)} == {"noise"}
        assert all(m in negatives for m in material.noise(split))
        found += positives + negatives
    assert len(found) == len({m.recording.path for m in found}) == len(material.members)


def test_statistics_are_of_the_training_split_alone(prepared: Prepared) -> None:
    run, material = prepared
    saved = Cmvn.from_json((run.out / "stats.json").read_text(encoding="utf-8"))
    assert saved == material.cmvn
    train = [m for m in material.members if m.split == "train"]
    frames = np.concatenate([material.cache.get(m.content_sha1) for m in train], axis=1).astype(np.float64)
    assert saved.frames == frames.shape[1]
    np.testing.assert_allclose(saved.mean, frames.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(saved.variance, frames.var(axis=1), rtol=1e-9)


def test_the_word_is_found_in_every_positive_to_learn_from(prepared: Prepared) -> None:
    _, material = prepared
    learnt = material.positives("train", "uyan") + material.positives("validation", "uyan")
    assert set(material.words) == {m.content_sha1 for m in learnt}
    for span in material.words.values():
        assert 20 <= span.frames <= 60  # spoken for 0.4 to 0.55 s, its ends soft
        assert span.start >= 10  # after 0.15 s of silence at least


def test_only_training_examples_are_augmented(prepared: Prepared) -> None:
    run, material = prepared
    train, validation = (example_maker(run, material, split) for split in ("train", "validation"))
    assert train.augment is not None and train.backgrounds
    assert validation.augment is None and not validation.backgrounds
    for maker, split in ((train, "train"), (validation, "validation")):
        contents = {m.content_sha1 for m in material.members if m.split == split}
        assert {item.sha1 for items in maker.sources.values() for item in items} == contents
        assert {place.sha1 for place in maker.backgrounds} <= contents


def test_the_summary_counts_each_split(prepared: Prepared) -> None:
    run, material = prepared
    summary = data_summary(run, material.members)
    assert sum(s["positives"] for s in summary["splits"].values()) == 16
    assert sum(s["positive_speakers"] for s in summary["splits"].values()) == 8
    seconds = sum(m.duration_s for m in material.members if m.recording.label != "uyan")
    assert sum(s["negative_hours"] for s in summary["splits"].values()) == pytest.approx(seconds / 3600)
    assert (summary["unknown_speakers"], summary["repeated_takes"], summary["licenses"]) == (0, 0, [])
    assert (summary["synthetic_engines"], summary["synthetic_share"]) == ([], 0.5)
    machine = replace(material.members[0], split="train", excluded="")
    members = [replace(machine, recording=replace(machine.recording, speaker_id="tts:piper:joe:r+1"))]
    unused = replace(members[0], split="test", recording=replace(machine.recording, speaker_id="tts:espeak:en"))
    assert data_summary(run, [*material.members, *members, unused])["synthetic_engines"] == ["piper"]


def test_few_positives_are_warned_about_with_their_number(prepared: Prepared) -> None:
    run, material = prepared
    learnt = material.positives("train", "uyan")
    speakers = len({m.recording.speaker_id for m in learnt})
    assert run.warnings[0].startswith(
        f"only {len(learnt)} recordings of the keyword by {speakers} speakers to train on: expect many misses"
    )
    assert "uyan curve" in run.warnings[0]
    assert len(run.warnings) == 1


def test_near_duplicates_are_remembered(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    run, material = prepared
    from uyan.pipeline import prepare as module

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("compared again")

    monkeypatch.setattr(module, "find_links", refuse)
    assert split_recordings(run, check_recordings(run)) == material.members


def test_a_take_given_twice_counts_once(mine: Path) -> None:
    samples, rate = soundfile.read(str(mine / "corpus/uyan/voice0-0.wav"))
    soundfile.write(str(mine / "corpus/uyan/again.wav"), 0.5 * samples, rate)
    edit(mine, lambda rows: [*rows, ["uyan/again.wav", "uyan", "voice0", rows[0][3], "keyword"]])
    told: list[str] = []
    run = workspace(mine)
    run.tell = told.append
    members = split_recordings(run, check_recordings(run))
    assert [m.recording.path for m in members if not m.counted] == ["uyan/again.wav"]
    assert "near-duplicates: 1 repeated take(s) count once, 0 left out because another split has the same take" in told


def damage(folder: Path, count: int) -> None:
    for file in sorted((folder / "corpus/selam").iterdir())[:count]:
        file.write_bytes(b"no audio")


def test_bad_recordings_are_listed_and_left_out(mine: Path) -> None:
    damage(mine, 1)
    run = workspace(mine)
    members = split_recordings(run, check_recordings(run))
    with (run.out / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]).name for row in rows] == ["voice0-0.wav"]
    assert "cannot be decoded" in rows[0]["reason"]
    assert len(members) == 24 - 1
    assert "1 recording(s) cannot be used, see quarantine.csv" in run.warnings


def test_too_many_bad_recordings_stop_the_run_before_anything_else(mine: Path) -> None:
    damage(mine, 2)
    run = workspace(mine)
    with pytest.raises(DataError, match="2 of 24 recordings cannot be used; 5% are allowed"):
        run_until(run, "train")
    assert (run.out / "quarantine.csv").is_file()
    for later in ("splits.csv", "stats.json", "training"):
        assert not (run.out / later).exists()
    allowed = workspace(mine, data={"manifests": ["corpus/manifest.csv"], "max_bad_share": 0.1})
    assert len(check_recordings(allowed).good) == 22


def test_unknown_speakers_are_warned_about(mine: Path) -> None:
    edit(mine, lambda rows: [[p, lab, "" if p.startswith("talk/") else s, d, k] for p, lab, s, d, k in rows])
    run = workspace(mine)
    check_recordings(run)
    assert "3 recording(s) have no speaker_id: the split between speakers may leak" in run.warnings


def test_synthetic_voices_beside_many_real_ones_come_with_a_word(
    tmp_path: Path, write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "corpus", speakers=7)
    edit(tmp_path, lambda rows: [[p, lab, s.replace("voice6", "tts:made"), d, k] for p, lab, s, d, k in rows])
    monkeypatch.setattr(mixing, "MANY_REAL", 2)
    for share, count in ((0.5, 1), (0.0, 0)):
        told: list[str] = []
        data = {"manifests": ["corpus/manifest.csv"], "synthetic_share": share}
        run = replace(workspace(tmp_path, data=data), tell=told.append)
        split_recordings(run, check_recordings(run))
        assert sum("`uyan voices compare` measures" in line for line in told) == count


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda row: row[1] != "uyan", r"the keyword 'uyan' does not occur; .*: merhaba, selam"),
        (lambda row: row[1] != "uyan" or row[2] == "voice0", r"1 speaker\(s\) of 'uyan'; at least 3 are needed"),
        (lambda row: row[1] in ("uyan", "hum"), "no negatives, or fewer than 3 speakers of them"),
    ],
)
def test_what_cannot_be_learnt_from_is_said_before_training(
    mine: Path, keep: Callable[[list[str]], bool], message: str
) -> None:
    edit(mine, lambda rows: [row for row in rows if keep(row)])
    with pytest.raises(DataError, match=message):
        run_until(workspace(mine), "train")
    assert not (mine / "run/training").exists()


def test_no_noise_is_warned_about(mine: Path) -> None:
    edit(mine, lambda rows: [row for row in rows if row[4] != "noise"])
    run = workspace(mine)
    material = prepare(run)
    assert len(example_maker(run, material, "train").backgrounds) == 0
    assert "no noise recordings to train with: background mixing is off, expect misses in noise" in run.warnings
    unmixed = workspace(mine, augment={"background_share": 0.0})  # none is wanted: nothing to warn about
    example_maker(unmixed, material, "train")
    assert unmixed.warnings == []


def test_room_responses_are_neither_heard_nor_learnt(mine: Path) -> None:
    response = np.zeros(SAMPLE_RATE // 2)
    response[:2000] = np.random.default_rng(0).standard_normal(2000) * 0.1
    soundfile.write(str(mine / "corpus/room.wav"), response, SAMPLE_RATE)
    edit(mine, lambda rows: [*rows, ["room.wav", "room", "", "0.5", "rir"]])
    material = prepare(workspace(mine))
    (room,) = (m for m in material.members if m.recording.kind == "rir")
    assert room.content_sha1 not in material.cache
    assert all(room not in material.negatives(split, "uyan") for split in SPLITS)
