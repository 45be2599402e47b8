"""The conversation, without sockets.

`REFERENCE` holds what wyoming-openwakeword 1.8.2 answered to the same events over a socket: run with
`--threshold 0`, where every window of any audio is a detection, and with `--threshold 2`, where none is.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.wake import Detect, Detection
from wyoming_peer import chunk_events, stream_events

from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.runtime.wyoming_events import BadEventError
from uyan.runtime.wyoming_stream import WakeStream

START, STOP = AudioStart(16_000, 2, 1).event(), AudioStop().event()

REFERENCE = {
    # its events: the types of its answers where it hears the word; where it does not
    "describe describe": ("info info", "info info"),
    "detect start audio stop": ("detection…", "not-detected"),
    "detect-any start audio stop": ("detection…", "not-detected"),
    "start audio stop": ("detection…", "not-detected"),
    "detect-other-case start audio stop": ("detection…", "not-detected"),
    "detect start audio": ("detection…", ""),
    "detect audio stop": ("detection…", "not-detected"),
    "detect start stop": ("not-detected", "not-detected"),
    "stop": ("not-detected", "not-detected"),
}


def answered(stream: WakeStream, events: list[Event]) -> list[Event]:
    return [answer for event in events for answers in stream.take(event) for answer in answers]


def events_of(script: str, name: str, pcm: NDArray[np.int16]) -> list[Event]:
    made = {
        "describe": [Describe().event()],
        "detect": [Detect([name]).event()],
        "detect-any": [Detect().event()],
        "detect-other-case": [Detect([name.upper().replace(" ", "_")]).event()],
        "start": [START],
        "audio": chunk_events(pcm, first_ms=5000),
        "stop": [STOP],
    }
    return [event for word in script.split() for event in made[word]]


@pytest.mark.parametrize("script", REFERENCE)
def test_the_answers_are_those_of_the_reference(bundle: Bundle, pcm: NDArray[np.int16], script: str) -> None:
    for threshold, types in zip((None, 1.0), REFERENCE[script], strict=True):
        found = answered(WakeStream([bundle], threshold), events_of(script, "günaydın", pcm))
        expected = types.split()
        if expected == ["detection…"]:
            expected = ["detection"] * len(Detector(bundle).push(pcm))
        assert [answer.type for answer in found] == expected


def test_a_timestamp_lies_in_the_chunk_that_completed_the_word_as_the_references_does(
    bundle: Bundle, pcm: NDArray[np.int16]
) -> None:
    """The reference's is the start of that chunk; ours, the moment in it."""
    stream, heard = WakeStream([bundle]), 0
    for event in [START, *chunk_events(pcm, first_ms=5000)]:
        for answer in answered(stream, [event]):
            late_ms = Detection.from_event(answer).timestamp - event.data["timestamp"]
            assert 0 < late_ms <= 80
            heard += 1
    assert heard == len(Detector(bundle).push(pcm))


@pytest.mark.parametrize("chunk", [160, 1024, 1280, 16_000, 100_000])
@pytest.mark.parametrize("first_ms", [None, 0, 5000])
def test_any_chunking_gives_the_detectors_own_detections(
    bundle: Bundle, pcm: NDArray[np.int16], chunk: int, first_ms: int | None
) -> None:
    found = answered(WakeStream([bundle], 0.55), stream_events(chunk_events(pcm, chunk, first_ms)))
    assert [(each.data["name"], each.data["timestamp"]) for each in found] == [
        ("günaydın", (first_ms or 0) + round(1000 * each.time_s)) for each in Detector(bundle, 0.55).push(pcm)
    ]


def test_averaged_scores_are_a_choice(bundle: Bundle, pcm: NDArray[np.int16]) -> None:
    found = answered(WakeStream([bundle], tta=True), stream_events(chunk_events(pcm)))
    assert [each.data["timestamp"] for each in found] == [
        round(1000 * each.time_s) for each in Detector(bundle, tta=True).push(pcm)
    ]


