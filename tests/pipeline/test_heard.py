"""What a run's folder says that it has heard, and what it does not say."""

import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from uyan.bundle import Bundle, load
from uyan.data.recording import unknown_speaker_id
from uyan.errors import DataError
from uyan.pipeline import heard as module
from uyan.pipeline.heard import HEARD_FILE, Heard, Listed, add_mined, heard_in, read_listed, write_listed
from uyan.pipeline.run_folder import RunFolder
from uyan.pipeline.workspace import CONFIG
from uyan.recipe import parse_recipe
from uyan.training.trunk import Learnt

COLUMNS = ["path", "label", "speaker_id", "kind", "split", "group", "counted", "excluded", "content_sha1"]
LEARNT_FROM = ("train", "validation")
MINED = "no heard.json says which recordings were mined"
START = "no heard.json says all that the trunk or bundle had heard that the training started from"


def splits(folder: Path, rows: Iterable[str]) -> None:
    """Rows "speaker split group counted excluded", the speaker's name being path and hash as well."""
    with (folder / "splits.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row in rows:
            name, split, group, counted, excluded = row.split()
            speaker = unknown_speaker_id(name) if name.startswith("nobody") else name
            table.writerow(
                [name, "uyan", speaker, "keyword", split, group, counted, excluded.strip("-"), f"sha {name}"]
            )


def config(folder: Path, **changes: Any) -> None:
    raw = {"keyword": "uyan", "data": {"manifests": ["m.csv"]}, **changes}
    (folder / CONFIG).write_text(parse_recipe(raw, "test").to_yaml(), encoding="utf-8")


def learnt(speakers: Iterable[str], sha1s: Iterable[str]) -> Learnt:
    return Learnt(frozenset(speakers), frozenset(sha1s))


@pytest.fixture
def run(bundle: Bundle, tmp_path: Path) -> RunFolder:
    config(tmp_path)
    splits(tmp_path, ["ada train 0 1 -", "bob validation 1 1 -", "eve test 2 1 -"])
    return RunFolder(load(Path(shutil.copy(bundle.path, tmp_path))), tmp_path)


def test_the_splits_that_are_asked_for(run: RunFolder) -> None:
    assert heard_in(run, {"train"}) == Heard(learnt(["ada"], ["sha ada"]), ())
    assert heard_in(run, LEARNT_FROM).learnt == learnt(["ada", "bob"], ["sha ada", "sha bob"])


def test_every_take_of_what_was_heard_is_heard(run: RunFolder) -> None:
    """The repeated take, and the one left out of training because validation has it; not what test has, or nobody."""
    splits(
        run.path,
        [
            "ada train 0 1 -",
            "nobody1 train 0 0 -",
            "bob validation 2 1 -",
            "ian train 2 1 near-duplicate-of-bob",
            "eve test 4 1 -",
            "nobody2 train 4 1 near-duplicate-of-eve",
            "leo train 6 1 max_positives",
        ],
    )
    heard = ["ada", "bob", "ian"]
    assert heard_in(run, LEARNT_FROM).learnt == learnt(heard, [f"sha {name}" for name in [*heard, "nobody1"]])


def test_what_else_was_heard_counts_whatever_the_split(run: RunFolder) -> None:
    config(run.path, mining={"manifests": ["radio.csv"]}, training={"init": "t.safetensors"})
    listed = {"mined": Listed(learnt(["radio"], ["1"])), "start": Listed(learnt(["old"], ["2"]))}
    write_listed(run.path, listed)  # type: ignore[arg-type]
    assert read_listed(run.path) == listed
    assert heard_in(run, {"train"}) == Heard(learnt(["ada", "radio", "old"], ["sha ada", "1", "2"]), ())


def test_rounds_of_mining_add_up_and_leave_the_rest(run: RunFolder) -> None:
    write_listed(run.path, {"start": Listed(learnt(["old"], []), complete=False)})
    add_mined(run.path, learnt(["a"], ["1"]))
    add_mined(run.path, learnt(["a", "b"], ["2"]))
    found = read_listed(run.path)
    assert found["mined"] == Listed(learnt(["a", "b"], ["1", "2"]))
    assert found["start"] == Listed(learnt(["old"], []), complete=False)
    write_listed(run.path, {})
    assert not (run.path / HEARD_FILE).exists() and read_listed(run.path) == {}


@pytest.mark.parametrize(
    ("changes", "gaps"),
    [
        ({}, ()),
        ({"mining": {"manifests": ["radio.csv"]}}, (MINED,)),
        ({"mining": {"manifests": ["radio.csv"], "rounds": 0}}, ()),
        ({"training": {"init": "words"}}, ()),
        ({"training": {"init": "old.onnx"}}, (START,)),
        ({"training": {"init": "old.onnx"}, "mining": {"manifests": ["radio.csv"]}}, (MINED, START)),
    ],
)
def test_what_the_configuration_names_and_no_file_lists_is_said(
    run: RunFolder, changes: dict[str, Any], gaps: tuple[str, ...]
) -> None:
    config(run.path, **changes)
    assert heard_in(run, LEARNT_FROM).gaps == gaps


def test_a_start_of_which_not_all_was_known_stays_so(run: RunFolder) -> None:
    write_listed(run.path, {"start": Listed(Learnt(), complete=False)})
    assert heard_in(run, LEARNT_FROM).gaps == (START,)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "[]",
        "training: 3\nmining: {}",
        "training: {init: [1]}\nmining: {manifests: [a]}",
        "a: &b [1]\nc: *b",
        "\0",
    ],
)
def test_a_configuration_that_cannot_be_read_says_nothing(run: RunFolder, text: str | None) -> None:
    (run.path / CONFIG).unlink()
    if text is not None:
        (run.path / CONFIG).write_text(text, encoding="utf-8")
    assert heard_in(run, LEARNT_FROM).gaps == (MINED, START)


