"""Which loader a run trains with: by the numbers, as asked, or as it began."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from uyan.errors import ConfigError, TrainingError
from uyan.pipeline import loading
from uyan.pipeline.loading import DECISION, naming_full_gpu, process_numbers, resident_features, settle
from uyan.pipeline.prepare import Material, check_recordings, example_maker, make_features, split_recordings
from uyan.pipeline.train import train_network
from uyan.pipeline.workspace import Workspace
from uyan.ranks import Ranks
from uyan.recipe import parse_recipe
from uyan.training.fit import CHECKPOINT, WEIGHTS

SMALL, LARGE = 1e-4, 0.1
"""GiB that hold the corpus' features, or do not."""


def workspace(folder: Path, out: str, loader: str = "auto", max_ram_gb: float = LARGE) -> Workspace:
    raw: dict[str, Any] = {
        "keyword": "uyan",
        "data": {"manifests": ["corpus/manifest.csv"], "loader": loader},
        "cache": {"workers": 1, "max_ram_gb": max_ram_gb},
        "network": {"size": "small"},
        "batches": {"size": 12, "workers": 0, "validation_workers": 0},
        "variants": {"positive": 2, "negative": 1},
        "training": {"epochs": 2, "init": "scratch"},
        "mining": {"rounds": 1},
    }
    return Workspace(parse_recipe(raw, "test"), folder, folder / out)


class Case:
    """One run over the prepared corpus, and what it was told."""

    def __init__(self, material: Material, run: Workspace) -> None:
        self.run, self.material = run, material
        self.told: list[str] = []
        run.tell = self.told.append
        self.makers = example_maker(run, material, "train"), example_maker(run, material, "validation")

    def loader(self) -> str:
        return "files" if resident_features(self.run, *self.makers) is None else "resident"

    def decision(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run.training / DECISION).read_text(encoding="utf-8"))
        return found


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, write_corpus: Callable[..., Path]) -> Callable[..., Case]:
    folder = tmp_path_factory.mktemp("loading")
    write_corpus(folder / "corpus")
    first = workspace(folder, "first")
    first.open()
    material = make_features(first, split_recordings(first, check_recordings(first)))

    def build(out: str, *how: Any) -> Case:
        run = workspace(folder, out, *how)
        run.window_s, run.feature_bytes = first.window_s, first.feature_bytes
        return Case(replace(material, cache=run.cache()), run)

    return build


def test_what_fits_is_resident_and_said_so(case: Callable[..., Case]) -> None:
    found = case("fits")
    assert found.loader() == "resident"
    assert len(found.told) == 1 and found.told[0].endswith("MB, resident on cpu")
    resident = resident_features(found.run, *found.makers)
    assert resident is not None
    assert found.decision() == {
        "loader": "resident",
        "feature_bytes": found.run.feature_bytes,
        "budget_bytes": int(LARGE * 1024**3),
        "device": "cpu",
        "sharers": 1,
        "processes": 1,
        "later": [],
    }
    variants = sum(found.material.variant_count(m, "uyan") for m in found.material.members if m.active)
    assert resident.nbytes < found.run.feature_bytes  # which counts the test as well, and variants for everybody
    heard = [m for m in found.material.members if m.active and m.split != "test" and m.recording.kind != "rir"]
    assert len(resident.takes.keys) == len(heard) + variants


def test_what_does_not_fit_is_read_from_files(case: Callable[..., Case]) -> None:
    found = case("too-large", "auto", SMALL)
    assert found.loader() == "files"
    assert "more than the 0.1 MB that are theirs on cpu; read by loader processes" in found.told[0]
    assert found.decision()["loader"] == "files"


@pytest.mark.parametrize(("asked", "budget"), [("resident", SMALL), ("files", LARGE)])
def test_what_is_asked_for_is_done(case: Callable[..., Case], asked: str, budget: float) -> None:
    found = case(f"asked-{asked}", asked, budget)
    assert found.loader() == asked
    assert found.told[0].endswith(f", as data.loader: {asked} asks")
    assert found.decision()["loader"] == asked
    assert found.decision()["feature_bytes"] == found.run.feature_bytes


def test_a_resumed_run_keeps_to_what_was_decided(case: Callable[..., Case]) -> None:
    assert case("began-resident", "auto", LARGE).loader() == "resident"
    assert case("began-resident", "auto", SMALL).loader() == "resident"
    assert case("began-files", "auto", SMALL).loader() == "files"
    assert case("began-files", "auto", LARGE).loader() == "files"


class First(Ranks):
    """The first of a group, for which nobody waits."""

    def from_first(self, function: Callable[[], Any]) -> Any:
        return function()


