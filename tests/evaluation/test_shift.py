"""The domain-shift suite: what a sample is made of, that a seed decides all of it, and counts of planted misses."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read, write
from uyan.bundle import Bundle, BundleInfo
from uyan.data.member import Member
from uyan.data.recording import Recording
from uyan.errors import BundleError, EvaluationError
from uyan.evaluation import scores as scores_module
from uyan.evaluation.devices import at_rate, through_device
from uyan.evaluation.intervals import Interval, clopper_pearson
from uyan.evaluation.shift import CELLS, SAMPLES, Cell, cell_streams, in_the_air, shift, spread, table
from uyan.evaluation.streams import LEAD_S, TAIL_S, active_power

Samples = NDArray[np.float32]
MIC = Cell(SAMPLE_RATE, 20.0, "mic")
LOUD, QUIET = 0.3, 0.003


@pytest.fixture
def noise() -> Samples:
    return (0.05 * np.random.default_rng(7).standard_normal(20 * SAMPLE_RATE)).astype(np.float32)


def make_member(folder: Path, name: str, speaker_id: str, amplitude: float = LOUD, duration_s: float = 0.8) -> Member:
    """A tone of its own pitch on disk, as a recording of the word."""
    times_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    pitch_hz = 500 + sum(name.encode())
    write(folder / name, (amplitude * np.sin(2 * np.pi * pitch_hz * times_s)).astype(np.float32))
    recording = Recording(name, folder, "günaydın", speaker_id, True, duration_s, "keyword", "", "")
    return Member(recording, f"sha1 of {name}", duration_s, "test", 0, counted=True)


def heard(cell: Cell, members: list[Member], noise: Samples, samples: int, seed: int = 42) -> list[Samples]:
    recordings = [(member, read(member.recording.file)) for member in members]
    return [next(iter(stream.blocks)) for stream in cell_streams(cell, recordings, noise, samples, seed)]


class LoudScorer:
    """0.9 at each hop whose last 0.1 s are louder than −30 dBFS, else 0."""

    def __init__(self, bundle: object, tta: bool) -> None:
        pass

    def push(self, samples: Samples) -> NDArray[np.float64]:
        hops = samples[: samples.size // 1600 * 1600].reshape(-1, 1600)
        return np.where(np.square(hops).mean(axis=1) > 1e-3, 0.9, 0.0)

    def time_s(self, hop: int) -> float:
        return 0.1 * (hop + 1)


@pytest.fixture
def loud_bundle(bundle_info: BundleInfo, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A detector of loud sound, at a threshold of 0.5."""
    monkeypatch.setattr(scores_module, "HopScorer", LoudScorer)
    return SimpleNamespace(info=bundle_info)  # type: ignore[return-value]


def test_the_suite_is_24_cells_of_200_samples() -> None:
    assert SAMPLES == 200 and len(set(CELLS)) == len(CELLS) == 24
    assert {c.rate_hz for c in CELLS} == {8000, 16_000}
    assert {c.snr_db for c in CELLS} == {0, 5, 10, 20}
    assert {c.device for c in CELLS} == {"phone", "laptop", "mic"}


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 10.0, 20.0])
def test_the_ratio_in_the_air_is_what_the_cell_says(
    tmp_path: Path, noise: Samples, snr_db: float, rng: np.random.Generator
) -> None:
    # Shorter than a fifth of the stream: the voice's power is the recording's, not the stream's.
    recording = read(make_member(tmp_path, "a.wav", "ada", duration_s=0.3).recording.file)
    voice, background = in_the_air(recording, noise, snr_db, LEAD_S, rng)
    assert voice.shape == background.shape
    lead, tail = round(LEAD_S * SAMPLE_RATE), round(TAIL_S * SAMPLE_RATE)
    np.testing.assert_array_equal(voice[lead:-tail], recording)
    ratio = active_power(recording) / np.square(background, dtype=np.float64).mean()
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)


def test_the_device_hears_the_noise_too(tmp_path: Path) -> None:
    """A hum of 60 Hz in the air does not come through a phone, one at 1 kHz does."""
    times_s = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    cell = Cell(SAMPLE_RATE, 0.0, "phone")
    members = [make_member(tmp_path, "a.wav", "ada")]
    lead = slice(4000, round(LEAD_S * SAMPLE_RATE) - 4000)
    for hz, low, high in ((60, 0.0, 1e-4), (1000, 0.01, 1.0)):
        (samples,) = heard(cell, members, np.sin(2 * np.pi * hz * times_s).astype(np.float32), 1)
        assert low <= np.square(samples[lead]).mean() <= high


def test_8_khz_has_nothing_above_4_khz(tmp_path: Path, noise: Samples) -> None:
    members = [make_member(tmp_path, "a.wav", "ada")]
    for device in ("laptop", "mic"):
        narrow, wide = (heard(Cell(rate, 0.0, device), members, noise, 1)[0] for rate in (8000, 16_000))  # type: ignore[arg-type]
        hz = np.fft.rfftfreq(narrow.size, 1 / SAMPLE_RATE)
        above = [np.square(np.abs(np.fft.rfft(s * np.hanning(s.size)))[hz > 4300]).sum() for s in (narrow, wide)]
        assert above[0] < 1e-6 * above[1]


