"""`python -m bench.peers`: this project's bundles and the engines of others on one stream; a Markdown table and JSON.

Virtual environments, the stream and finished runs are kept in the folder of --out: the same command goes on where it
was stopped.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.measure import QUIET_LOAD, conditions
from bench.peers.engines import Engine, bundle_engine, peers
from bench.peers.plan import StreamConfig
from bench.peers.recordings import gather
from bench.peers.report import save
from bench.peers.results import Place, Row, compare
from bench.peers.runs import StreamFile
from bench.peers.stream import make_stream
from bench.peers.truth import AUDIO
from uyan.errors import ConfigError, UyanError

USER_ERROR, ENGINE_FAILED = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 when an engine could not be compared (its row says why); 2 for what the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        rows = _compare(options)
    except (UyanError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return USER_ERROR
    failed = sorted({f"{row.engine}: {row.status}" for row in rows if row.failed})
    for each in failed:
        print(f"warning: {each}", file=sys.stderr)
    return ENGINE_FAILED if failed else 0


def _compare(options: argparse.Namespace) -> list[Row]:
    bundles = [bundle_engine(path) for path in options.bundle]
    others = _chosen(options.engines)
    if not [*bundles, *others]:
        raise ConfigError("nothing to compare; name a --bundle or --engines")
    words = options.words or list(dict.fromkeys(word for engine in bundles for word in engine.models or ()))
    if not words:
        raise ConfigError("no word to listen for; name a --bundle, or --words")
    state = conditions()
    if state["load_average"] > QUIET_LOAD:
        _say(f"warning: load average {state['load_average']}: other work slows these figures")
    config = StreamConfig(
        options.hours, options.speech_share, options.snr_db, options.keywords, options.seed, options.repeat
    )
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    material = gather(options.data, words, options.bundle, out / "probes.parquet")
    truth = make_stream(material, config, out, np.random.default_rng(config.seed), _say)
    environments = (options.environments or out / "environments").resolve()
    place = Place(environments, out / "runs", StreamFile(out / AUDIO, truth.sha256))
    rows: list[Row] = []
    for engine in [*bundles, *others]:
        rows += compare(engine, words, truth, place, _say)
        text = save(rows, truth, material.notes, state, out)
    print(text)
    return rows


def _chosen(names: Sequence[str] | None) -> list[Engine]:
    known = {engine.environment: engine for engine in peers()}
    chosen = list(known) if names is None else names
    for name in chosen:
        if name not in known:
            raise ConfigError(f"--engines {name}: not known; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(chosen)]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.peers", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of manifest.csv, or of folders with one each")
    add("--bundle", type=Path, nargs="+", default=[], help="this project's bundles")
    add("--engines", nargs="*", help="only these engines of others; none after it: no others")
    add("--words", nargs="+", help="keywords in the stream (default: those of the bundles)")
    add("--hours", type=float, required=True, help="of background")
    add("--speech-share", type=float, default=0.2, help="of the background, by time")
    add("--snr-db", type=float, default=10.0, help="voices over noise")
    add("--keywords", type=int, help="takes of each word (default: as many as there are and fit)")
    add("--seed", type=int, default=42)
    add("--repeat", action="store_true", help="use recordings again where the hours are too few")
    add("--out", type=Path, required=True, help="folder of the table, the stream and what is kept")
    add("--environments", type=Path, help="folder of the virtual environments (default: in --out)")
    return parser


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    raise SystemExit(main())
