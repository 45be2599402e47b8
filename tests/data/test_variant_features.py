"""Cached variants are what the chain gives, are made once, and keep a word where its take says."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

from uyan.audio import FRAME_SAMPLES, SAMPLE_RATE, Samples
from uyan.audio_file import read
from uyan.data import variant_features
from uyan.data.cache import FeatureCache
from uyan.data.probe import content_sha1
from uyan.data.variant_features import apply_variant, extract_variants
from uyan.data.variants import Variant, VariantConfig, VariantTable
from uyan.data.voice_change import change_voice
from uyan.data.waveform import change_level, clip, reverberate, through_microphone, through_telephone
from uyan.engine.parallel import SMALL_JOB_ITEMS
from uyan.errors import AudioError, DataError
from uyan.frontend import HOP_SAMPLES, FrontendConfig, log_mel

Write = Callable[..., Path]
CONFIG = VariantConfig(telephone_share=0.5, clip_share=0.5)
SPOKEN = Variant(5.0, 2.0, -8.0, 1, 77, 6.0, -3.0, 4.0, "mu-law")


def cache_of(folder: Path) -> FeatureCache:
    return FeatureCache(folder / "cache", FrontendConfig())


def sources(write_recording: Write, count: int, variants: int = 3) -> list[tuple[Path, str, int]]:
    files = [write_recording(f"{number}.wav") for number in range(count)]
    return [(file, content_sha1(read(file)), variants) for file in files]


@pytest.fixture
def responses(tmp_path: Path, rng: np.random.Generator) -> list[tuple[Path, str]]:
    found = []
    for number in range(3):
        file = tmp_path / f"room{number}.flac"
        decay = np.exp(-np.arange(4000) / (200 + 100 * number))
        soundfile.write(str(file), 0.3 * decay * rng.uniform(-1, 1, 4000), SAMPLE_RATE)
        found.append((file, content_sha1(read(file))))
    return found


def table_of(responses: list[tuple[Path, str]], config: VariantConfig = CONFIG) -> VariantTable:
    return VariantTable(config, tuple(sha1 for _, sha1 in responses))


def test_the_chain_is_voice_room_microphone_level_rails_telephone(
    word: Callable[..., Samples], rng: np.random.Generator
) -> None:
    rooms = [rng.normal(size=50).astype(np.float32) for _ in range(2)]
    expected = change_voice(word(1), 5.0, 2.0, -8.0)
    expected = through_microphone(reverberate(expected, rooms[1]), 6.0, np.random.default_rng(77))
    expected = through_telephone(clip(change_level(expected, -3.0), 4.0), "mu-law")
    np.testing.assert_array_equal(apply_variant(word(1), SPOKEN, rooms), expected)
    np.testing.assert_array_equal(apply_variant(word(1), Variant(), []), word(1))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3000, np.float32),
        np.zeros(FRAME_SAMPLES, np.float32),
        np.ones(FRAME_SAMPLES, np.float32),
        np.zeros(7, np.float32),
        np.zeros(0, np.float32),
        np.tile(np.float32([1, -1]), 4000),
        np.full(2000, 1e-30, np.float32),
    ],
)
def test_silence_specks_and_full_scale_survive_the_whole_chain(samples: Samples, rng: np.random.Generator) -> None:
    rooms = [rng.normal(size=900).astype(np.float32) for _ in range(2)]
    for codec in ("", "mu-law", "gsm"):
        heard = apply_variant(samples, replace(SPOKEN, telephone=codec), rooms)
        assert heard.dtype == np.float32 and np.isfinite(heard).all()
        assert np.abs(heard).max(initial=0.0) <= 1.0
        assert heard.any() == samples.any() or np.abs(samples).max() < 1e-20
        assert log_mel(heard, FrontendConfig()).shape[1] >= (samples.size >= FRAME_SAMPLES)


def test_the_cache_holds_what_the_chain_gives(
    tmp_path: Path, write_recording: Write, responses: list[tuple[Path, str]]
) -> None:
    cache, found, table = cache_of(tmp_path), sources(write_recording, 4, variants=5), table_of(responses)
    rooms = [read(file) for file, _ in responses]
    seen: list[tuple[str, int, int]] = []
    made = extract_variants(found, responses, cache, CONFIG, 1, lambda *step: seen.append(step))
    assert made == 20
    assert seen == [("variants", done, 4) for done in range(5)]
    variants = [table.draw(sha1, number) for _, sha1, _ in found for number in range(1, 6)]
    assert {v.room for v in variants} == {None, 0, 1, 2} and {v.telephone for v in variants} == {"", "gsm", "mu-law"}
    for file, sha1, count in found:
        assert sha1 not in cache  # the recording itself is for `extract`
        for number in range(1, count + 1):
            heard = apply_variant(read(file), table.draw(sha1, number), rooms)
            take = table.take(sha1, number)
            expected = log_mel(heard, cache.config).astype(np.float16)
            np.testing.assert_array_equal(cache.get(take.key), expected)
            assert heard.size == pytest.approx(read(file).size * take.stretch, abs=1)


def test_only_what_is_missing_is_made(
    tmp_path: Path, write_recording: Write, responses: list[tuple[Path, str]]
) -> None:
    cache, found = cache_of(tmp_path), sources(write_recording, 3)
    assert extract_variants(found[:2], responses, cache, CONFIG, 1) == 6
    written = {file: file.stat().st_mtime_ns for file in cache.folder.iterdir()}
    more = [(file, sha1, 4) for file, sha1, _ in found[1:]]
    found[0][0].unlink()  # what is there is not even looked for again
    assert extract_variants([found[0], *more, found[1]], responses, cache, replace(CONFIG, positive=99), 1) == 1 + 4
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert extract_variants(found, responses, cache, CONFIG, 1) == 0
    assert extract_variants([], responses, cache, CONFIG) == 0
    assert extract_variants([(*found[0][:2], 0)], responses, cache, CONFIG) == 0


def test_each_recording_and_each_room_is_read_once(
    tmp_path: Path, write_recording: Write, responses: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    monkeypatch.setattr(variant_features, "read", lambda file: (reads.append(file), read(file))[1])
    found = sources(write_recording, 4, variants=6)
    extract_variants(found, responses, cache_of(tmp_path), CONFIG, 1)
    assert sorted(reads) == sorted([file for file, _, _ in found] + [file for file, _ in responses])


def test_an_interrupted_extraction_goes_on(
    tmp_path: Path, write_recording: Write, responses: list[tuple[Path, str]]
) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    cache, found = cache_of(tmp_path), sources(write_recording, 3)
    with pytest.raises(KeyboardInterrupt):
        extract_variants(found, responses, cache, CONFIG, 1, interrupt)
    assert extract_variants(found, responses, cache, CONFIG, 1) == 6


def test_no_rooms_is_no_error(tmp_path: Path, write_recording: Write) -> None:
    cache, [(file, sha1, _)] = cache_of(tmp_path), sources(write_recording, 1)
    assert extract_variants([(file, sha1, 8)], [], cache, CONFIG) == 8
    assert all(table_of([]).take(sha1, number).key in cache for number in range(1, 9))


def test_a_recording_that_changed_is_refused(
    tmp_path: Path, write_recording: Write, responses: list[tuple[Path, str]]
) -> None:
    found = sources(write_recording, 1)
    write_recording("0.wav")
    with pytest.raises(DataError, match=r"0\.wav: changed since it was checked; run `uyan data check`"):
        extract_variants(found, responses, cache_of(tmp_path), CONFIG)
    found[0][0].unlink()
    with pytest.raises(AudioError, match=r"0\.wav: no such file"):
        extract_variants(found, responses, cache_of(tmp_path), CONFIG)


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (np.zeros(4000), r"room response .*room1\.flac: every sample is zero; mend it or leave it out"),
        (np.full(4000, 0.1), r"room1\.flac: changed since it was checked"),
        (None, r"room response .*room1\.flac: no such file"),
    ],
)
def test_a_room_response_that_cannot_be_used_is_named(
    tmp_path: Path,
    write_recording: Write,
    responses: list[tuple[Path, str]],
    response: np.ndarray | None,
    problem: str,
) -> None:
    file = responses[1][0]
    if response is None:
        file.unlink()
    else:
        soundfile.write(str(file), response, SAMPLE_RATE)
    with pytest.raises(DataError, match=problem):
        extract_variants(sources(write_recording, 2, variants=12), responses, cache_of(tmp_path), CONFIG, 1)


PRINT = """
import hashlib, sys
from pathlib import Path
from uyan.audio_file import read
from uyan.data.variant_features import apply_variant
from uyan.data.variants import VariantConfig, VariantTable
table = VariantTable(VariantConfig(), ("room",))
file = Path(sys.argv[1])
for number in range(1, 5):
    heard = apply_variant(read(file), table.draw("ab", number), [read(file)[:500]])
    print(table.take("ab", number), hashlib.sha1(heard.tobytes()).hexdigest())
