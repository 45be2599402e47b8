"""Streams: what is in them, how long they are, how loud the noise is, and that a seed decides all of it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read, write
from uyan.data.member import Member
from uyan.data.recording import Recording
from uyan.errors import EvaluationError
from uyan.evaluation import streams as made
from uyan.evaluation.streams import (
    GAP_S,
    HISS_DB,
    JOINED_S,
    LEAD_S,
    SHORT_S,
    TAIL_S,
    Stream,
    active_power,
    hiss,
    joined_noise,
    scaled_noise,
)

Samples = NDArray[np.float32]


def positive_streams(*args: Any, **options: Any) -> Iterator[Stream]:
    """The streams, with all of their audio in memory."""
    return in_memory(made.positive_streams(*args, **options))


def negative_streams(*args: Any, **options: Any) -> Iterator[Stream]:
    """The streams, with all of their audio in memory."""
    return in_memory(made.negative_streams(*args, **options))


def in_memory(streams: Iterable[Stream]) -> Iterator[Stream]:
    return (replace(stream, blocks=(np.concatenate(list(stream.blocks)),)) for stream in streams)


def whole(stream: Stream) -> Samples:
    (samples,) = stream.blocks
    return samples


@pytest.fixture
def member(tmp_path: Path) -> "MakeMember":
    return MakeMember(tmp_path)


class MakeMember:
    """member("a.wav", duration_s): a tone of its own pitch on disk, as a member of the test split."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, 0

    def __call__(self, path: str, duration_s: float, amplitude: float = 0.3) -> Member:
        self.made += 1
        times_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
        tone = amplitude * np.sin(2 * np.pi * (200 + 10 * self.made) * times_s)
        write(self.folder / path, tone.astype(np.float32))
        recording = Recording(
            path=path,
            root=self.folder,
            label="word",
            speaker_id=f"speaker {self.made}",
            speaker_known=True,
            duration_s=duration_s,
            kind="keyword",
            license="",
            source="",
        )
        return Member(recording, f"{self.made:040d}", duration_s, "test", self.made, counted=True)


def seconds(stream: Stream) -> float:
    return whole(stream).size / SAMPLE_RATE


def level_db(samples: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean()))


def test_a_positive_lies_between_two_stretches_of_hiss(member: MakeMember) -> None:
    word = member("a.wav", 0.8)
    (stream,) = positive_streams([word])
    assert whole(stream).dtype == np.float32
    assert (stream.name, stream.members, stream.material_s) == (f"{word.recording.root.name}/a.wav", (word,), 0.8)
    assert stream.heard_s == pytest.approx((LEAD_S, LEAD_S + 0.8 + TAIL_S))
    assert stream.spans_s == (stream.heard_s,)
    assert seconds(stream) == pytest.approx(LEAD_S + 0.8 + TAIL_S)
    lead, tail = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)
    np.testing.assert_array_equal(whole(stream)[lead:-tail], read(word.recording.file))
    for quiet in (whole(stream)[:lead], whole(stream)[-tail:]):
        assert level_db(quiet) == pytest.approx(HISS_DB, abs=0.3)


def test_short_negatives_are_joined_and_the_gaps_do_not_count(member: MakeMember) -> None:
    clips = [member(f"{i}.wav", 1.0 + 0.25 * i) for i in range(3)]
    (stream,) = negative_streams(clips)
    assert stream.name.endswith("/0.wav and 2 more")
    assert stream.members == tuple(clips)
    assert stream.material_s == pytest.approx(3.75)
    assert seconds(stream) == pytest.approx(LEAD_S + 3.75 + 3 * GAP_S + TAIL_S)
    starts_s = [LEAD_S, LEAD_S + 1.0 + GAP_S, LEAD_S + 1.0 + GAP_S + 1.25 + GAP_S, seconds(stream)]
    assert [edge for span in stream.spans_s for edge in span] == pytest.approx(
        [starts_s[0], *np.repeat(starts_s[1:-1], 2), starts_s[-1]]
    )
    start = round(LEAD_S * SAMPLE_RATE)
    for clip in clips:
        samples = read(clip.recording.file)
        np.testing.assert_array_equal(whole(stream)[start : start + samples.size], samples)
        start += samples.size + round(GAP_S * SAMPLE_RATE)


def test_long_negatives_stand_between_two_stretches_of_hiss(member: MakeMember) -> None:
    members = [member("s1.wav", 1.0), member("long.wav", SHORT_S), member("s2.wav", 2.0)]
    long, joined = negative_streams(members)
    lead, tail = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)
    np.testing.assert_array_equal(whole(long)[lead:-tail], read(members[1].recording.file))
    assert (long.members, long.material_s) == ((members[1],), SHORT_S)
    assert long.heard_s == (0.0, seconds(long))
    assert long.spans_s == ((LEAD_S, seconds(long)),)
    assert long.name.endswith("/long.wav")
    assert joined.name.endswith("/s1.wav and 1 more")
    assert joined.members == (members[0], members[2])
    assert joined.material_s == pytest.approx(3.0)