def test_every_number_of_processes_is_told_of_and_remembered(case: Callable[..., Case]) -> None:
    found = case("began-with-four")

    def told(count: int) -> list[str]:
        found.told.clear()
        found.run.ranks = First(count=count)
        assert found.loader() == "resident"
        return [line.partition(";")[0] for line in found.told if line.startswith("processes:")]

    assert told(8) == told(4) == [] and process_numbers(found.run) == (4,)  # nothing was learnt by the eight
    (found.run.training / CHECKPOINT).touch()
    for count, numbers in ((2, (4, 2)), (4, (4, 2, 4))):
        assert told(count) == [f"processes: {count}, where this training was begun with 4"]
        assert told(count) == [] and process_numbers(found.run) == numbers


def test_processes_of_one_computer_divide_its_memory(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = case("divided", "resident")
    found.run.ranks = Ranks(local_count=4)
    assert found.run.cache().max_ram_gb == LARGE / 4
    monkeypatch.setattr(loading, "memory_bytes", lambda device: 5_000_000)
    found.run.ranks = Ranks(local_count=2)
    assert found.loader() == "resident"
    found.run.ranks = Ranks(local_count=4)
    with pytest.raises(ConfigError, match=r"features: 1\.7 MB for each of 4 processes, but cpu has 4\.8 MB"):
        found.loader()


def test_a_run_from_before_there_was_a_choice_goes_on_with_files(case: Callable[..., Case]) -> None:
    found = case("old")
    found.run.training.mkdir(parents=True)
    (found.run.training / CHECKPOINT).touch()
    assert found.loader() == "files" == found.decision()["loader"]


def test_more_than_there_is_memory_is_refused(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "memory_bytes", lambda device: 50_000)
    with pytest.raises(ConfigError, match=r"but cpu has 0\.0 MB of memory in all; set data\.loader"):
        case("huge", "resident").loader()
    assert case("huge-auto", "auto", SMALL).loader() == "files"


def test_room_for_mined_windows_counts_and_is_said(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_spare_frames", lambda run, train: 2**23)
    monkeypatch.setattr(loading, "memory_bytes", lambda device: 2**30)
    with pytest.raises(ConfigError, match=r"features: 1\.0 GB, but cpu has 1\.0 GB of memory in all"):
        case("mined", "resident").loader()


def test_a_torn_decision_is_named(case: Callable[..., Case]) -> None:
    found = case("torn")
    (found.run.training).mkdir(parents=True)
    (found.run.training / DECISION).write_text("{}", encoding="utf-8")
    with pytest.raises(TrainingError, match=f"{DECISION}: not readable"):
        found.loader()


def test_runs_side_by_side_go_one_way_and_keep_to_it(case: Callable[..., Case]) -> None:
    """A share of the memory that a job is given decides nothing any more."""
    for budget, went in ((LARGE, "resident"), (SMALL, "files")):
        runs, told = [case(f"beside-{went}-{number}", "auto", budget).run for number in range(3)], list[str]()
        settle(runs, runs[0].feature_bytes, told.append)
        assert len(told) == 1 and went in told[0].replace("loader processes", "files")
        assert [case(f"beside-{went}-{n}", "auto", b).loader() for n, b in enumerate((SMALL, LARGE))] == [went] * 2


def test_the_largest_of_runs_side_by_side_decides_for_all(case: Callable[..., Case]) -> None:
    runs = [case(f"largest-{number}").run for number in range(2)]
    settle(runs, int(LARGE * 1024**3), lambda line: None)
    assert [case(f"largest-{number}").loader() for number in range(2)] == ["files", "files"]


def test_runs_that_are_added_go_the_way_of_those_that_began(case: Callable[..., Case]) -> None:
    first, told = case("added-0", "auto", SMALL), list[str]()
    assert first.loader() == "files"
    settle([case(f"added-{number}").run for number in range(2)], 0, told.append)
    assert told == [] and case("added-1").loader() == "files"
    before = first.decision()
    settle([case(f"added-{number}").run for number in range(2)], 0, told.append)
    assert first.decision() == before


def test_who_names_a_loader_is_not_asked(case: Callable[..., Case]) -> None:
    named = case("named", "resident", SMALL)
    settle([named.run], named.run.feature_bytes, named.told.append)
    assert named.told == [] and not (named.run.training / DECISION).exists()


def test_a_full_gpu_is_said_with_what_to_do() -> None:
    said = r"memory ran out \(CUDA out of memory\); use fewer jobs, .*data\.loader to files"
    with pytest.raises(TrainingError, match=said), naming_full_gpu():
        raise torch.cuda.OutOfMemoryError("CUDA out of memory\nin all")


@pytest.mark.slow
def test_a_run_mines_and_ends_with_the_same_bits_twice(case: Callable[..., Case]) -> None:
    """From the recipe to the weights, a round of mining between: no loader process, and no features read by batches."""
    weights = []
    for out in ("once", "twice"):
        found = case(out)
        with torch.random.fork_rng():
            train_network(found.run, found.material)
        assert any(", resident on cpu" in line for line in found.told)
        assert any("mining round 1" in line for line in found.told)
        weights.append((found.run.training / WEIGHTS).read_bytes())
    assert weights[0] == weights[1]
