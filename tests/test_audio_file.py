import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import FRAME_SAMPLES, SAMPLE_RATE
from uyan.audio_file import read, read_part, stream, write
from uyan.errors import AudioError

RATES_HZ = [8_000, 16_000, 22_050, 44_100, 48_000]


def spectral_peak(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Frequency in Hz and amplitude of the strongest sine, from the middle half of the samples."""
    middle = samples[samples.size // 4 : -samples.size // 4].astype(np.float64)
    window = np.hanning(middle.size)
    spectrum = np.abs(np.fft.rfft(middle * window, 8 * middle.size))
    at = int(spectrum.argmax())
    return at * SAMPLE_RATE / (8 * middle.size), float(2 * spectrum[at] / window.sum())


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("frequency_hz", [200.0, 3000.0])
def test_a_tone_keeps_frequency_level_and_length(tmp_path: Path, tone: Any, rate_hz: int, frequency_hz: float) -> None:
    file = tmp_path / "tone.wav"
    soundfile.write(str(file), tone(frequency_hz, 1.0, 0.5, rate_hz), rate_hz, subtype="FLOAT")
    samples = read(file)
    assert samples.dtype == np.float32
    assert abs(samples.size - SAMPLE_RATE) <= 1
    found_hz, amplitude = spectral_peak(samples)
    assert found_hz == pytest.approx(frequency_hz, abs=1.0)
    assert amplitude == pytest.approx(0.5, rel=0.005)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_a_part_is_that_part_of_the_whole(tmp_path: Path, changing_sound: Any, rate_hz: int, suffix: str) -> None:
    if suffix == "opus" and rate_hz not in (8_000, 16_000, 48_000):
        pytest.skip("Opus knows no such rate")
    file = tmp_path / f"a.{suffix}"
    sound = changing_sound(10.0, seed=7)[: 10 * rate_hz] if rate_hz <= SAMPLE_RATE else changing_sound(30.0, seed=7)
    soundfile.write(str(file), sound, rate_hz, **({"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}))
    whole = read(file)
    last_s = whole.size // SAMPLE_RATE
    for start_s, stop_s in ((0, 3), (2, 4), (last_s - 1, last_s + 30), (last_s + 30, last_s + 60)):
        part = read_part(file, start_s, stop_s)
        expected = whole[start_s * SAMPLE_RATE : stop_s * SAMPLE_RATE]
        assert abs(part.size - expected.size) <= 1
        inside = slice(0, min(part.size, expected.size) - SAMPLE_RATE // 50)
        assert np.abs(part[inside] - expected[inside]).max(initial=0.0) < 0.02


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32"])
def test_a_part_of_a_file_that_cannot_seek(tmp_path: Path, tone: Any, subtype: str) -> None:
    file = tmp_path / ("a.wav" if subtype == "GSM610" else "a.au")
    soundfile.write(file, tone(440.0, 130.0, 0.5, 8_000), 8_000, subtype=subtype)
    assert not soundfile.SoundFile(file).seekable()
    whole = read(file)
    for start_s, stop_s in ((0, 30), (59, 61), (120, 150), (200, 230)):
        expected = whole[start_s * SAMPLE_RATE : stop_s * SAMPLE_RATE]
        np.testing.assert_array_equal(read_part(file, start_s, stop_s), expected)


def test_a_part_of_a_broken_file_is_an_audio_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF....")
    with pytest.raises(AudioError, match=r"a\.wav: cannot be decoded"):
        read_part(tmp_path / "a.wav", 0, 30)
    with pytest.raises(AudioError, match=r"b\.wav: no such file"):
        read_part(tmp_path / "b.wav", 0, 30)


def test_resampling_keeps_the_place_of_a_click(tmp_path: Path) -> None:
    click = np.zeros(48_000, np.float32)
    click[24_000] = 0.9
    soundfile.write(str(tmp_path / "click.wav"), click, 48_000, subtype="FLOAT")
    assert np.abs(read(tmp_path / "click.wav")).argmax() == 8_000


def test_what_16_khz_cannot_hold_is_removed_not_folded(tmp_path: Path, tone: Any) -> None:
    soundfile.write(str(tmp_path / "high.wav"), tone(12_000.0, 1.0, 0.5, 48_000), 48_000, subtype="FLOAT")
    middle = read(tmp_path / "high.wav")[4_000:12_000]
    assert np.abs(middle).max() < 1e-4


def test_channels_are_averaged(tmp_path: Path, tone: Any) -> None:
    left, right = tone(440.0), tone(1000.0)
    soundfile.write(str(tmp_path / "stereo.wav"), np.stack([left, right], axis=1), SAMPLE_RATE, subtype="FLOAT")
    assert read(tmp_path / "stereo.wav") == pytest.approx((left + right) / 2, abs=1e-7)


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_16", 2**-15),
        ("wav", "PCM_24", 2**-23),
        ("wav", "PCM_32", 2**-24),
        ("wav", "PCM_U8", 2**-7),
        ("wav", "ULAW", 0.02),
        ("wav", "ALAW", 0.02),
        ("wav", "DOUBLE", 0.0),
        ("flac", "PCM_16", 2**-15),
        ("flac", "PCM_24", 2**-23),
        ("aiff", "PCM_16", 2**-15),
    ],
)
def test_formats_that_keep_the_waveform(tmp_path: Path, tone: Any, suffix: str, subtype: str, tolerance: float) -> None:
    file, samples = tmp_path / f"a.{suffix}", tone(440.0)
    soundfile.write(str(file), samples, SAMPLE_RATE, subtype=subtype)
    assert np.abs(read(file) - samples).max() <= tolerance


@pytest.mark.parametrize(("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_formats_keep_tone_and_level(tmp_path: Path, tone: Any, container: str, subtype: str) -> None:
    file = tmp_path / "a.audio"
    soundfile.write(str(file), tone(440.0, 2.0), SAMPLE_RATE, format=container, subtype=subtype)
    found_hz, amplitude = spectral_peak(read(file))
    assert found_hz == pytest.approx(440.0, abs=1.0)
    assert amplitude == pytest.approx(0.5, rel=0.05)


@settings(max_examples=30)
@given(rate_hz=st.sampled_from(RATES_HZ), block_s=st.floats(0.001, 1.0), size=st.integers(2_000, 12_000))
def test_blocks_join_to_the_whole_file(rate_hz: int, block_s: float, size: int) -> None:
    noise = np.random.default_rng(size).uniform(-0.5, 0.5, (size, 2))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.wav"
        soundfile.write(str(file), noise, rate_hz)
        joined = np.concatenate(list(stream(file, block_s)))
        whole = read(file)
    assert joined.size == whole.size
    assert np.abs(joined - whole).max() < 1e-6


def test_a_block_that_ends_with_the_file_loses_nothing(tmp_path: Path, tone: Any) -> None:
    soundfile.write(str(tmp_path / "a.wav"), tone(440.0), SAMPLE_RATE)
    assert [block.size for block in stream(tmp_path / "a.wav", 0.5)] == [8_000, 8_000]


def test_write_and_read_are_inverse_and_clip(tmp_path: Path, tone: Any) -> None:
    samples = tone(440.0, amplitude=0.9)
    write(tmp_path / "new" / "a.wav", samples)
    assert np.abs(read(tmp_path / "new" / "a.wav") - samples).max() <= 2**-15
    write(tmp_path / "loud.wav", 3 * samples)
    assert np.abs(read(tmp_path / "loud.wav")).max() <= 1.0


def bad_file(folder: Path, name: str) -> Path:
    file = folder / name
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, SAMPLE_RATE)
    match name:
        case "empty.wav":
            file.touch()
        case "text.wav":
            file.write_text("This is not audio.\n" * 100)
        case "header_only.wav":
            soundfile.write(str(file), noise[:0], SAMPLE_RATE)
        case "short.wav":
            soundfile.write(str(file), noise[:160], SAMPLE_RATE)
        case "nan.wav":
            noise[100] = np.nan
            soundfile.write(str(file), noise, SAMPLE_RATE, subtype="FLOAT")
        case "inf.wav":
            noise[100] = np.inf
            soundfile.write(str(file), noise, SAMPLE_RATE, subtype="DOUBLE")
        case "zero.wav":
            soundfile.write(str(file), 0 * noise, SAMPLE_RATE)
        case "torn.flac":
            soundfile.write(str(file), noise, SAMPLE_RATE)
            file.write_bytes(file.read_bytes()[:10_000])
        case "folder.wav":
            file.mkdir()
    return file


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent.wav", "no such file"),
        ("folder.wav", "no such file"),
        ("empty.wav", "cannot be decoded"),
        ("text.wav", "cannot be decoded"),
        ("torn.flac", "cannot be decoded"),
        ("header_only.wav", "0 ms of audio; at least 25 ms"),
        ("short.wav", "10 ms of audio; at least 25 ms"),
        ("nan.wav", "NaN or Inf"),
        ("inf.wav", "NaN or Inf"),
        ("zero.wav", "every sample is zero"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(tmp_path: Path, name: str, problem: str) -> None:
    file = bad_file(tmp_path, name)
    with pytest.raises(AudioError, match=problem) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert not str(caught.value).startswith(f"{file}: {file}")


def test_a_name_longer_than_the_system_allows_is_refused(tmp_path: Path) -> None:
    # Reported: Path.is_file raises OSError (ENAMETOOLONG) instead of answering False.
    with pytest.raises(AudioError, match="xxx"):
        read(tmp_path / ("x" * 300 + ".wav"))


def test_a_frame_is_enough(tmp_path: Path, tone: Any) -> None:
    write(tmp_path / "a.wav", tone(440.0)[:FRAME_SAMPLES])
    assert read(tmp_path / "a.wav").size == FRAME_SAMPLES
    write(tmp_path / "a.wav", tone(440.0)[: FRAME_SAMPLES - 1])
    with pytest.raises(AudioError, match="at least 25 ms"):
        read(tmp_path / "a.wav")


def test_a_cut_off_wav_gives_what_is_there(tmp_path: Path, tone: Any) -> None:
    file, samples = tmp_path / "a.wav", tone(440.0)
    soundfile.write(str(file), samples, SAMPLE_RATE)
    file.write_bytes(file.read_bytes()[: 44 + 2 * 8_000])
    assert read(file) == pytest.approx(samples[:8_000], abs=2**-15)


@settings(max_examples=150)
@given(
    suffix=st.sampled_from(["wav", "flac", "ogg", "aiff"]),
    at=st.integers(0, 120),
    change=st.binary(min_size=1, max_size=4),
)
def test_a_damaged_header_gives_samples_or_an_audio_error(suffix: str, at: int, change: bytes) -> None:
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, 1_600)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"a.{suffix}"
        soundfile.write(str(file), noise, SAMPLE_RATE)
        raw = bytearray(file.read_bytes())
        raw[at : at + len(change)] = change
        file.write_bytes(raw)
        try:
            samples = read(file)
        except AudioError as reason:
            assert str(file) in str(reason)
        else:
            assert samples.dtype == np.float32
            assert np.isfinite(samples).all()
