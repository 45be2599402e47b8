"""Runs on paper: tasks, and the files that runs leave."""

import json
from pathlib import Path
from typing import Any

from uyan import __version__
from uyan.pipeline.evaluate import TRACKS
from uyan.pipeline.run_task import BUNDLE, METRICS, RunTask
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe


def task(folder: Path, name: str, **changes: Any) -> RunTask:
    manifest = folder / "corpus/manifest.csv"
    manifest.parent.mkdir(exist_ok=True)
    manifest.touch()
    raw = {"keyword": "uyan", "data": {"manifests": ["corpus/manifest.csv"]}, "cache": {"max_ram_gb": 3.0}, **changes}
    return RunTask(parse_recipe(raw, "test"), folder, folder / name, name)


def leave_files(done: RunTask, config_hash: str | None = None) -> None:
    done.out.mkdir(parents=True, exist_ok=True)
    (done.out / BUNDLE).write_bytes(b"bundle")
    (done.out / TRACKS).write_bytes(b"tracks")
    manifests = Workspace(done.recipe, done.base, done.out).manifests_digest()
    hashes = {"config_hash": config_hash or done.recipe.digest(), "manifests_sha256": manifests}
    metrics = {"uyan": __version__, **hashes, "name": done.name}
    (done.out / METRICS).write_text(json.dumps(metrics), encoding="utf-8")


def by_another_uyan(done: RunTask) -> None:
    leave_files(done)
    metrics = json.loads((done.out / METRICS).read_text(encoding="utf-8"))
    (done.out / METRICS).write_text(json.dumps({**metrics, "uyan": "0.0.9"}), encoding="utf-8")