def test_without_splits_the_rest_still_counts(run: RunFolder) -> None:
    (run.path / "splits.csv").unlink()
    add_mined(run.path, learnt([], ["1"]))
    assert heard_in(run, LEARNT_FROM) == Heard(learnt([], ["1"]), ("no splits.csv beside bundle.onnx",))


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\na,b\n", ",".join([*COLUMNS[:-1], "x"]) + "\n"]
)
def test_splits_that_uyan_did_not_write(run: RunFolder, text: str) -> None:
    (run.path / "splits.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"splits\.csv: not a list of recordings as uyan writes it"):
        heard_in(run, LEARNT_FROM)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "3",
        "[" * 100_000,
        json.dumps({"format": 2}),
        json.dumps({"format": 1, "mined": []}),
        json.dumps({"format": 1, "mined": {"speakers": [], "sha1s": []}}),
        json.dumps({"format": 1, "mined": {"speakers": [], "sha1s": "abc", "complete": True}}),
        json.dumps({"format": 1, "start": {"speakers": [1], "sha1s": [], "complete": True}}),
        json.dumps({"format": 1, "start": {"speakers": [], "sha1s": [], "complete": "no"}}),
    ],
)
def test_a_damaged_list_is_no_list_of_nobody(run: RunFolder, raw: str) -> None:
    (run.path / HEARD_FILE).write_text(raw, encoding="utf-8")
    with pytest.raises(DataError, match=r"heard\.json: not a list of recordings as uyan writes it"):
        heard_in(run, LEARNT_FROM)


@pytest.mark.parametrize("name", ["splits.csv", HEARD_FILE])
def test_a_list_of_no_plausible_size_is_not_read(run: RunFolder, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(module, "MAX_LIST_BYTES", 1000)
    (run.path / name).write_bytes(b" " * 1001)
    with pytest.raises(DataError, match=rf"{name}: larger than"):
        heard_in(run, LEARNT_FROM)
