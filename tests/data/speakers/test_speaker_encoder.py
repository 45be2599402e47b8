"""The encoder's front end against known figures, its weights' file, and real voices where both are there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from uyan.audio import SAMPLE_RATE
from uyan.data.speakers import speaker_encoder
from uyan.data.speakers.speaker_encoder import SpeakerEncoder, embed, load_encoder, mel_energies, speech_mels
from uyan.errors import ConfigError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Random ones, in the layout of the package's file."""
    torch.manual_seed(0)
    path = tmp_path / "pretrained.pt"
    torch.save({"model_state": {**SpeakerEncoder().state_dict(), "similarity_weight": torch.ones(1)}}, path)
    return path


def test_mel_energies_are_librosa_s() -> None:
    """librosa 0.11: melspectrogram(sr=16000, n_fft=400, hop_length=160, n_mels=40) of seeded noise, frame 50."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    found = mel_energies(noise)
    assert found.shape == (101, 40)
    assert found[50, [0, 10, 39]] == pytest.approx([0.03889783, 0.0205122, 0.04302981], rel=1e-5)


def test_a_tone_is_in_its_band(tone: Any) -> None:
    loudest = [int(mel_energies(tone(hz, 0.5)).sum(axis=0).argmax()) for hz in (200, 1000, 4000)]
    assert loudest == sorted(loudest) and len(set(loudest)) == 3


def test_silence_is_left_out_and_loudness_does_not_matter(changing_sound: Any) -> None:
    sound = changing_sound(1.0)
    silent = np.zeros(SAMPLE_RATE, np.float32)
    assert len(speech_mels(np.concatenate([silent, sound, silent]))) <= len(speech_mels(sound)) + 4
    assert len(speech_mels(silent)) == len(speech_mels(silent[:0])) == 0


@pytest.mark.parametrize("duration_s", [0.2, 1.0, 1.6, 5.0, 30.0])
def test_an_embedding_has_unit_length_whatever_the_duration(
    weights: Path, changing_sound: Any, duration_s: float
) -> None:
    encoder = load_encoder(weights)
    found = embed(encoder, changing_sound(duration_s))
    assert found is not None and found.shape == (256,)
    assert float(np.linalg.norm(found)) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(found, embed(encoder, changing_sound(duration_s)))
    assert embed(encoder, np.zeros(8000, np.float32)) is None


class _Harm:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harm"),))


@pytest.mark.parametrize("content", ["absent", "noise", "empty", "other", "code", "sound"])
def test_other_files_are_refused_and_not_executed(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    if content == "noise":
        path.write_bytes(bytes(range(256)) * 20)
    elif content == "sound":
        soundfile.write(path, np.zeros(1600), 16_000, format="WAV")
    elif content == "empty":
        path.touch()
    elif content == "other":
        torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(3)}}, path)
    elif content == "code":
        torch.save({"model_state": _Harm()}, path)
    with pytest.raises(ConfigError, match=r"weights\.pt: no weights .*pip install"):
        load_encoder(path)
    assert not (tmp_path / "harm").exists()


def test_without_the_package_the_command_for_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_encoder, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=r"no speaker encoder here; install its weights.*pip install --no-deps"):
        load_encoder()
