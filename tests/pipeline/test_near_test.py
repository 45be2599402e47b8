"""Which recordings may stand in a test of near words: nobody who was heard, and never the keyword itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import write
from uyan.errors import EvaluationError, UyanError
from uyan.pipeline import near_test
from uyan.pipeline.held_out import unheard
from uyan.pipeline.near_test import near_members, near_warnings
from uyan.pipeline.run import run_until
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe
from uyan.training.trunk import Learnt

HEADER = "path,label,speaker_id,duration_s,kind"


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[[str], Path]:
    """Two recordings, one by each of two voices, of a kind."""

    def make(kind: str) -> Path:
        rows = []
        for number, speaker in enumerate(("tts:piper:joe", "tts:piper:amy")):
            sound = np.random.default_rng(number).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
            write(tmp_path / f"{number}.wav", sound)
            rows.append(f"{number}.wav,jarvi,{speaker},1.0,{kind}")
        path = tmp_path / "near.csv"
        path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
        return path

    return make


def test_voices_that_were_heard_do_not_judge(manifest: Callable[[str], Path]) -> None:
    near = manifest("negative")
    assert near_members([], "jarvis", Learnt()) == []
    assert len(near_members([near], "jarvis", Learnt())) == 2
    (left,) = near_members([near], "jarvis", Learnt(frozenset({"tts:piper:joe"}), frozenset()))
    assert left.recording.speaker_id == "tts:piper:amy"
    with pytest.raises(EvaluationError, match="its speaker was heard in training or validation"):
        near_members([near], "jarvis", Learnt(frozenset({"tts:piper:joe", "tts:piper:amy"}), frozenset()))


def test_as_many_processes_as_were_asked_for(manifest: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(near_test, "unheard", lambda *given: asked.append(given[3]) or unheard(*given))
    near_members([manifest("negative")], "jarvis", Learnt(), workers=1)
    assert asked == [1]


def test_a_heard_voice_in_another_variation_is_said(manifest: Callable[[str], Path]) -> None:
    near = near_members([manifest("negative")], "jarvis", Learnt())
    assert near_warnings(near, Learnt(frozenset({"ada", "tts:piper:lessac:r+1"}), frozenset())) == []
    heard = Learnt(frozenset({"tts:piper:joe:r+1:f-2", "ada"}), frozenset())
    (warning,) = near_warnings(near, heard)
    assert warning.startswith("1 of 2 near words are said by voices that were heard in training")


def test_the_keyword_itself_is_refused(manifest: Callable[[str], Path]) -> None:
    with pytest.raises(EvaluationError, match="is the keyword 'jarvi' itself"):
        near_members([manifest("keyword")], "jarvi", Learnt())


def test_a_run_asks_for_its_near_words_before_it_decodes_anything(
    tmp_path: Path, manifest: Callable[[str], Path]
) -> None:
    for near, message in ((tmp_path / "none.csv", "none.csv"), (manifest("keyword"), "is the keyword 'jarvi' itself")):
        recipe = parse_recipe(
            {
                "keyword": "jarvi",
                "data": {"manifests": [str(tmp_path / "not-read-yet.csv")]},
                "evaluation": {"near_words": [str(near)]},
            },
            "test",
        )
        with pytest.raises(UyanError, match=message):
            run_until(Workspace(recipe, tmp_path, tmp_path / "out"), "check")