def test_recordings_of_two_folders_of_one_name_have_streams_of_two_names(tmp_path: Path) -> None:
    members = []
    for parent in ("radio", "street"):
        (tmp_path / parent / "talk").mkdir(parents=True)
        members.append(MakeMember(tmp_path / parent / "talk")("a.wav", SHORT_S))
    expected = ["radio/talk/a.wav", "street/talk/a.wav"]
    assert [stream.name for stream in negative_streams(members)] == expected
    assert [stream.name for stream in positive_streams(members)] == expected
    assert [stream.name for stream in negative_streams(members[:1])] == ["talk/a.wav"]


def test_joined_streams_are_cut_after_five_minutes(member: MakeMember) -> None:
    clip = member("a.wav", 9.0)
    count = 70
    streams = list(negative_streams([clip] * count))
    whole = int(np.ceil(JOINED_S / 9.0))
    assert [len(stream.members) for stream in streams] == [whole, whole, count - 2 * whole]
    assert sum(stream.material_s for stream in streams) == pytest.approx(count * 9.0)


def test_nothing_gives_nothing() -> None:
    assert list(positive_streams([])) == []
    assert list(negative_streams([])) == []


def test_a_long_recording_is_decoded_on_the_way(member: MakeMember) -> None:
    (stream,) = made.negative_streams([member("long.wav", 150.0)])
    sizes = [block.size / SAMPLE_RATE for block in stream.blocks]
    assert sizes == [LEAD_S, 60.0, 60.0, 30.0, TAIL_S]
    assert stream.heard_s == (0.0, sum(sizes))


def test_a_long_recording_that_changed_since_it_was_checked_is_an_error(member: MakeMember) -> None:
    (stream,) = made.negative_streams([replace(member("long.wav", 30.0), duration_s=31.0)])
    with pytest.raises(EvaluationError, match=r"long\.wav: 480000 samples, and 496000 when it was checked"):
        list(stream.blocks)


def test_of_much_noise_there_is_a_stretch_of_each_recording(member: MakeMember) -> None:
    """The pitch tells which recording a stretch is of."""
    members = [member(f"{number}.wav", 90.0) for number in range(4)]
    few = [replace(each, duration_s=90.0) for each in members[:2]]
    assert joined_noise(few, most_s=180.0).shape == (180 * SAMPLE_RATE,)
    noise = joined_noise(members, most_s=180.0)
    assert noise.shape == (180 * SAMPLE_RATE,)
    tops = {int(np.abs(np.fft.rfft(second)).argmax()) for second in noise.reshape(180, -1)}
    assert len(tops) >= 3
    np.testing.assert_array_equal(noise, joined_noise(members, most_s=180.0))
    assert not np.array_equal(noise, joined_noise(members, seed=1, most_s=180.0))
    assert joined_noise([]) is None


def test_a_single_long_noise_gives_as_much_as_is_wanted_and_silence_is_no_noise(member: MakeMember) -> None:
    """Of 10 minutes, the last 7 of them silent, the 3 that sound."""
    long = member("long.wav", 600.0)
    samples = read(long.recording.file)
    assert joined_noise([long], most_s=420.0).shape == (420 * SAMPLE_RATE,)
    samples[180 * SAMPLE_RATE :] = 0
    write(long.recording.file, samples)
    assert joined_noise([long], most_s=420.0).shape == (180 * SAMPLE_RATE,)


def test_the_same_seed_gives_the_same_samples(member: MakeMember, rng: np.random.Generator) -> None:
    words = [member("a.wav", 0.8), member("b.wav", 0.8)]
    noise = (0.1 * rng.standard_normal(5 * SAMPLE_RATE)).astype(np.float32)

    def samples(seed: int) -> list[Samples]:
        streams = [*positive_streams(words, noise, 5.0, seed), *negative_streams(words, seed)]
        return [whole(stream) for stream in streams]

    for found, expected in zip(samples(3), samples(3), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert all(not np.array_equal(a, b) for a, b in zip(samples(3), samples(4), strict=True))


def test_another_recording_before_does_not_change_a_stream_s_noise_level(member: MakeMember) -> None:
    """Every positive draws from its own number, not from what was drawn before it."""
    words = [member("a.wav", 0.8), member("b.wav", 0.8)]
    longer = [member("c.wav", 2.0), words[1]]
    (_, found), (_, expected) = (list(positive_streams(w)) for w in (longer, words))
    np.testing.assert_array_equal(whole(found), whole(expected))


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 5.0, -5.0])
@pytest.mark.parametrize("noise_s", [0.7, 30.0])
def test_the_mixed_noise_has_the_ratio_asked_for(
    member: MakeMember, rng: np.random.Generator, snr_db: float, noise_s: float
) -> None:
    word = member("a.wav", 2.0)
    noise = (0.02 * rng.standard_normal(round(noise_s * SAMPLE_RATE))).astype(np.float32)
    (clean,), (noisy,) = positive_streams([word]), positive_streams([word], noise, snr_db)
    lead, tail = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)
    added = whole(noisy) - whole(clean)
    assert whole(noisy).dtype == np.float32
    # A steady tone against steady noise: the loudest fifth is a little above the mean for noise only.
    found_db = level_db(whole(clean)[lead:-tail]) - level_db(added)
    assert found_db == pytest.approx(snr_db, abs=0.8)
    # The noise begins before the word and goes on after it.
    assert level_db(added[:lead]) == pytest.approx(level_db(added), abs=0.5)
    assert level_db(added[-tail:]) == pytest.approx(level_db(added), abs=0.5)


