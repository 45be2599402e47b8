"""The demonstration at a fraction of its size: every part of it runs, and what it reports adds up."""

from pathlib import Path

import pytest

from uyan.pipeline import demo
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe
from uyan.voices import demo_corpus


@pytest.mark.slow
def test_the_demo_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_corpus, "SPEAKERS", 10)
    monkeypatch.setattr(demo_corpus, "NEGATIVE_S", (6.0, 8.0))
    monkeypatch.setattr(demo_corpus, "NOISE_S", 3.0)
    monkeypatch.setattr(demo, "TRAINING", {"epochs": 2, "learning_rate": 2e-3})
    monkeypatch.setattr(demo, "OCCURRENCES", 3)
    said: list[str] = []
    result = demo.run_demo(tmp_path / "demo", seed=3, tell=said.append)
    assert result.stream.is_file()
    assert result.outcome.bundle.path.is_file()
    assert len(result.heard) == 3
    assert all(fired is None or -demo.EARLY_S <= fired - spoken <= demo.LATE_S for spoken, fired in result.heard)
    fired_for_words = {fired for _, fired in result.heard if fired is not None}
    assert not fired_for_words & set(result.false_alarms_s)
    assert any(line.startswith("training on ") for line in said)


@pytest.mark.parametrize(("keyword", "kept"), [("hey uyan", False), ("jarvis", True)])
def test_a_demo_of_other_voices_begins_anew_and_a_users_run_is_left_alone(
    tmp_path: Path, keyword: str, kept: bool
) -> None:
    raw = {"keyword": keyword, "data": {"manifests": ["corpus/manifest.csv"]}}
    run = Workspace(parse_recipe(raw, "demo"), tmp_path, tmp_path / "out")
    run.open()
    run.training.mkdir()
    demo._forget_other_voices(run)
    assert run.training.is_dir()  # nothing has changed
    raw["data"] = {"manifests": ["corpus/manifest.csv", "neural/manifest.csv"]}
    demo._forget_other_voices(Workspace(parse_recipe(raw, "demo"), tmp_path, tmp_path / "out"))
    assert run.training.is_dir() == kept


def test_a_detection_counts_for_the_word_it_is_near() -> None:
    assert demo._first_near([1.0, 5.2, 9.9], 5.0) == 5.2
    assert demo._first_near([4.4, 6.1], 5.0) is None
