"""README and docs: their commands and options exist, their links lead somewhere, their code runs."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer.main
import yaml
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.bundle import Bundle
from uyan.cli.main import app
from uyan.recipe import parse_recipe

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), ROOT / "bench" / "README.md", ROOT / "CONTRIBUTING.md"]
COMMAND = re.compile(r"(?:^|`)(?:\.venv/bin/)?uyan ([^`#\n…]+)", re.MULTILINE)


def code(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after its name."""
    command: Any = typer.main.get_command(app)
    while words and not words[0].startswith("--") and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no such command: uyan {' '.join(words)}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    for text in COMMAND.findall(page.read_text(encoding="utf-8")):
        command, rest = leaf([word for word in shlex.split(text) if word != "\\"])
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in rest if word.startswith("--")} - {"--help"}
        assert used <= known, f"uyan {text}: {used - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if code(page, "yaml")], ids=lambda page: page.name)
def test_recipes_are_valid(page: Path) -> None:
    for text in code(page, "yaml"):
        assert parse_recipe(yaml.safe_load(text), page.name).keyword


@pytest.mark.parametrize("page", [page for page in PAGES if code(page, "python")], ids=lambda page: page.name)
def test_python_runs_as_written(
    page: Path,
    bundle: Bundle,
    changing_sound: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Beside a bundle and a stream where the text has them."""
    sound: NDArray[np.float32] = changing_sound(12.0, seed=1)
    for folder in (tmp_path, tmp_path / "runs" / "demo"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bundle.onnx").write_bytes(bundle.data)
        soundfile.write(folder / "stream.wav", sound, SAMPLE_RATE)
    monkeypatch.chdir(tmp_path)
    for text in code(page, "python"):
        exec(compile(text, page.name, "exec"), {})
    if "print(" in "".join(code(page, "python")):
        assert bundle.info.label in capsys.readouterr().out
