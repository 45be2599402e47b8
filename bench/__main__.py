"""`python -m bench`: measure what is claimed, print one Markdown table, write `runs/bench/results.json`.

Every benchmark runs in a process of its own, one after the other; those that are figures per core are pinned to one.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.augmentation_cost import augmentation_cost
from bench.cache_memory import cache_memory
from bench.dense_scoring import dense_scoring_speed
from bench.duplicates_scale import duplicates_scale
from bench.engines import engine_scaling
from bench.evaluation import evaluation_speed
from bench.extraction import extraction_speed
from bench.front_end import front_end_speed
from bench.loading_share import loading_share
from bench.measure import QUIET_LOAD, Figure, conditions, in_fresh_process
from bench.mining import mining_memory, mining_speed
from bench.object_storage import object_storage
from bench.phoneme_distance import agreement_with_panphon
from bench.resident import resident_training
from bench.server import server_load, server_soak
from bench.shards import shard_packing, shard_reads, shards_killed
from bench.speakers import speaker_groups
from bench.start_up import start_up
from bench.streaming import streaming_cost
from bench.voices import voices_killed, voices_speed

CLIPS = 125_000


class Benchmark(NamedTuple):
    """A function that gives figures, and whether it is to run on one core."""

    function: Callable[[], list[Figure]]
    one_core: bool
    slow: bool = False


def benchmarks(
    clips: int, budget_gb: float, data: Path | None, out: Path | None = None, soak_minutes: float = 60.0
) -> dict[str, Benchmark]:
    """All of them, by name, in the order of the table."""
    return {
        "front-end": Benchmark(front_end_speed, True),
        "extraction": Benchmark(partial(extraction_speed, data=data), True),
        "dense-scoring": Benchmark(dense_scoring_speed, True),
        "streaming": Benchmark(streaming_cost, True),
        "evaluation": Benchmark(evaluation_speed, False),
        "engines": Benchmark(engine_scaling, False),
        "mining": Benchmark(mining_speed, True),
        "mining-memory": Benchmark(partial(mining_memory, out=out), True),
        "loading-share": Benchmark(loading_share, False),
        "augmentation-cost": Benchmark(augmentation_cost, True),
        "cache-memory": Benchmark(partial(cache_memory, clips, budget_gb), False),
        "shard-reads": Benchmark(shard_reads, True),
        "shard-packing": Benchmark(shard_packing, True),
        "resident": Benchmark(partial(resident_training, clips), False),
        "start-up": Benchmark(start_up, False),
        "server": Benchmark(server_load, False),
        "voices": Benchmark(voices_speed, False),
        "phoneme-distance": Benchmark(agreement_with_panphon, True),
        "speakers": Benchmark(partial(speaker_groups, data), True),
        "voices-killed": Benchmark(voices_killed, False, slow=True),
        "shards-killed": Benchmark(shards_killed, False, slow=True),
        "object-storage": Benchmark(object_storage, False, slow=True),
        "server-soak": Benchmark(partial(server_soak, soak_minutes, out), False, slow=True),
        "duplicates": Benchmark(partial(duplicates_scale, clips), False, slow=True),
    }


def table(figures: Sequence[Figure], state: Mapping[str, Any]) -> str:
    """Figures beside their targets, the conditions below, as Markdown."""
    lines = ["| figure | measured | target | | note |", "|---|---:|---:|---|---|"]
    for figure in figures:
        target = "" if figure.target is None else f"{'≤' if figure.at_most else '≥'} {_rounded(figure.target)}"
        measured = f"{_rounded(figure.value)} {figure.unit}".strip()
        lines.append(f"| {figure.name} | {measured} | {target} | {figure.verdict} | {figure.note} |")
    return "\n".join([*lines, "", ", ".join(f"{key} {value}" for key, value in state.items())])


def _rounded(value: float) -> str:
    """Three digits, thousands marked.

    >>> _rounded(6543.2), _rounded(0.28123), _rounded(1e-6)
    ('6,543', '0.281', '1e-06')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for. A missed target is said in the table and fails nothing: this is no test."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the uyan command does
    state = conditions()
    if state["load_average"] > QUIET_LOAD:
        print(f"warning: load average {state['load_average']}: other work slows these figures", file=sys.stderr)
    figures: list[Figure] = []
    chosen = benchmarks(options.clips, options.budget_gb, options.data, options.out, options.soak_minutes)
    for name, benchmark in chosen.items():
        if name in options.names or (not options.names and (options.slow or not benchmark.slow)):
            print(f"{name} ...", file=sys.stderr)
            figures += in_fresh_process(benchmark.one_core, benchmark.function)
    print(table(figures, state))
    options.out.mkdir(parents=True, exist_ok=True)
    results = {"conditions": state, "figures": [{**asdict(one), "verdict": one.verdict} for one in figures]}
    (options.out / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(benchmarks(0, 0, None))}")
    parser.add_argument("--data", type=Path, help="measure extraction on the recordings below this folder")
    parser.add_argument(
        "--clips", type=int, default=CLIPS, help="clips in the cache (19 kB each on disk) and the search"
    )
    parser.add_argument("--budget-gb", type=float, default=1.0, help="memory budget of the cache, GiB")
    parser.add_argument("--soak-minutes", type=float, default=60.0, help="how long clients come and go at a server")
    parser.add_argument("--slow", action="store_true", help="the soak, kills and the search for near-duplicates too")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of results.json and of curves")
    return parser


if __name__ == "__main__":
    main()