def test_the_ratio_is_against_the_voice_and_not_its_pauses(member: MakeMember, rng: np.random.Generator) -> None:
    word = member("a.wav", 1.0)
    samples = read(word.recording.file)
    padded = replace(word, recording=replace(word.recording, path="padded.wav"))
    write(padded.recording.file, np.concatenate([samples, hiss(2.0, rng)]))
    noise = (0.02 * rng.standard_normal(60 * SAMPLE_RATE)).astype(np.float32)
    levels_db = []
    for which in (word, padded):
        (clean,), (noisy,) = positive_streams([which]), positive_streams([which], noise, 10.0)
        levels_db.append(level_db(whole(noisy) - whole(clean)))
    assert levels_db[0] == pytest.approx(levels_db[1], abs=0.3)


def test_infinite_ratio_or_no_noise_is_clean(member: MakeMember, rng: np.random.Generator) -> None:
    word = member("a.wav", 0.8)
    noise = rng.standard_normal(SAMPLE_RATE).astype(np.float32)
    (clean,) = positive_streams([word])
    for other in (positive_streams([word], noise), positive_streams([word], None, 5.0)):
        np.testing.assert_array_equal(whole(next(other)), whole(clean))


def test_active_power_of_a_sine_with_pauses() -> None:
    tone = np.sin(2 * np.pi * 400 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    assert active_power(tone) == pytest.approx(0.5, rel=1e-3)
    assert active_power(np.concatenate([np.zeros(3 * SAMPLE_RATE, np.float32), tone])) == pytest.approx(0.5, rel=1e-3)
    assert active_power(tone[:400]) == pytest.approx(0.5, rel=1e-3)


def test_noise_shorter_than_needed_is_repeated(rng: np.random.Generator) -> None:
    noise = rng.standard_normal(1000).astype(np.float32)
    found = scaled_noise(noise, 2500, 1.0, 0.0, rng)
    assert found.shape == (2500,)
    np.testing.assert_allclose(found[:1000], found[1000:2000])
    np.testing.assert_allclose(found[:500], found[2000:])


def test_a_stretch_is_taken_from_all_over_the_noise() -> None:
    ramp = np.arange(1, 101, dtype=np.float32).repeat(400)
    found = [scaled_noise(ramp, 800, 1.0, 0.0, np.random.default_rng(seed)) for seed in range(20)]
    assert len({round(float(f[-1] / f[0]), 6) for f in found}) > 10


def test_silent_noise_is_an_error(rng: np.random.Generator) -> None:
    with pytest.raises(EvaluationError, match="the noise to mix in is silent"):
        scaled_noise(np.zeros(8000, np.float32), 4000, 0.1, 10.0, rng)


def test_the_telephone_takes_the_whole_stream(member: MakeMember) -> None:
    """Nothing above 3.4 kHz, of the quiet either; in band, where it was and as loud; the same every time."""
    word = replace(member("a.wav", 0.8), duration_s=0.8)
    times_s = np.arange(round(0.8 * SAMPLE_RATE)) / SAMPLE_RATE
    low, high = np.sin(2 * np.pi * 1000 * times_s), np.sin(2 * np.pi * 5000 * times_s)
    write(word.recording.file, (0.3 * low + 0.3 * high).astype(np.float32))
    (clean,), (called,) = positive_streams([word]), positive_streams([word], by_telephone=True)
    assert (called.heard_s, called.material_s, called.name) == (clean.heard_s, clean.material_s, clean.name)
    assert whole(called).dtype == np.float32 and whole(called).shape == whole(clean).shape

    def band_db(samples: Samples, low_hz: float, high_hz: float) -> float:
        power = np.square(np.abs(np.fft.rfft(samples * np.hanning(samples.size))))
        hz = np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE)
        return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum()))

    lead, tail = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)
    spoken = [whole(stream)[lead:-tail] for stream in (clean, called)]
    assert band_db(spoken[1], 900, 1100) == pytest.approx(band_db(spoken[0], 900, 1100), abs=0.5)
    assert band_db(spoken[1], 4200, 8000) < band_db(spoken[0], 4200, 8000) - 40
    assert band_db(whole(called)[: lead // 2], 4200, 8000) < band_db(whole(clean)[: lead // 2], 4200, 8000) - 20
    np.testing.assert_array_equal(whole(next(positive_streams([word], by_telephone=True))), whole(called))
