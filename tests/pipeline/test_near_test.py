"""Which recordings may stand in a test of near words: nobody who was heard, and never the keyword itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import write
from uyan.errors import EvaluationError
from uyan.pipeline.near_test import near_members
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


def test_the_keyword_itself_is_refused(manifest: Callable[[str], Path]) -> None:
    with pytest.raises(EvaluationError, match="is the keyword 'jarvi' itself"):
        near_members([manifest("keyword")], "jarvi", Learnt())
