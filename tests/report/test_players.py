import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.report import players
from uyan.report.contents import Loud
from uyan.report.players import MOST_PLAYERS, Player, embedded, wav_bytes

Tone = Callable[..., NDArray[np.float32]]


def alarm(snippet: str) -> Loud:
    return Loud(
        path="a/b.opus",
        source="speech",
        label="speech",
        speaker_id="ada",
        time_s=1,
        score=0.9,
        fired=True,
        snippet=snippet,
    )


def decoded(player: Player) -> tuple[NDArray[np.float32], int]:
    assert player.missing == ""
    sound = base64.b64decode(player.source.removeprefix("data:audio/wav;base64,"), validate=True)
    return soundfile.read(io.BytesIO(sound), dtype="float32")


def test_a_sound_comes_out_as_it_went_in(tmp_path: Path, tone: Tone) -> None:
    samples = tone(440.0, 0.5)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    found, rate = decoded(embedded([alarm("a.wav")], tmp_path).players[0])
    assert rate == SAMPLE_RATE
    assert np.abs(found - samples).max() <= 0.5 / 32768 + 1e-7


def test_any_format_becomes_16_bit_mono(tmp_path: Path, tone: Tone) -> None:
    stereo = np.stack([tone(440.0, 0.5, rate_hz=44100)] * 2, axis=1)
    soundfile.write(tmp_path / "a.flac", stereo, 44100)
    player = embedded([alarm("a.flac")], tmp_path).players[0]
    info = soundfile.info(io.BytesIO(base64.b64decode(player.source.partition(",")[2])))
    assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")


def test_a_long_sound_is_cut(tmp_path: Path, tone: Tone) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440.0, 14.0), SAMPLE_RATE)
    assert len(decoded(embedded([alarm("a.wav")], tmp_path).players[0])[0]) == 10 * SAMPLE_RATE


def test_values_beyond_one_are_clipped() -> None:
    found, _ = soundfile.read(io.BytesIO(wav_bytes(np.array([-2.0, 2.0], np.float32))), dtype="int16")
    assert found.tolist() == [-32768, 32767]


@pytest.mark.parametrize("name", ["../secret.wav", "{absolute}", "link.wav"])
def test_sounds_outside_of_the_folder_are_not_read(tmp_path: Path, tone: Tone, name: str) -> None:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    soundfile.write(tmp_path / "secret.wav", tone(440.0, 0.5), SAMPLE_RATE)
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    player = embedded([alarm(name.format(absolute=tmp_path / "secret.wav"))], folder).players[0]
    assert player.source == ""
    assert "outside the evaluation's folder" in player.missing


@pytest.mark.parametrize("name", ["no.wav", "text.wav", "", "a\0b.wav", "x" * 5000])
def test_what_cannot_be_played_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    player = embedded([alarm(name)], tmp_path).players[0]
    assert player.source == ""
    assert player.missing
    assert str(tmp_path) not in player.missing


def test_players_are_bounded_in_number(tmp_path: Path, tone: Tone) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440.0, 0.1), SAMPLE_RATE)
    found = embedded([alarm("a.wav")] * (MOST_PLAYERS + 5), tmp_path)
    assert len(found.players) == MOST_PLAYERS
    assert found.left_out.startswith("5 more of the 25 alarms listed are left out")


def test_players_are_bounded_in_bytes(tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "MOST_BYTES", 7000)  # two of 0.1 s (3,244 bytes), and no third
    soundfile.write(tmp_path / "a.wav", tone(440.0, 0.1), SAMPLE_RATE)
    found = embedded([alarm("a.wav")] * 3, tmp_path)
    assert len(found.players) == 2
    assert "1 more of the 3 alarms listed" in found.left_out


def test_nothing_is_left_out_of_few(tmp_path: Path) -> None:
    assert embedded([], tmp_path).left_out == ""
