"""A recipe moved to another folder names the same files."""

from pathlib import Path

from uyan.pipeline.recipe_paths import moved, moved_search
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe

RAW = {
    "keyword": "uyan",
    "data": {"manifests": ["corpus/a.csv", "/elsewhere/b.csv"]},
    "mining": {"manifests": ["../radio.csv"]},
    "training": {"init": "trunk.safetensors"},
    "evaluation": {"near_words": ["near.csv"]},
    "cache": {"folder": "cache", "read_from": "store"},
}


def test_the_files_are_the_same_ones(tmp_path: Path) -> None:
    before = tmp_path / "recipes"
    to = tmp_path / "runs/uyan-tune"
    recipe = parse_recipe(RAW, "test")
    there, here = Workspace(recipe, before, to), Workspace(moved(recipe, before, to), to, to)
    assert here.sources == there.sources and here.near_manifests == there.near_manifests
    assert here.recipe.data.manifests[0] == "../../recipes/corpus/a.csv"
    assert here.recipe.training.init == "../../recipes/trunk.safetensors"
    assert here.cache_folder.resolve() == there.cache_folder.resolve()
    assert here.cache().store == there.cache().store


def test_files_that_are_searched_are_the_same_ones(tmp_path: Path) -> None:
    to, tried = tmp_path / "runs/uyan-tune", {"training.init": ["auto", "trunk.onnx", str(tmp_path / "b.safetensors")]}
    fields = {**tried, "network.size": ["small"], "training.epochs": {"low": 2, "high": 4}}
    search = parse_recipe({**RAW, "search": {"fields": fields, "trials": 3}}, "test").search
    assert search is not None
    there = moved_search(search, tmp_path / "recipes", to)
    assert there.fields["training.init"] == ("auto", "../../recipes/trunk.onnx", "../../b.safetensors")
    assert there.model_copy(update={"fields": search.fields}) == search
    assert {**there.fields, "training.init": ()} == {**search.fields, "training.init": ()}


def test_what_is_no_path_stays(tmp_path: Path) -> None:
    recipe = parse_recipe({"keyword": "uyan", "data": {"manifests": ["a.csv"]}}, "test")
    again = moved(recipe, tmp_path, tmp_path)
    assert again == recipe and again.training.init == "auto" and again.cache.folder is None


def test_urls_are_the_same_from_everywhere(tmp_path: Path) -> None:
    raw = {
        "keyword": "uyan",
        "data": {"manifests": ["s3://words/a.csv"]},
        "mining": {"manifests": ["https://here/radio.csv"]},
        "evaluation": {"near_words": ["s3://words/near.csv"]},
        "cache": {"read_from": "s3://words/features"},
    }
    recipe = parse_recipe(raw, "test")
    assert moved(recipe, tmp_path / "recipes", tmp_path / "runs") == recipe
