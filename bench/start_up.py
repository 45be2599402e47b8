"""How long `import uyan`, a loaded bundle and `uyan --help` take in a fresh process, none of which loads torch."""

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from bench.dense_scoring import default_bundle
from bench.measure import Figure, seconds_of
from uyan.export.onnx import save_bundle
from uyan.frontend import Cmvn, FrontendConfig

TARGET_IMPORT_S, TARGET_LOAD_S, TARGET_HELP_S = 0.3, 0.4, 0.5
HEAVY = ("torch", "lightning")

IMPORT = "import uyan"
HELP = "import sys; from uyan.cli.main import main; sys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass"
LOAD = "import sys, uyan; uyan.load({path!r}).session"
LIST_HEAVY = f"\nimport sys; print('loaded:', *(name for name in {HEAVY} if name in sys.modules))"


def start_up(repeats: int = 10) -> list[Figure]:
    """Median seconds of fresh processes, their byte code compiled."""
    command = Path(sys.executable).with_name("uyan")
    show_help = [str(command), "--help"] if command.is_file() else [sys.executable, "-c", HELP]
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        bundle = default_bundle(Cmvn.of(np.zeros((64, 1), np.float32), FrontendConfig()))
        bundle.path = Path(folder) / "bundle.onnx"
        save_bundle(bundle)
        load = LOAD.format(path=str(bundle.path))
        loaded = _figure("a bundle ready to listen", [sys.executable, "-c", load], load, TARGET_LOAD_S, repeats)
    return [
        _figure("import uyan", [sys.executable, "-c", IMPORT], IMPORT, TARGET_IMPORT_S, repeats),
        loaded,
        _figure("uyan --help", show_help, HELP, TARGET_HELP_S, repeats),
        Figure("bare Python", _median_s([sys.executable, "-c", ""], repeats), "s", note="part of all"),
    ]


def _figure(name: str, command: list[str], code: str, target_s: float, repeats: int) -> Figure:
    loaded = _run([sys.executable, "-c", code + LIST_HEAVY]).splitlines()[-1].removeprefix("loaded:").split()
    note = f"loads {', '.join(loaded)}" if loaded else f"without {' and '.join(HEAVY)}"
    # Whatever is loaded that should not be fails the target, however fast it was.
    seconds = float("nan") if loaded else _median_s(command, repeats)
    return Figure(name, seconds, "s", target_s, at_most=True, note=note)


def _median_s(command: list[str], repeats: int) -> float:
    _run(command)
    return statistics.median(seconds_of(partial(_run, command)) for _ in range(repeats))


def _run(command: list[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
