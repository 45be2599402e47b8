"""Clips that are not to be used, by what is known of them."""

from uyan.voices.clip import Clip, Made
from uyan.voices.judging import judge
from uyan.voices.phrase import make_phrase
from uyan.voices.speech import EngineVoice
from uyan.voices.variation import Speaker, Variation


def pair(
    number: int, natural_s: float = 0.5, content: str = "", failure: str = "", voice: str = "v"
) -> tuple[Clip, Made]:
    speaker = Speaker(EngineVoice("tones", voice, "en"), Variation())
    clip = Clip(number, speaker, number, make_phrase("jarvis"), "jarvis", f"{number}.wav")
    return clip, Made(number, clip.identity, failure, natural_s=natural_s, content=content or str(number))


def test_the_second_of_two_equal_clips_goes() -> None:
    reasons = judge([pair(0, content="a"), pair(1), pair(2, content="a")])
    assert list(reasons) == [2]
    assert reasons[2].startswith("the same sound: tts:tones:v|0|jarvis")


def test_clips_far_from_the_median_go() -> None:
    clips = [pair(number, 0.5 + 0.01 * number) for number in range(8)]
    reasons = judge([*clips, pair(8, 1.2), pair(9, 0.2)])
    assert sorted(reasons) == [8, 9]
    assert "1.20 s" in reasons[8]


def test_a_voice_with_few_clips_is_held_against_its_engine() -> None:
    clips = [pair(number, voice=f"v{number}") for number in range(8)]
    assert list(judge([*clips, pair(8, 2.0, voice="v8")])) == [8]


def test_too_few_to_know_what_is_usual_pass() -> None:
    assert judge([pair(0, 0.5), pair(1, 5.0)]) == {}


def test_failures_are_passed_on() -> None:
    assert judge([pair(0, failure="hung")]) == {0: "hung"}
