"""From a sound to rows of a manifest: listen, label, add-feedback."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uyan.audio_file import write
from uyan.bundle import Bundle
from uyan.data.manifest import load_manifests

Uyan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clips(uyan: Uyan, bundle: Bundle, changing_sound: Any, tmp_path: Path) -> Path:
    """What listening to 12 s of sound keeps."""
    write(tmp_path / "kitchen.wav", changing_sound(12.0, seed=1))
    assert uyan("listen", bundle.path, tmp_path / "kitchen.wav", "--save-clips", tmp_path / "clips")[0] == 0
    return tmp_path / "clips"


def rows(clips: Path) -> list[dict[str, str]]:
    with (clips / "clips.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """answers("y", …): what the user types."""

    def give(*given: str) -> None:
        left: Iterator[str] = iter(given)
        monkeypatch.setattr("typer.prompt", lambda *_, **__: next(left))

    return give


def test_listen_label_add_feedback(uyan: Uyan, clips: Path, answers: Any, plug_in: Any, monkeypatch: Any) -> None:
    played: list[int] = []
    fake = plug_in()
    monkeypatch.setattr(fake, "play", lambda samples, rate_hz, blocking: played.append(samples.size), raising=False)
    answers("y", "r", "maybe", "n", "", "günaydın", "b", "q")
    code, out, err = uyan("data", "label", clips)
    assert code == 0
    assert [row["label"] for row in rows(clips)][:6] == ["yes", "no", "", "günaydın", "noise", ""]
    left = sum(not row["label"] for row in rows(clips))
    assert out.splitlines()[-1].startswith(f"{left} clips without an answer; ")
    assert "'maybe' is none of yes, no, noise or one of the words günaydın" in err
    assert len(played) == 8
    assert np.median(played) == 40_000

    code, out, err = uyan("data", "add-feedback", clips, "--speaker", "ada")
    assert code == 0
    assert out == (
        f"{clips / 'manifest.csv'}: 4 recordings added (2 keyword günaydın, 1 negative speech, 1 noise noise), "
        "0 were there\n"
    )
    assert err == f"{left} clips have no label yet: uyan data label {clips}\n"
    assert [r.kind for r in load_manifests([clips / "manifest.csv"])] == ["keyword", "negative", "keyword", "noise"]
    assert "0 recordings added, 4 were there" in uyan("data", "add-feedback", clips)[1]

    # What has been answered is not asked again.
    answers("q")
    assert uyan("data", "label", clips, "--no-play")[1].splitlines()[2].startswith(f"1/{left}  günaydın?")


def test_without_a_loudspeaker_the_file_is_named(uyan: Uyan, clips: Path, answers: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    answers("q")
    code, out, err = uyan("data", "label", clips)
    assert code == 0
    assert str(clips / rows(clips)[0]["path"]) in out
    assert "not played: " in err


def test_unnamed_speakers_and_changed_answers_are_warned_about(uyan: Uyan, clips: Path) -> None:
    table = clips / "clips.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace(",,\n", ",yes,\n", 1), encoding="utf-8")
    assert "1 added keywords have no speaker_id" in uyan("data", "add-feedback", clips)[2]
    table.write_text(text.replace(",,\n", ",no,\n", 1), encoding="utf-8")
    assert "is listed with another label, which stays" in uyan("data", "add-feedback", clips)[2]


def test_a_wrong_answer_is_one_line(uyan: Uyan, clips: Path) -> None:
    table = clips / "clips.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",,\n", ",ja,\n", 1), encoding="utf-8")
    code, out, err = uyan("data", "add-feedback", clips)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "row 2: label: 'ja'" in err
    assert err.count("\n") == 1
