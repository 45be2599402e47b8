from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from uyan.data.recording import Recording, normal_word, unknown_speaker_id, unknown_speakers

PLAIN = Recording("a.wav", Path("/data"), "uyan", "ali", True, 1.25, "keyword", "CC0", "here")


def test_id_is_the_sha1_of_path_duration_and_speaker() -> None:
    expected = sha1(b"a.wav|1.250|ali").hexdigest()
    assert PLAIN.id == expected
    assert replace(PLAIN, root=Path("/elsewhere"), label="other").id == expected
    assert replace(PLAIN, duration_s=1.2504).id == expected
    for changed in (replace(PLAIN, duration_s=1.251), replace(PLAIN, path="b.wav"), replace(PLAIN, speaker_id="eve")):
        assert changed.id != expected


def test_the_file_is_below_the_root() -> None:
    assert PLAIN.file == Path("/data/a.wav")


def test_a_made_up_speaker_is_stable_and_differs_by_path() -> None:
    assert unknown_speaker_id("a.wav") == "unknown:" + sha1(b"a.wav").hexdigest()[:12]
    assert unknown_speaker_id("b.wav") != unknown_speaker_id("a.wav")


@pytest.mark.parametrize(("kind", "leaks"), [("keyword", 1), ("negative", 1), ("noise", 0), ("rir", 0)])
def test_only_unknown_voices_are_counted(kind: str, leaks: int) -> None:
    unknown = replace(PLAIN, kind=kind, speaker_known=False)
    assert unknown_speakers([unknown, replace(PLAIN, kind=kind)]) == leaks


def test_words_are_trimmed_and_composed() -> None:
    assert normal_word("\tZoe\u0308 ") == "Zo\u00eb"
    assert normal_word(" \n") == ""


def test_an_i_with_a_second_dot_is_an_i() -> None:
    assert normal_word("İyi".lower()) == normal_word("iyi") == "iyi"
    assert normal_word("I\u0307yi") == "İyi"
    assert normal_word("ı") == "ı"
