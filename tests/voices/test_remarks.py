"""What is told of a corpus before it is made."""

import json
from pathlib import Path

import pytest

from uyan.voices import installed
from uyan.voices.espeak_engine import EspeakEngine
from uyan.voices.installed import Wish, choose
from uyan.voices.order import Order
from uyan.voices.remarks import remarks
from uyan.voices.speech import EngineVoice

ONE = [EngineVoice("piper", "joe:0", "en-us")]
ORDER = Order("jarvis", ("jarvis",))


@pytest.fixture(autouse=True)
def espeak_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "installed", lambda folder, files=(): [EspeakEngine()])


def test_few_voices_are_told_with_the_way_to_more(tmp_path: Path) -> None:
    more = len(choose(tmp_path, Wish(engines=("espeak",)))[1])
    assert remarks(ORDER, ONE, Wish(), tmp_path) == [
        "1 voice of piper, spoken as English (--language)",
        f"all by 1 voice; add --engine espeak --engine piper for {more} more",
    ]
    assert remarks(ORDER, ONE * 9, Wish(engines=("piper",)), tmp_path)[1:] == ["all by 9 voices"]
    assert remarks(ORDER, ONE * 10, Wish(), tmp_path)[1:] == []
    assert remarks(Order("", ("hello",), kind="negative"), ONE, Wish(), tmp_path)[1:] == []


def test_voices_that_cannot_speak_are_told_where_any_would_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tr_TR-dfki-medium.onnx").write_bytes(b"")
    description = {"num_speakers": 1, "espeak": {"voice": "tr"}, "audio": {"sample_rate": 22_050}}
    (tmp_path / "tr_TR-dfki-medium.onnx.json").write_text(json.dumps(description))
    monkeypatch.setattr(installed, "importable", lambda engine: engine == "espeak")
    told = remarks(ORDER, ONE * 10, Wish(languages=("tr",)), tmp_path)
    assert told[1:] == [
        f"warning: voices of piper lie in {tmp_path}, but the engine piper is not installed; pip install 'uyan[voices]'"
    ]
    assert remarks(ORDER, ONE * 10, Wish(engines=("espeak",)), tmp_path)[1:] == []


def test_a_language_that_nobody_named_is_told(tmp_path: Path) -> None:
    for wish in (Wish(languages=("en",)), Wish(voices=("joe",)), Wish(command="say {out} {text}")):
        assert remarks(ORDER, ONE, wish, tmp_path)[0] == "1 voice of piper"


def test_letters_that_the_language_does_not_have_are_told(tmp_path: Path) -> None:
    order = Order("漢字", ("kanji", "漢字"))
    assert remarks(order, ONE * 10, Wish(), tmp_path)[1:] == [
        "warning: '漢字' has no Latin letter and is read as 'en-us'; name its --language"
    ]
    assert remarks(order, ONE * 10, Wish(languages=("cmn",)), tmp_path)[1:] == []
