"""What features would take and may take: the same in every fold, and for any number of jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uyan.data.member import Member
from uyan.data.resident.takes import Takes
from uyan.pipeline import feature_room
from uyan.pipeline.feature_room import feature_bytes, room_bytes
from uyan.pipeline.prepare import check_recordings, example_maker, make_features, split_recordings
from uyan.pipeline.workspace import Workspace
from uyan.recipe import Recipe, parse_recipe

GIB = 1024**3


def recipe(**changes: Any) -> Recipe:
    raw: dict[str, Any] = {"keyword": "uyan", "data": {"manifests": ["corpus/manifest.csv"]}, **changes}
    return parse_recipe({"variants": {"positive": 2, "negative": 1}, **raw}, "test")


def members(folder: Path, **changes: Any) -> tuple[Workspace, list[Member]]:
    run = Workspace(recipe(**changes), folder, folder / "out")
    run.open()
    return run, split_recordings(run, check_recordings(run))


def test_every_fold_seed_and_cap_has_the_same_features(tmp_path: Path, write_corpus: Callable[..., Path]) -> None:
    write_corpus(tmp_path / "corpus")
    ways: list[dict[str, Any]] = [{"split": {"folds": 3, "fold": fold, "test": 1 / 3}} for fold in range(3)]
    ways += [{"split": {"seed": 3}}, {"data": {"manifests": ["corpus/manifest.csv"], "max_positives": 3}}]
    found = {feature_bytes(members(tmp_path, **way)[1], recipe(**way)) for way in ways}
    assert len(found) == 1 and found.pop() > 100_000
    two = [feature_bytes(members(tmp_path)[1], recipe(frontend={"mels": mels})) for mels in (32, 64)]
    assert two[1] == 2 * two[0]


def test_no_less_than_what_is_held(tmp_path: Path, write_corpus: Callable[..., Path]) -> None:
    write_corpus(tmp_path / "corpus")
    run, placed = members(tmp_path)
    material = make_features(run, placed)
    takes = Takes([example_maker(run, material, "train"), example_maker(run, material, "validation")])
    assert takes.nbytes < run.feature_bytes < 3 * takes.nbytes


@pytest.mark.parametrize(("sharers", "share"), [(1, 1.0), (4, 0.25)])
def test_the_room_is_the_budget_s_or_half_a_gpu_s(monkeypatch: pytest.MonkeyPatch, sharers: int, share: float) -> None:
    asked = recipe(cache={"max_ram_gb": 2.0})
    assert room_bytes(asked, None, sharers) == int(2 * GIB * share)
    assert room_bytes(asked, 24 * GIB, sharers) == int(
        12 * GIB * share
    )  # half of the GPU's memory, whatever the cache may take
    monkeypatch.setattr(feature_room, "default_budget_gb", lambda: 3.0)
    assert room_bytes(recipe(), None, sharers) == int(3 * GIB * share)