@pytest.mark.parametrize(
    ("rate", "width", "channels"), [(48_000, 2, 1), (16_000, 4, 2), (44_100, 3, 2), (192_000, 2, 8)]
)
def test_other_formats_are_heard_at_the_same_times(
    bundle: Bundle, pcm: NDArray[np.int16], rate: int, width: int, channels: int
) -> None:
    import soxr

    sound = soxr.resample(pcm / 32768.0, 16_000, rate)
    wide = np.round(np.clip(sound, -1, 0.999) * 2 ** (8 * width - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)
    raw = np.repeat(wide[:, np.newaxis, :width], channels, axis=1).tobytes()
    step = rate * 80 // 1000 * width * channels
    chunks = [AudioChunk(rate, width, channels, raw[at : at + step]).event() for at in range(0, len(raw), step)]
    found = answered(WakeStream([bundle]), [AudioStart(rate, width, channels).event(), *chunks, STOP])
    assert [each.data["timestamp"] for each in found] == pytest.approx(
        [1000 * each.time_s for each in Detector(bundle).push(pcm)], abs=100.6
    )


def test_a_new_start_is_a_new_stream(bundle: Bundle, pcm: NDArray[np.int16]) -> None:
    stream = WakeStream([bundle])
    once = answered(stream, [START, *chunk_events(pcm)])
    assert once
    assert answered(stream, [START, *chunk_events(pcm)]) == once
    assert [each.type for each in answered(stream, [START, STOP])] == ["not-detected"]
    assert stream.detections == 2 * len(once)
    assert stream.ended


def test_info_names_program_and_words(bundle: Bundle, other: Bundle) -> None:
    (answer,) = answered(WakeStream([bundle, other]), [Describe().event()])
    (program,) = Info.from_event(answer).wake
    assert program.name == "uyan"
    assert [(model.name, model.phrase, model.description) for model in program.models] == [
        (word, word, word) for word in ("günaydın", "hey other")
    ]
    assert all(model.installed and model.attribution.name == "uyan" for model in (program, *program.models))


@pytest.mark.parametrize(
    ("names", "heard"),
    [
        (None, {"günaydın", "hey other"}),
        ([], {"günaydın", "hey other"}),
        (["günaydın"], {"günaydın"}),
        (["Hey_Other"], {"hey other"}),
        (["nobody", "günaydın", "günaydın"], {"günaydın"}),
    ],
)
def test_names_choose_words(
    bundle: Bundle, other: Bundle, pcm: NDArray[np.int16], names: list[str] | None, heard: set[str]
) -> None:
    found = answered(WakeStream([bundle, other], 0.0), [Detect(names).event(), *stream_events(chunk_events(pcm))])
    assert {each.data["name"] for each in found} == heard


def test_names_that_nobody_has_are_said(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BadEventError, match=r"none of \['nobody'\] is here; this server has günaydın"):
        answered(WakeStream([bundle]), [Detect(["nobody"]).event()])
    assert answered(WakeStream([bundle]), [Detect(["\x1b[2J", "günaydın"]).event()]) == []
    assert "asked for ['\\x1b[2J']; this server has günaydın" in caplog.text


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([AudioChunk(16_000, 2, 1, b"123").event()], "3 bytes are no whole number of samples of 2 bytes"),
        ([AudioStart(0, 2, 1).event()], "audio-start: a rate of 0 Hz; from 4000 to 192000 Hz is converted"),
        ([AudioChunk(16_000, 8, 1, b"").event()], "audio-chunk: samples of 8 bytes"),
        ([AudioChunk(16_000, 2, 9, b"").event()], "audio-chunk: 9 channels"),
        ([AudioChunk(16_000, 2, 1, b"").event(), AudioChunk(8_000, 2, 1, b"").event()], "send audio-start between"),
        ([Event("audio-chunk")], "rate, width and channels must be integers"),
    ],
)
def test_what_cannot_be_heard_is_refused_in_words(bundle: Bundle, events: list[Event], message: str) -> None:
    with pytest.raises(BadEventError, match=message):
        answered(WakeStream([bundle]), events)


def test_long_audio_is_worked_through_in_steps_of_a_second(bundle: Bundle, pcm: NDArray[np.int16]) -> None:
    chunk = AudioChunk(16_000, 2, 1, pcm.tobytes()).event()
    assert len(list(WakeStream([bundle]).take(chunk))) == 12


def test_events_of_other_kinds_are_ignored(bundle: Bundle, changing_sound: Any) -> None:
    assert answered(WakeStream([bundle]), [Event("ping", {"text": "?"}), Event("run-satellite"), Event("")]) == []