def test_a_seed_decides_every_sample_whatever_else_is_asked_for(tmp_path: Path, noise: Samples) -> None:
    members = [make_member(tmp_path, f"{name}.wav", name) for name in "ab"]
    some = [CELLS[3], CELLS[20], CELLS[7]]
    forth = {cell: heard(cell, members, noise, 3) for cell in some}
    back = {cell: heard(cell, members, noise, 4) for cell in reversed(some)}
    for cell in some:
        for one, other in zip(forth[cell], back[cell], strict=False):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(heard(MIC, members, noise, 1, seed=1)[0], heard(MIC, members, noise, 1, seed=2)[0])


def test_a_sample_has_a_generator_of_seed_cell_and_number(tmp_path: Path, noise: Samples) -> None:
    member = make_member(tmp_path, "a.wav", "ada")
    for cell_number in (0, 13, 23):
        cell = CELLS[cell_number]
        rng = np.random.default_rng([5, cell_number, 2])
        voice, background = in_the_air(read(member.recording.file), noise, cell.snr_db, LEAD_S, rng)
        expected = at_rate(through_device(cell.device, voice + background, rng), cell.rate_hz)
        np.testing.assert_array_equal(heard(cell, [member], noise, 3, seed=5)[2], expected)


def test_a_recording_that_comes_again_comes_in_other_noise(tmp_path: Path, noise: Samples) -> None:
    recordings = [(m, read(m.recording.file)) for m in [make_member(tmp_path, f"{n}.wav", n) for n in "ab"]]
    streams = list(cell_streams(MIC, recordings, noise, 5))
    assert [s.members[0].recording.path for s in streams] == ["a.wav", "b.wav", "a.wav", "b.wav", "a.wav"]
    assert len({next(iter(s.blocks)).tobytes() for s in streams}) == 5
    assert len({s.name for s in streams}) == 5
    for stream in streams:
        assert stream.heard_s == pytest.approx((LEAD_S, LEAD_S + 0.8 + TAIL_S))
        (heard,) = stream.blocks
        assert heard.dtype == np.float32
        assert heard.size == round((LEAD_S + 0.8 + TAIL_S) * SAMPLE_RATE)


def test_more_positives_than_samples_are_taken_from_first_to_last(tmp_path: Path) -> None:
    members = [make_member(tmp_path, f"{number}.wav", "ada") for number in range(10)]
    assert [m.recording.path for m in spread(members, 4)] == ["0.wav", "2.wav", "5.wav", "7.wav"]
    assert spread(members, 10) == spread(members, 99) == members


def test_planted_misses_are_counted(tmp_path: Path, noise: Samples, loud_bundle: Bundle) -> None:
    """Two of ada's three recordings and one of cem's two are too quiet for a detector of loud sound."""
    amplitudes = {"a1": QUIET, "a2": LOUD, "a3": QUIET, "c1": LOUD, "c2": QUIET}
    members = [make_member(tmp_path, f"{n}.wav", {"a": "ada", "c": "cem"}[n[0]], a) for n, a in amplitudes.items()]
    told: list[tuple[str, int, int]] = []
    result = shift(loud_bundle, members, noise, [MIC], 12, progress=lambda *step: told.append(step))
    (cell,) = result.cells
    # Twelve samples of five recordings: the first two come three times.
    assert cell.per_speaker == {"ada": (3 + 2, 3 + 3 + 2), "cem": (2, 2 + 2)}
    assert (cell.cell, cell.samples, cell.recordings, cell.speakers, cell.misses) == (MIC, 12, 5, 2, 7)
    assert cell.miss_rate == 7 / 12 and result.voices == ""
    assert cell.miss_interval == clopper_pearson(7, 12)
    assert (cell.speaker_interval.low, cell.speaker_interval.high) == (0.5, 5 / 8)
    assert told[-1] == ("shift: mic, 16 kHz, 20 dB SNR", 12, 12) and len(told) == 12
    assert "12 samples of a cell stand 5 distinct recordings of 2 speakers" in result.notes[0]
    assert "up to 3 times" in result.notes[1] and "not 12 independent trials" in result.notes[1]


def test_cells_together_count_each_sample_once(tmp_path: Path, noise: Samples, loud_bundle: Bundle) -> None:
    """Ada is too quiet everywhere. At 10 dB the noise before cem's word fires, and holds the detector until its end."""
    members = [make_member(tmp_path, "a.wav", "ada", QUIET), make_member(tmp_path, "c.wav", "cem")]
    cells = [MIC, Cell(8000, 20.0, "mic"), Cell(8000, 10.0, "mic")]
    result = shift(loud_bundle, members, noise, cells, 4)
    assert [cell.misses for cell in result.cells] == [2, 2, 4]
    assert (result.misses, result.samples, result.miss_rate) == (8, 12, 8 / 12)
    assert (result.recordings, result.speakers) == (2, 2)
    assert result.speaker_interval == Interval(2 / 6, 1.0)
    assert (result.label, result.threshold, result.seed) == ("günaydın", 0.5, 42)
    back = shift(loud_bundle, members, noise, cells[::-1], 4)
    assert back.cells == result.cells[::-1]
    assert (back.misses, back.speaker_interval) == (result.misses, result.speaker_interval)