"""


def test_another_process_draws_and_makes_the_same(
    write_recording: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_recording("a.wav")
    there = subprocess.run([sys.executable, "-c", PRINT, str(file)], capture_output=True, text=True, check=True)
    monkeypatch.setattr(sys, "argv", ["", str(file)])
    exec(PRINT, {})
    assert there.stdout == capsys.readouterr().out
    assert there.stdout.count("Take") == 4


@pytest.mark.slow
def test_a_pool_of_processes_makes_the_same(
    tmp_path: Path, write_recording: Write, responses: list[tuple[Path, str]]
) -> None:
    found = sources(write_recording, SMALL_JOB_ITEMS + 1, variants=1)
    alone, together = cache_of(tmp_path / "alone"), cache_of(tmp_path / "together")
    assert extract_variants(found, responses, alone, CONFIG, 1) == len(found)
    assert extract_variants(found, responses, together, CONFIG, 2) == len(found)
    for _, sha1, _ in found:
        key = table_of(responses).take(sha1, 1).key
        np.testing.assert_array_equal(alone.get(key), together.get(key))


def test_a_planted_word_is_found_at_its_stretched_place(
    tmp_path: Path, rng: np.random.Generator, responses: list[tuple[Path, str]]
) -> None:
    pulses = signal.sawtooth(2 * np.pi * 130 * np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE)
    recording = rng.normal(0, 1e-4, 3 * SAMPLE_RATE)
    start, stop = round(1.1 * SAMPLE_RATE), round(1.6 * SAMPLE_RATE)
    recording[start:stop] += 0.1 * pulses
    file = tmp_path / "planted.wav"
    soundfile.write(str(file), recording, SAMPLE_RATE)
    sha1, cache, table = content_sha1(read(file)), cache_of(tmp_path), table_of(responses)
    extract_variants([(file, sha1, 12)], responses, cache, CONFIG)
    stretches = []
    for number in range(1, 13):
        take = table.take(sha1, number)
        level = np.log(np.exp(cache.get(take.key).astype(np.float32)).mean(axis=0))
        loud = np.flatnonzero(level > level.max() - np.log(10)) * HOP_SAMPLES + FRAME_SAMPLES / 2
        assert loud[0] == pytest.approx(start * take.stretch, abs=0.03 * SAMPLE_RATE)
        assert loud[-1] == pytest.approx(stop * take.stretch, abs=0.06 * SAMPLE_RATE)  # a room goes on
        stretches.append(take.stretch)
    assert max(stretches) > 1.03 and min(stretches) < 0.97
