"""Near-duplicates: altered copies of made-up words are found, other takes of them are not."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from uyan.audio import SAMPLE_RATE, Samples
from uyan.audio_file import read, write
from uyan.data.duplicates.correlation import correlation
from uyan.data.duplicates.duplicate_candidates import NEAREST, PROBES, REPRESENTATIVES, find_candidates
from uyan.data.duplicates.duplicate_groups import DuplicateLink, find_links, groups
from uyan.data.duplicates.fingerprint import DIMS, Fingerprint, fingerprint
from uyan.frontend import FrontendConfig, log_mel

WORDS = 12


def prints_of(recordings: list[Samples]) -> list[Fingerprint]:
    return [fingerprint(log_mel(samples, FrontendConfig())) for samples in recordings]


def load(samples: Samples, start_s: int, stop_s: int) -> Samples:
    """The seconds asked for."""
    return samples[start_s * SAMPLE_RATE : stop_s * SAMPLE_RATE]


def search(recordings: list[Samples], **options: float) -> list[list[int]]:
    return groups(find_links(prints_of(recordings), recordings, load, **options), len(recordings))


@pytest.fixture(scope="module")
def words(word) -> list[Samples]:
    return [word(seed) for seed in range(WORDS)]


def assert_all_found(words: list[Samples], copies: list[Samples]) -> None:
    """Copy k belongs to word k, and no word to another."""
    assert search(words + copies) == [[k, WORDS + k] for k in range(WORDS)]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def test_other_words_and_other_takes_of_a_word_are_no_duplicates(words, word):
    takes = [word(seed, take=take) for seed in range(4) for take in (1, 2)]
    assert search(words + takes) == []


@pytest.mark.parametrize("gain_db", [-20, 20])
def test_another_gain(words, gain_db):
    assert_all_found(words, [(samples * 10 ** (gain_db / 20)).astype(np.float32) for samples in words])


def test_another_polarity(words):
    assert_all_found(words, [-samples for samples in words])


def test_another_offset(words):
    offsets_s = np.linspace(0.0, 1.0, WORDS) + 0.0033  # no multiple of the 10 ms hop
    assert_all_found(words, [np.concatenate([silence(s), w]) for s, w in zip(offsets_s, words, strict=True)])


def test_a_fraction_of_a_sample_apart(words):
    def delayed(samples: Samples) -> Samples:
        spectrum = np.fft.rfft(samples)
        phase = np.exp(-2j * np.pi * 0.5 * np.arange(spectrum.size) / samples.size)
        return np.fft.irfft(spectrum * phase, samples.size).astype(np.float32)

    assert_all_found(words, [delayed(samples) for samples in words])


@pytest.mark.parametrize("side", ["start", "end", "both"])
def test_trimmed_to_the_word(words, side):
    """Three tenths of a clip are pause on either side; the copy has lost them."""
    padded, copies, rng = [], [], np.random.default_rng(3)
    for samples in words:
        pause = int(0.75 * samples.size)  # 0.3 of 2.5 words
        hiss = 2e-4 * rng.standard_normal(samples.size + 2 * pause)
        hiss[pause:-pause] += samples
        padded.append(hiss.astype(np.float32))
        copies.append(padded[-1][pause * (side != "end") : hiss.size - pause * (side != "start")])
    assert_all_found(padded, copies)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.flac", "PCM_16"), ("a.wav", "ULAW"), ("a.ogg", "OPUS"), ("a.ogg", "VORBIS")]
)
def test_another_encoding(words, tmp_path: Path, name, subtype):
    copies = []
    for samples in words:
        soundfile.write(str(tmp_path / name), samples, SAMPLE_RATE, subtype=subtype)
        copies.append(read(tmp_path / name))
    assert_all_found(words, copies)


def test_added_noise(words):
    rng = np.random.default_rng(1)
    noisy = [w + 10 ** (-25 / 20) * w.std() * rng.standard_normal(w.size) for w in words]
    assert_all_found(words, [samples.astype(np.float32) for samples in noisy])


def test_all_at_once(words, tmp_path: Path):
    rng, copies = np.random.default_rng(2), []
    for samples in words:
        copy = np.concatenate([silence(rng.uniform(0, 1)), samples[1600:-1600]])
        copy = -0.5 * (copy + 10 ** (-25 / 20) * copy.std() * rng.standard_normal(copy.size))
        write(tmp_path / "copy.wav", copy.astype(np.float32))
        copies.append(read(tmp_path / "copy.wav"))
    assert_all_found(words, copies)


def test_a_clip_cut_from_a_long_recording(words, word):
    long = np.concatenate([part for samples in words for part in (samples, silence(1.0))])
    assert search([word(90), long, words[7], word(91)]) == [[1, 2]]


def test_mains_hum_alone_makes_no_duplicates(words, word):
    """50 Hz at ten times the word's power: raw waveforms would correlate at 0.9."""
    for a, b in ((words[0], words[1]), (word(0, take=1), words[0])):
        n = min(a.size, b.size)
        hum = 3.2 * a.std() * np.sqrt(2) * np.sin(2 * np.pi * 50 * np.arange(n) / SAMPLE_RATE) + 0.2
        x, y = ((samples[:n] + hum).astype(np.float32) for samples in (a, b))
        assert np.corrcoef(x, y)[0, 1] > 0.88
        assert correlation(x, y, n // 2, n // 2) < 0.6
        assert search([x, y]) == []


def test_silence_and_too_few_recordings(words):
    quiet = silence(1.0)
    assert search([]) == []
    assert search([words[0]]) == []
    assert search([quiet, quiet, words[0], np.full(16000, 0.3, np.float32)]) == []
    assert fingerprint(log_mel(quiet, FrontendConfig())).prints.shape == (0, DIMS)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_crowd_of_copies_is_one_group_at_little_cost(words, noise):
    """300 copies have 44,850 pairs; 299 links join them, and no other recording."""
    rng = np.random.default_rng(4)
    copies = [(words[0] + noise * rng.standard_normal(words[0].size)).astype(np.float32) for _ in range(300)]
    prints = prints_of(copies + words[1:])
    most = PROBES * (NEAREST + REPRESENTATIVES) * sum(one.anchors_frames.size for one in prints)
    assert len(find_candidates(prints)) <= most < 44_850
    links = find_links(prints, copies + words[1:], load)
    assert len(links) == 299
    assert groups(links, len(prints)) == [list(range(300))]


def test_each_recording_is_loaded_once_and_progress_reaches_the_end(words):
    recordings = words + [0.5 * samples for samples in words]
    loads, seen = Counter(), {}

    def counted(number: int, start_s: int, stop_s: int) -> Samples:
        loads[number] += 1
        return load(recordings[number], start_s, stop_s)

    def progress(stage: str, done: int, total: int) -> None:
        seen[stage] = (done, total)

    find_links(prints_of(recordings), range(2 * WORDS), counted, progress=progress)
    assert set(loads) == set(range(2 * WORDS))
    assert set(loads.values()) == {1}
    assert set(seen) == {"compare fingerprints", "confirm duplicates"}
    assert all(done == total for done, total in seen.values())


@pytest.mark.parametrize("before_s", [31.0, 58.9, 59.5, 60.2])
def test_a_take_late_in_a_long_recording_is_found_and_only_its_place_is_loaded(words, before_s):
    """Also where it lies across the edge of a piece."""
    long = np.concatenate([silence(before_s), words[0], silence(200.0)])
    loaded_s = set()

    def watched(number: int, start_s: int, stop_s: int) -> Samples:
        loaded_s.add((number, start_s))
        return load([long, words[0]][number], start_s, stop_s)

    (link,) = find_links(prints_of([long, words[0]]), [0, 1], watched)
    assert link.correlation > 0.99
    assert {start_s for number, start_s in loaded_s if number == 0} <= {30, 60}


def test_links_name_the_pair_and_the_correlation_asked_for(words):
    rng = np.random.default_rng(5)
    noisy = words[0] + 10 ** (-10 / 20) * words[0].std() * rng.standard_normal(words[0].size)
    recordings = [words[1], words[0], noisy.astype(np.float32)]
    prints = prints_of(recordings)
    (link,) = find_links(prints, recordings, load)
    assert (link.first, link.second) == (1, 2)
    assert link.correlation == pytest.approx(1 / np.sqrt(1 + 0.1), abs=0.005)
    assert find_links(prints, recordings, load, min_correlation=0.97) == []


def test_two_settled_recordings_are_not_compared(words):
    recordings = [words[0], 0.5 * words[0], words[1], 0.25 * words[1]]
    compared = Counter()

    def counted(number: int, start_s: int, stop_s: int) -> Samples:
        compared[number] += 1
        return load(recordings[number], start_s, stop_s)

    prints = prints_of(recordings)
    assert groups(find_links(prints, range(4), counted, settled={0, 1, 2}), 4) == [[2, 3]]
    assert not compared[0] and not compared[1]


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    )
)
def test_groups_are_the_connected_recordings(case):
    count, pairs = case
    reach = np.eye(count, dtype=int)
    for a, b in pairs:
        reach[a, b] = reach[b, a] = 1
    joined = np.linalg.matrix_power(reach, count) > 0
    expected = sorted({tuple(np.flatnonzero(row).tolist()) for row in joined if row.sum() > 1})
    found = groups([DuplicateLink(a, b, 1.0) for a, b in pairs], count)
    assert [tuple(group) for group in found] == expected


def test_a_mark_is_there_while_waveforms_are_compared(words, tmp_path: Path):
    there: list[bool] = []

    def watched(samples: Samples, start_s: int, stop_s: int) -> Samples:
        there.append((tmp_path / "mark").exists())
        return load(samples, start_s, stop_s)

    recordings = [words[0], -words[0], words[1]]
    links = find_links(prints_of(recordings), recordings, watched, mark=tmp_path / "mark")
    assert groups(links, len(recordings)) == [[0, 1]]
    assert there and all(there) and not (tmp_path / "mark").exists()
