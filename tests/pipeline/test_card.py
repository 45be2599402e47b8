"""A bundle's card with and without its run's folder, and what is published of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalTokenNotFoundError
from tests.export.test_model_card import make_metrics

from uyan.bundle import Bundle
from uyan.errors import ConfigError, EvaluationError
from uyan.export.onnx import make_bundle, save_bundle
from uyan.pipeline import hub
from uyan.pipeline.card import card_of, publication


@pytest.fixture
def shipped(bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle with its figures inside, alone in a folder."""
    metrics = make_metrics()
    info = replace(bundle.info, measured={k: v for k, v in metrics.items() if k != "data"}, data=metrics["data"])
    path = tmp_path / "away" / "bundle.onnx"
    path.parent.mkdir()
    save_bundle(make_bundle(bundle.data, info, path))
    return path


def test_alone_a_bundle_says_what_it_repeats_of_its_metrics(shipped: Path) -> None:
    card = card_of(shipped)
    assert "| clean | 7.5% | 3 / 40 / 3 |" in card and "Not measured here: cost" in card


def test_measurements_beside_it_are_on_the_card(shipped: Path) -> None:
    (shipped.parent / "int8.json").write_text(json.dumps({"misses": {}}), encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"does not make a card \(KeyError"):
        card_of(shipped)
    (shipped.parent / "int8.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"int8\.json: cannot be read \(no JSON object\)"):
        card_of(shipped)


def test_metrics_of_another_run_are_not_taken(shipped: Path) -> None:
    other = {**make_metrics(warnings=["of another run"]), "config_hash": "f" * 64}
    (shipped.parent / "metrics.json").write_text(json.dumps(other), encoding="utf-8")
    assert "of another run" not in card_of(shipped)
    own = {**other, "config_hash": "0" * 64, "warnings": ["of this run"]}
    (shipped.parent / "metrics.json").write_text(json.dumps(own), encoding="utf-8")
    assert "of this run" in card_of(shipped)


def test_published_are_the_bundle_its_card_and_what_devices_need(shipped: Path, tmp_path: Path) -> None:
    (shipped.parent / "frontend.onnx").write_bytes(b"front end")
    (shipped.parent / "splits.csv").write_text("who was heard", encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    assert [file.name for file in publication(shipped, out)] == ["README.md", "bundle.onnx", "frontend.onnx"]
    assert (out / "bundle.onnx").read_bytes() == shipped.read_bytes()
    assert (out / "README.md").read_text(encoding="utf-8") == card_of(shipped)


def test_without_a_token_or_a_hub_nothing_is_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(api: HfApi) -> None:
        raise LocalTokenNotFoundError("none") if not api.token else ConnectionError("unreachable\nsecond line")

    monkeypatch.setattr(HfApi, "whoami", refuse)
    with pytest.raises(ConfigError, match="no token for the hub on this computer"):
        hub.upload(tmp_path, "ada/word", private=True)
    monkeypatch.setattr(HfApi, "whoami", lambda api: None)
    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: refuse(HfApi(token="x")))
    with pytest.raises(ConfigError, match=r"ada/word: the hub refused \(unreachable\)"):
        hub.upload(tmp_path, "ada/word", private=True)


def test_the_folder_goes_to_a_repository_that_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []
    monkeypatch.setattr(HfApi, "whoami", lambda api: None)
    monkeypatch.setattr(HfApi, "create_repo", lambda api, repo, **options: asked.append((repo, options)))
    monkeypatch.setattr(HfApi, "upload_folder", lambda api, **options: asked.append(("files", options["folder_path"])))
    assert hub.upload(tmp_path, "ada/word", private=True).endswith("/ada/word")
    assert asked == [("ada/word", {"private": True, "exist_ok": True}), ("files", tmp_path)]
