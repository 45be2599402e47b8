"""`uyan run` and the stages: what a user sees, and with which code it ends."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.cli.main import main
from uyan.recipe import Recipe

RECIPE = """\
keyword: uyan
data: {manifests: [corpus/manifest.csv]}
network: {size: small}
batches: {size: 24, workers: 0, validation_workers: 0}
training: {epochs: 1}
variants: {positive: 0, negative: 0}
cache: {workers: 1, max_ram_gb: 0.1}
"""
WriteCorpus = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of `uyan ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["uyan", *map(str, arguments)])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to standard error, which is no traceback."""
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err
    return shown.err


def test_a_typo_in_a_recipe_is_named(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(RECIPE.replace("epochs", "epoch"), encoding="utf-8")
    assert call(monkeypatch, "run", recipe, "--out", recipe.parent / "run") == 2
    message = complaint(capsys)
    assert "training.epoch: " in message
    assert str(recipe) in message
    assert not (recipe.parent / "run").exists()


def test_a_typo_in_an_override_is_named(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "train", recipe, "--set", "training.epochz=3") == 2
    assert "training.epochz: " in complaint(capsys)
    assert call(monkeypatch, "train", recipe, "--set", "epochs") == 2
    assert "write it as key=value" in complaint(capsys)


def test_a_missing_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "run", tmp_path / "none.yaml") == 2
    message = complaint(capsys)
    assert "none.yaml: cannot be read" in message
    assert len(message.splitlines()) == 1


def test_a_missing_manifest(recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "split", recipe, "--out", recipe.parent / "run") == 2
    shown = capsys.readouterr().err
    assert "error: " in shown and "corpus/manifest.csv: cannot be read" in shown
    assert "Traceback" not in shown


def test_a_folder_of_another_configuration(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = recipe.parent / "run"
    call(monkeypatch, "split", recipe, "--out", out)  # stops at the missing manifest
    (out / "training").mkdir()
    capsys.readouterr()
    assert call(monkeypatch, "split", recipe, "--out", out, "--set", "training.epochs=2") == 2
    assert "holds a network trained with another configuration" in capsys.readouterr().err


def test_an_out_that_cannot_be_written(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "split", recipe, "--out", recipe) == 2
    shown = capsys.readouterr().err
    assert "cannot be written" in shown and "Traceback" not in shown


def test_a_stage_says_where_it_left_its_files(
    recipe: Path, write_corpus: WriteCorpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(recipe.parent / "corpus", speakers=3, noise=0)
    out = recipe.parent / "run"
    assert call(monkeypatch, "split", recipe, "--out", out) == 0
    assert capsys.readouterr().out == f"split: done, in {out}\n"
    assert (out / "splits.csv").is_file()


def test_the_folder_is_named_after_the_recipe(
    recipe: Path, write_corpus: WriteCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(recipe.parent / "corpus", speakers=3, noise=0)
    monkeypatch.chdir(recipe.parent)
    assert call(monkeypatch, "split", recipe.name) == 0
    assert (recipe.parent / "runs/recipe/splits.csv").is_file()


@pytest.mark.parametrize("command", ["run", "train", "calibrate"])
def test_parts_of_the_training_can_be_left_out(command: str, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes: list[Recipe] = []
    monkeypatch.setattr("uyan.pipeline.run.run_until", lambda run, stage, elsewhere: recipes.append(run.recipe))
    for flags in ((), ("--no-rir",), ("--no-specaug",), ("--no-mixbg",), ("--no-rir", "--no-specaug", "--no-mixbg")):
        assert call(monkeypatch, command, recipe, "--set", "training.epochs=7", *flags) == 0
    found = [
        (r.variants.rir_share, r.augment.time_masks, r.augment.mel_masks, r.augment.background_share) for r in recipes
    ]
    rooms, time, mel, background = found[0]
    assert min(found[0]) > 0
    assert found[1:] == [(0, time, mel, background), (rooms, 0, 0, background), (rooms, time, mel, 0), (0, 0, 0, 0)]
    assert {r.training.epochs for r in recipes} == {7}


def test_a_stage_before_training_has_nothing_to_leave_out(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "split", recipe, "--no-rir") == 2


@pytest.mark.slow
def test_a_whole_run_shows_its_figures_with_denominators(
    recipe: Path, write_corpus: WriteCorpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(recipe.parent / "corpus", speakers=5)
    out = recipe.parent / "run"
    monkeypatch.setenv("COLUMNS", "200")
    assert call(monkeypatch, "run", recipe, "--out", out, "--set", "evaluation.snr_db=[5]") == 0
    shown = capsys.readouterr()
    assert re.search(r"“uyan”: \d speakers and 0\.0\d h of negatives never heard in training", shown.out)
    assert re.search(r"clean.*\d+\.\d%.*\d/\d", shown.out)
    assert re.search(r"5 dB SNR.*\d+\.\d%", shown.out)
    assert re.search(r"threshold \d\.\d{4}: .* in 0\.0\d h", shown.out)
    assert f"bundle {out / 'bundle.onnx'}" in shown.out
    assert "warning: only" in shown.err  # notices and progress leave standard output to the results
    assert re.search(r"\n +1/1 +\d\.\d{4} ", shown.err)  # the table of epochs


def _listening_to_ctrl_c() -> None:
    """A shell starts what runs in the background deaf to it, and so would be what the tests start there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_while_training_is_130_and_leaves_a_checkpoint(recipe: Path, write_corpus: WriteCorpus) -> None:
    write_corpus(recipe.parent / "corpus", speakers=5)
    recipe.write_text(RECIPE.replace("epochs: 1", "epochs: 5000"), encoding="utf-8")
    out = recipe.parent / "run"
    command = [sys.executable, "-m", "uyan.cli.main", "train", str(recipe), "--out", str(out)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_listening_to_ctrl_c
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.split()[:1] == ["2/5000"]:
            child.send_signal(signal.SIGINT)
            break
    shown, rest = child.communicate(timeout=180)
    assert child.returncode == 130
    assert rest.endswith("interrupted; the same command goes on where it stopped\n")
    assert "Traceback" not in rest and shown == ""
    assert (out / "training/checkpoint.safetensors").is_file()
