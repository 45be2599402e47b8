"""A virtual environment for every engine, made once: Python's venv, pip, and the size of what came.

An environment is complete when its stamp is written, last; one without, or with another stamp, is made anew. It knows
nothing of engines but what pip is to install.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from uyan.errors import UyanError
from uyan.files import replacing

STAMP = "environment.json"
EMPTY = "empty"


class InstallError(UyanError):
    """An engine could not be installed."""


@dataclass(frozen=True)
class Environment:
    """An installed engine."""

    folder: str
    stamp: str
    python_version: str
    packages: tuple[str, ...]
    """name==version of everything in it."""
    total_bytes: int
    """Of all files, byte code too."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return interpreter(Path(self.folder))


def interpreter(folder: Path) -> Path:
    """Where a virtual environment has its Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(folder: Path, requirement: str | None, stamp: str) -> Environment:
    """The environment in `folder`, made unless it is there with that stamp; None installs nothing.

    Raises InstallError with the last line that pip said.
    """
    known = _stamped(folder)
    if known and (known.stamp, known.python_version) == (stamp, platform.python_version()):
        return known
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)], "make a virtual environment")
    pip = [str(interpreter(folder)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if requirement is not None:
        _run([*pip, "install", "--quiet", requirement], f"install {requirement}")
    packages = _run([*pip, "list", "--format=freeze"], "list packages").split()
    made = Environment(str(folder), stamp, platform.python_version(), tuple(packages), _size_bytes(folder))
    with replacing(folder / STAMP) as partial:
        partial.write_text(json.dumps(asdict(made)), encoding="utf-8")
    return made


def _stamped(folder: Path) -> Environment | None:
    file = folder / STAMP
    if not (file.is_file() and interpreter(folder).exists()):
        return None
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        # A folder that was moved is read where it lies now, but its scripts would not run there.
        return Environment(**{**raw, "packages": tuple(raw["packages"])}) if raw["folder"] == str(folder) else None
    except (ValueError, KeyError, TypeError):
        return None


def _run(command: list[str], what: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        reason = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1])
        raise InstallError(f"could not {what}: {reason}")
    return done.stdout


def _size_bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
