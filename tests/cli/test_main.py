"""The command line as a whole: help with examples, exit codes, one line instead of a traceback, nothing heavy."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from uyan import __version__
from uyan.cli import main as main_module
from uyan.cli import run as run_module
from uyan.cli.main import app, main
from uyan.errors import BundleError, ConfigError, LeakageError

COMMAND = typer.main.get_command(app)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = list(commands(COMMAND))
LEAVES = [path for path in ALL if not any(other[:-1] == path for other in ALL if other)]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `uyan ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["uyan", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_the_commands_there_are() -> None:
    names = {" ".join(path) for path in LEAVES}
    stages = {"split", "features", "train", "calibrate"}
    assert {
        "run",
        *stages,
        "kfold",
        "curve",
        "ablate",
        "pretrain",
        "listen",
        "export",
        "demo",
        "data scan",
        "data check",
    } <= names


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_help_of_every_command_shows_an_example(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *path, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: uyan {' '.join(path)}" in text


def test_the_help_of_the_whole_shows_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--help") == 0
    assert "Example: uyan run" in capsys.readouterr().out


def test_help_and_version_load_nothing_heavy() -> None:
    script = """
import sys
from uyan.cli.main import main
for option in ("--help", "--version"):
    sys.argv = ["uyan", option]
    try:
        main()
    except SystemExit as left:
        assert not left.code, left.code
print("loaded:", *sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert __version__ in shown.stdout.splitlines()
    loaded = set(shown.stdout.rpartition("loaded: ")[2].split())
    heavy = {"torch", "lightning", "scipy", "polars", "yaml", "matplotlib", "onnx", "onnxruntime", "safetensors"}
    assert loaded & heavy == set()
    assert not [name for name in loaded if name.startswith(("uyan.data", "uyan.training", "uyan.pipeline"))]


def test_an_unknown_command_or_option(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "trian") == 2
    assert "trian" in capsys.readouterr().err
    assert call(monkeypatch, "run", "r.yaml", "--epochs", "3") == 2
    assert "--epochs" in capsys.readouterr().err


def test_a_missing_argument(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "run") == 2
    assert "RECIPE.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ConfigError, LeakageError, BundleError])
def test_an_error_is_one_line_and_code_2(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> None:
        raise error("threshold 2.0: must lie in [0, 1]")

    monkeypatch.setattr(run_module, "run_recipe", fail)
    assert call(monkeypatch, "run", "r.yaml") == main_module.BAD_INPUT == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "error: threshold 2.0: must lie in [0, 1]\n")


def test_a_full_disk_is_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/splits.csv")

    monkeypatch.setattr(run_module, "run_recipe", fail)
    assert call(monkeypatch, "run", "r.yaml") == 2
    assert capsys.readouterr().err == "error: [Errno 28] No space left on device: 'runs/splits.csv'\n"


def test_interrupted_is_130_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "run_recipe", interrupt)
    assert call(monkeypatch, "run", "r.yaml") == main_module.INTERRUPTED == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on where it stopped\n"


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(run_module, "run_recipe", fail)
    assert call(monkeypatch, "run", "r.yaml") == 2
    assert capsys.readouterr().err == "error: torch is not installed; pip install 'uyan[train]'\n"


def test_what_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run_module, "run_recipe", fail)
    monkeypatch.setattr(sys, "argv", ["uyan", "run", "r.yaml"])
    with pytest.raises(ZeroDivisionError):
        main()
