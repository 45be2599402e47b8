"""Neural voices in the demo: taken where they are installed, the keyword and other speech by the same voices."""

from pathlib import Path

import pytest
from fake_engines import Tones

from uyan.data.manifest import load_manifests
from uyan.voices import demo_neural
from uyan.voices.demo_neural import neural_voices, voiceless, write_neural
from uyan.voices.demo_text import DEMO_KEYWORD
from uyan.voices.speech import Engine, EngineVoice


class Piper(Tones):
    """Tones that pass for a neural engine."""

    @property
    def name(self) -> str:
        return "piper"

    def voices(self) -> list[EngineVoice]:
        return [EngineVoice("piper", f"v{number}", self.language, "CC0", number=number) for number in range(3)]


def with_engines(monkeypatch: pytest.MonkeyPatch, *engines: Engine) -> None:
    monkeypatch.setattr(demo_neural, "installed", lambda folder: list(engines))
    monkeypatch.setattr("uyan.voices.installed.installed", lambda folder, files: list(engines))


def test_without_a_neural_engine_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_engines(monkeypatch, Tones())
    assert write_neural(tmp_path / "n", tmp_path, 1) == []
    assert not (tmp_path / "n").exists()


def test_one_that_speaks_another_language_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_engines(monkeypatch, Piper(language="tr"))
    assert neural_voices(tmp_path) == []


def test_the_same_voices_say_the_keyword_and_other_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_engines(monkeypatch, Tones(), Piper())
    monkeypatch.setattr(demo_neural, "POSITIVES", 9)
    monkeypatch.setattr(demo_neural, "NEGATIVES", 12)
    manifests = write_neural(tmp_path / "n", tmp_path, 1)
    positive, negative = (load_manifests([manifest]) for manifest in manifests)
    assert len(positive) == 9
    assert {r.label for r in positive} == {DEMO_KEYWORD}
    assert {r.kind for r in negative} == {"negative"}
    assert len(negative) == 12
    voices = [{r.speaker_id.split(":")[2] for r in recordings} for recordings in (positive, negative)]
    assert voices[0] == voices[1] == {"v0", "v1", "v2"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    assert write_neural(tmp_path / "n", tmp_path, 1) == manifests
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")} == before


def test_an_engine_without_a_voice_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_engines(monkeypatch, Tones())
    monkeypatch.setattr(demo_neural, "importable", lambda name: name == "kokoro")
    assert voiceless(tmp_path) == "kokoro"
    with_engines(monkeypatch, Tones(), Piper())
    monkeypatch.setattr(demo_neural, "importable", lambda name: name == "piper")
    assert voiceless(tmp_path) == ""
