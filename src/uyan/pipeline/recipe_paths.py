"""A recipe that means the same from another folder: its paths, written relative to that one."""

import os
from pathlib import Path

from uyan.recipe import Recipe
from uyan.search import Range, SearchConfig, Values
from uyan.storage.location import is_url
from uyan.training.config import STARTS

START = "training.init"


def moved(recipe: Recipe, base: Path, to: Path) -> Recipe:
    """`recipe`, whose paths are relative to `base`, with paths that are relative to `to`; URLs stay."""

    def path(name: str) -> str:
        return _path(name, base, to)

    changes = {
        "data.manifests": [path(name) for name in recipe.data.manifests],
        "mining.manifests": [path(name) for name in recipe.mining.manifests],
        "evaluation.near_words": [path(name) for name in recipe.evaluation.near_words],
    }
    folder, store = recipe.cache.folder, recipe.cache.read_from
    single = {
        START: _start(recipe.training.init, base, to),
        "cache.folder": path(folder) if folder else None,
        "cache.read_from": path(store) if store else None,
    }
    return recipe.with_fields({**changes, **single})


def moved_search(search: SearchConfig, base: Path, to: Path) -> SearchConfig:
    """The same of files that are searched: those that a network may start from."""

    def values(name: str, tried: Range | Values) -> Range | Values:
        if name != START or isinstance(tried, Range):
            return tried
        return tuple(_start(value, base, to) for value in tried)

    return search.model_copy(update={"fields": {name: values(name, tried) for name, tried in search.fields.items()}})


def _start(name: str, base: Path, to: Path) -> str:
    return name if name in STARTS else _path(name, base, to)


def _path(name: str, base: Path, to: Path) -> str:
    return name if is_url(name) else Path(os.path.relpath(base / name, to)).as_posix()