def test_an_alarm_before_the_word_is_no_hit(
    tmp_path: Path, noise: Samples, loud_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Early(LoudScorer):
        def push(self, samples: Samples) -> NDArray[np.float64]:
            hops = super().push(samples)
            return np.where(np.arange(hops.size) < 9, 0.9, 0.0)

    monkeypatch.setattr(scores_module, "HopScorer", Early)
    result = shift(loud_bundle, [make_member(tmp_path, "a.wav", "tts:piper:joe")], noise, [MIC], 2)
    assert result.voices.startswith("no real voice has been heard: synthetic ones spoke all 1 recordings")
    assert result.misses == 2


def test_the_table_has_a_row_a_cell_and_the_result_is_json(tmp_path: Path, noise: Samples, loud_bundle: Bundle) -> None:
    members = [make_member(tmp_path, f"{name}.wav", name) for name in "ab"]
    result = shift(loud_bundle, members, noise, [MIC, CELLS[0]], 2)
    rows = table(result)
    assert [(row["device"], row["rate_hz"], row["snr_db"]) for row in rows] == [("mic", 16_000, 20), ("phone", 8000, 0)]
    first = {name: rows[0][name] for name in ("samples", "recordings", "speakers", "misses", "miss_rate")}
    assert first == {"samples": 2, "recordings": 2, "speakers": 2, "misses": 0, "miss_rate": 0.0}
    assert (rows[0]["miss_low"], rows[0]["miss_high"]) == (0.0, pytest.approx(0.8419, abs=1e-4))
    assert len(result.notes) == 3 and "independent" not in " ".join(result.notes)
    again = json.loads(json.dumps(asdict(result)))
    assert again["cells"][0]["cell"] == {"rate_hz": 16_000, "snr_db": 20.0, "device": "mic"}


def test_what_cannot_be_measured_is_refused(tmp_path: Path, noise: Samples, loud_bundle: Bundle) -> None:
    members = [make_member(tmp_path, "a.wav", "ada")]
    other = replace(members[0], recording=replace(members[0].recording, label="selam"))
    with pytest.raises(EvaluationError, match="no positives; add recordings of “günaydın”"):
        shift(loud_bundle, [], noise)
    for silent in (None, noise[:0]):
        with pytest.raises(EvaluationError, match="no noise to mix in"):
            shift(loud_bundle, members, silent)
    with pytest.raises(EvaluationError, match="the noise to mix in is silent"):
        shift(loud_bundle, members, 0 * noise, [MIC], 1)
    with pytest.raises(EvaluationError, match=r"a\.wav is of “selam” .* listens for “günaydın”"):
        shift(loud_bundle, [*members, other], noise)
    with pytest.raises(EvaluationError, match="0 samples a cell"):
        shift(loud_bundle, members, noise, samples=0)
    with pytest.raises(EvaluationError, match=r"no cells of the suite: \['mic, 44.1 kHz, 20 dB SNR'\]"):
        shift(loud_bundle, members, noise, [Cell(44_100, 20.0, "mic")])
    for cells in ([], [MIC, MIC]):
        with pytest.raises(EvaluationError, match="name each cell once"):
            shift(loud_bundle, members, noise, cells)
    with pytest.raises(EvaluationError, match="1 s of quiet before a word, but the window is 1 s"):
        shift(loud_bundle, members, noise, lead_s=1.0)


def test_a_score_that_is_not_a_number_is_an_error(
    tmp_path: Path, noise: Samples, loud_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoudScorer, "push", lambda self, samples: np.full(30, np.nan))
    with pytest.raises(EvaluationError, match=r"a\.wav \(mic, 16 kHz, 20 dB SNR, sample 0\): .* not a number"):
        shift(loud_bundle, [make_member(tmp_path, "a.wav", "ada")], noise, [MIC], 1)


def test_a_bundle_of_another_sample_rate_does_not_load(bundle: Bundle, bundle_info: BundleInfo) -> None:
    """Nothing in a bundle says a rate: all are 16 kHz, and one that says another is of another front end."""
    raw = json.loads(bundle_info.to_json())
    raw["frontend"]["rate_hz"] = 8000
    with pytest.raises(BundleError, match="rate_hz"):
        BundleInfo.from_json(json.dumps(raw))


def test_a_real_bundle_through_every_device(bundle: Bundle, tmp_path: Path, noise: Samples) -> None:
    """The shipping detector's scores, twice the same."""
    members = [make_member(tmp_path, f"{name}.wav", name) for name in "ab"]
    cells = [cell for cell in CELLS if cell.snr_db == 10]
    first, again = (shift(bundle, members, noise, cells, 2) for _ in range(2))
    assert first == again
    assert [cell.cell for cell in first.cells] == cells
    assert all(0 <= cell.misses <= cell.samples == 2 for cell in first.cells)
