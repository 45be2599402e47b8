"""How long `import uyan` and `uyan --help` take in a fresh process, and that neither loads torch or lightning."""

import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench.measure import Figure, seconds_of

TARGET_IMPORT_S, TARGET_HELP_S = 0.3, 0.5
HEAVY = ("torch", "lightning")

IMPORT = "import uyan"
HELP = "import sys; from uyan.cli.main import main; sys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass"
LIST_HEAVY = f"\nimport sys; print('loaded:', *(name for name in {HEAVY} if name in sys.modules))"


def start_up(repeats: int = 10) -> list[Figure]:
    """Median seconds of fresh processes, their byte code compiled."""
    command = Path(sys.executable).with_name("uyan")
    show_help = [str(command), "--help"] if command.is_file() else [sys.executable, "-c", HELP]
    return [
        _figure("import uyan", [sys.executable, "-c", IMPORT], IMPORT, TARGET_IMPORT_S, repeats),
        _figure("uyan --help", show_help, HELP, TARGET_HELP_S, repeats),
        Figure("bare Python", _median_s([sys.executable, "-c", ""], repeats), "s", note="part of both"),
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
