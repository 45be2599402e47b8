"""The folder of a finished run as evidence: its files, read as if a stranger had written them.

Sizes are limited before anything is read, nothing is executed or unpickled, and a file that is missing is told apart
from one that is wrong. It knows nothing of what is to be checked.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from uyan.bundle import MAX_BUNDLE_BYTES, Bundle
from uyan.errors import ConfigError
from uyan.model.network import Network, NetworkConfig
from uyan.pipeline.workspace import CONFIG, Workspace
from uyan.recipe import APART, Recipe, load_recipe, settings_digest
from uyan.storage.access import is_file
from uyan.training.fit import WEIGHTS, load_weights

METRICS, STATS, CARD, TRACKS = "metrics.json", "stats.json", "model_card.md", "tracks.npz"
MIB = 1024**2
LIMITS = {
    CONFIG: MIB // 4,
    METRICS: 64 * MIB,
    STATS: MIB,
    CARD: 64 * MIB,
    TRACKS: 1024 * MIB,
    WEIGHTS: MAX_BUNDLE_BYTES,
}
"""No such file of a run is larger, bytes."""
MAX_DEPTH = 8
"""Of a configuration: sections, fields, and lists in them."""


class Wrong(Exception):
    """A file that is not as its run left it, and why."""


class NotThere(Exception):
    """A file that is missing, or that another uyan wrote."""


@dataclass(frozen=True)
class RunFolder:
    """A bundle, and the folder of its run. Whatever is read from it raises NotThere, Wrong, or what its reader does."""

    bundle: Bundle
    path: Path

    def file(self, name: str) -> Path:
        """A file of the run, no larger than such a file ever is."""
        path = self.path / name
        if not path.is_file():
            raise NotThere(f"{name} is not there")
        limit = LIMITS[path.name]
        if path.stat().st_size > limit:
            raise Wrong(f"{name} is larger than {limit / MIB:g} MiB")
        return path

    def text(self, name: str) -> str:
        """A text file of the run."""
        return self.file(name).read_text(encoding="utf-8")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The configuration as it was written, not as this uyan reads it."""
        text = self.text(CONFIG)
        _refuse_foreign_yaml(text)
        fields = yaml.safe_load(text)
        if not isinstance(fields, dict):
            raise Wrong(f"{CONFIG} is no mapping of sections")
        return fields

    def digest(self, *left_out: str) -> str:
        """As `Recipe.digest`, of the configuration as it was written, less these sections.

        A field that uyan got since then has no part in it.
        """
        return settings_digest({k: v for k, v in self.fields.items() if k not in {*APART, *left_out}})

    @cached_property
    def recipe(self) -> Recipe:
        """Only where it means to this uyan what it meant to the one that ran it."""
        digest = self.digest()
        try:
            recipe = load_recipe(self.file(CONFIG))
        except ConfigError as reason:
            raise NotThere(f"{CONFIG} is not for this uyan: {reason}") from reason
        if recipe.digest() != digest:
            raise NotThere(f"{CONFIG} was written by a uyan with other settings; check with that one")
        return recipe

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What was measured."""
        metrics = json.loads(self.text(METRICS))
        if not isinstance(metrics, dict):
            raise Wrong(f"{METRICS} is no JSON object")
        return metrics

    @cached_property
    def network(self) -> Network:
        """The network that training left, with its weights."""
        path, info = self.file(f"training/{WEIGHTS}"), self.bundle.info
        try:
            config = NetworkConfig(**self.fields["network"])
        except (TypeError, ConfigError) as reason:
            raise NotThere(f"{CONFIG} is not for this uyan: network: {reason}") from reason
        network = Network(config, info.frontend.mels, info.window_frames)
        load_weights(network, path, self.digest("evaluation"))
        return network


def nearest_base(run: RunFolder) -> Path:
    """The nearest folder, from the run's upwards, in which the recipe's manifests are. Raises NotThere for none."""
    for folder in (run.path.resolve(), *run.path.resolve().parents):
        if all(is_file(manifest) for manifest in Workspace(run.recipe, folder, run.path).manifests):
            return folder
    raise NotThere("the manifests are not found from the run's folder upwards; name the recipe's folder with --base")


def _refuse_foreign_yaml(text: str) -> None:
    """Raise Wrong for what uyan never writes: aliases and deep nesting, which can take all memory and hours."""
    depth = 0
    for event in yaml.parse(text):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
            raise Wrong(f"{CONFIG} has aliases, or more than {MAX_DEPTH} levels; uyan writes no such file")
