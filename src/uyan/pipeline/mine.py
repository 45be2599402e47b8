"""Rounds of hard-negative mining in a run: what the network so far takes for the keyword joins its next batches.

Each round is a function of the weights at the end of a phase and lies in `training/` once it is done, so that a run
interrupted anywhere, in the middle of a scan too, goes on to the same result. After the first round the network also
says where the word is in each positive. The first of several processes mines, for all. It knows nothing of the loop
that calls it.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from uyan.data.examples import ExampleMaker, Segment
from uyan.data.locate import Span
from uyan.data.pool import Pool, Scan, composition, joined, load_pool, merge, pool_warnings, save_pool
from uyan.errors import TrainingError
from uyan.files import replacing
from uyan.model.network import Network
from uyan.pipeline.mine_audio import cache_pooled, scan_manifests
from uyan.pipeline.prepare import Material, example_maker
from uyan.pipeline.workspace import Workspace
from uyan.training.align import relocate_words
from uyan.training.dense import ScanSource
from uyan.training.fit import Mine
from uyan.training.mining import scan

SCANS, WORDS = "scans.json", "words.json"
MARK = ".at-work-mining"


def miner(run: Workspace, material: Material) -> Mine:
    """What `fit` calls between its phases."""

    def mine(number: int, network: Network) -> ExampleMaker:
        def mined() -> tuple[Pool, dict[str, Span] | None]:
            if not _pool_file(run, number).is_file():
                _mine(run, material, network, number)
            return load_pool(_pool_file(run, number)), _load_words(run) if run.recipe.mining.relocate else None

        pool, words = run.ranks.from_first(mined)
        return example_maker(run, material, "train", words, [Segment(window.key, window.start) for window in pool])

    return mine


def _mine(run: Workspace, material: Material, network: Network, number: int) -> None:
    """One round; the pool is written last, so that a round is whole or is done again."""
    config = run.recipe.mining
    if number == 1 and config.relocate:
        tail_frames = example_maker(run, material, "train").placing.tail_frames
        words = relocate_words(network, material.cache, material.words, tail_frames, run.progress)
        _write_json(run.training / WORDS, {sha1: asdict(span) for sha1, span in words.items()})
    old = load_pool(_pool_file(run, number - 1)) if number > 1 else ()
    sources, workers = scan_sources(run, material), run.recipe.cache.workers
    found = scan(network, material.cache, sources, config, number, run.progress, workers, run.training / MARK)
    if more := scan_manifests(run, material, network, number):
        found = joined([found, more], config.max_windows)
    pool = merge(old, found.windows, config.max_windows, run.window_frames)
    scans = [*(_load_scans(run)[: number - 1] if number > 1 else ()), found]
    _write_json(run.training / SCANS, [asdict(replace(each, windows=())) for each in scans])
    run.tell(
        f"mining round {number}: {found.found} windows score above {config.threshold:g} in "
        f"{found.scanned_s / 3600:.1f} h and {found.variants_s / 3600:.1f} h of variants; the pool holds {len(pool)}"
    )
    for warning in pool_warnings(pool):
        run.tell(f"mining round {number}: {warning}")
    cache_pooled(run, material, pool)
    save_pool(pool, _pool_file(run, number))


def scan_sources(run: Workspace, material: Material) -> list[ScanSource]:
    """The training split's negatives and noise, and the variants of what is spoken."""
    found = []
    for member in material.negatives("train", run.recipe.keyword):
        path = f"{member.recording.root.name}/{member.recording.path}"
        for variant in range(1 + material.variant_count(member, run.recipe.keyword)):
            key = material.variants.take(member.content_sha1, variant).key
            found.append(ScanSource(key, f"{path} (variant {variant})" if variant else path))
    return found


def mining_summary(run: Workspace) -> dict[str, Any] | None:
    """What the pool of a trained run is made of, for its report; None where nothing was mined."""
    if not (run.training / SCANS).is_file():
        return None
    return composition(last_pool(run), _load_scans(run))


def last_pool(run: Workspace) -> Pool:
    """The pool that the training ended with."""
    return load_pool(_pool_file(run, len(_load_scans(run))))


def _pool_file(run: Workspace, number: int) -> Path:
    return run.training / f"pool-{number}.csv"


def _load_words(run: Workspace) -> dict[str, Span]:
    words = _read_json(run.training / WORDS)
    try:
        return {sha1: Span(**span) for sha1, span in words.items()}
    except (TypeError, AttributeError) as reason:
        raise _unreadable(run.training / WORDS, reason) from reason


def _load_scans(run: Workspace) -> list[Scan]:
    rows = _read_json(run.training / SCANS)
    try:
        return [Scan(**{**row, "windows": (), "histogram": tuple(row["histogram"])}) for row in rows]
    except (TypeError, KeyError) as reason:
        raise _unreadable(run.training / SCANS, reason) from reason


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise _unreadable(path, reason) from reason


def _unreadable(path: Path, reason: Exception) -> TrainingError:
    return TrainingError(f"{path}: not readable ({reason}); delete {path.parent} to train again")


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=1), encoding="utf-8")
