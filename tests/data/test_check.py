import csv
import os
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE, Samples
from uyan.audio_file import read
from uyan.data import probe as probe_module
from uyan.data.check import CheckReport, check, summary_rows, write_quarantine
from uyan.data.duplicates.fingerprint import fingerprint
from uyan.data.probe import ProbeCache, content_sha1, probe
from uyan.data.recording import Recording
from uyan.errors import DataError
from uyan.frontend import FrontendConfig, log_mel


def recording(root: Path, path: str, duration_s: float = 0.5, **changes: Any) -> Recording:
    return replace(Recording(path, root, "uyan", "ali", True, duration_s, "keyword", "", ""), **changes)


def kinds(report: CheckReport) -> list[tuple[str, str]]:
    return [(finding.recording.path, finding.kind) for finding in report.findings()]


def test_a_probe_holds_known_values(rng: np.random.Generator) -> None:
    samples = np.zeros(SAMPLE_RATE, np.float32)
    samples[:4_000] = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(4_000) / SAMPLE_RATE)
    measured = probe(samples)
    assert measured.duration_s == 1.0
    assert measured.peak == pytest.approx(0.5, abs=1e-6)
    assert measured.rms_db == pytest.approx(10 * np.log10(0.25 * 0.5**2 / 2), abs=1e-4)
    assert measured.silent_share == pytest.approx(0.75)
    assert measured.clipped_share == 0.0
    expected = fingerprint(log_mel(samples, FrontendConfig()))
    assert np.array_equal(measured.fingerprint.anchors_frames, expected.anchors_frames)
    assert np.array_equal(measured.fingerprint.prints, expected.prints)


def test_the_content_hash_is_that_of_16_bit_pcm(tmp_path: Path, rng: np.random.Generator) -> None:
    pcm = rng.integers(-32_768, 32_767, 8_000, dtype=np.int16)
    expected = sha1(pcm.astype("<i2").tobytes()).hexdigest()
    for name in ("a.wav", "a.flac"):
        soundfile.write(str(tmp_path / name), pcm, SAMPLE_RATE)
        assert content_sha1(read(tmp_path / name)) == expected
    beyond = np.array([1.5, -1.5], np.float32)
    assert content_sha1(beyond) == sha1(np.array([32_767, -32_768], "<i2").tobytes()).hexdigest()


@pytest.mark.parametrize(("limit", "clips"), [(1.0, True), (0.99, True), (0.9, False)])
def test_flat_tops_at_full_scale_are_clipping(rng: np.random.Generator, limit: float, clips: bool) -> None:
    samples = (limit * np.clip(2 * np.sin(np.arange(16_000) / 20), -1, 1)).astype(np.float32)
    # A sine of twice the limit is beyond it for 2/3 of the time: where |sin| > 1/2.
    assert probe(samples).clipped_share == pytest.approx(2 / 3 if clips else 0.0, abs=0.02)


def test_single_loud_samples_are_no_clipping(rng: np.random.Generator) -> None:
    samples = rng.uniform(-0.5, 0.5, 16_000).astype(np.float32)
    samples[::100] = 1.0
    samples[1::100] = -1.0
    assert probe(samples).clipped_share == 0.0


def test_unusable_recordings_are_quarantined_with_the_reason(tmp_path: Path, write_recording: Any) -> None:
    write_recording("good.wav")
    write_recording("short.wav", 0.01)
    write_recording("zero.wav", amplitude=0.0)
    write_recording("half.wav", 0.5)
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(str(tmp_path / "nan.wav"), np.full(8_000, np.nan), SAMPLE_RATE, subtype="FLOAT")
    cut = write_recording("cut.wav", 2.0)
    cut.write_bytes(cut.read_bytes()[:8_000])
    torn = write_recording("torn.flac", 2.0)
    torn.write_bytes(torn.read_bytes()[:20_000])
    names = ["good", "short", "zero", "half", "text", "nan", "cut", "absent"]
    recordings = [recording(tmp_path, f"{name}.wav") for name in names] + [recording(tmp_path, "torn.flac", 2.0)]
    recordings[3] = replace(recordings[3], duration_s=1.2)
    recordings.append(recording(tmp_path, "x" * 300 + ".wav"))
    report = check(recordings)
    assert [r.path for r, _ in report.good] == ["good.wav"]
    reasons = {q.recording.path: q.reason for q in report.quarantined}
    assert reasons["short.wav"] == "10 ms of audio; at least 25 ms are needed"
    assert reasons["zero.wav"] == "every sample is zero"
    assert reasons["half.wav"] == "truncated: 0.500 s of audio, the manifest announces 1.200 s"
    assert reasons["text.wav"].startswith("cannot be decoded")
    assert "NaN or Inf" in reasons["nan.wav"]
    assert reasons["cut.wav"].startswith("truncated: ")
    assert reasons["cut.wav"].endswith("the header announces 2.000 s")
    assert reasons["absent.wav"] == "no such file"
    assert reasons["torn.flac"].startswith("cannot be decoded")
    assert len(reasons) == 9


@pytest.mark.parametrize("share", [0.7, 0.9])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")],
)
def test_a_file_without_its_end_is_quarantined(
    tmp_path: Path, container: str, subtype: str, share: float, rng: np.random.Generator
) -> None:
    samples = rng.uniform(-0.5, 0.5, 32_000)
    for name in ("whole", "cut"):
        soundfile.write(str(tmp_path / name), samples, SAMPLE_RATE, format=container, subtype=subtype)
    raw = (tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(raw[: int(share * len(raw))])
    report = check([recording(tmp_path, name, 2.0) for name in ("whole", "cut")])
    assert [r.path for r, _ in report.good] == ["whole"]
    assert report.quarantined[0].reason.startswith("truncated: ")


def test_a_streamed_wav_that_never_knew_its_length_is_used(tmp_path: Path, write_recording: Any) -> None:
    file = write_recording("piped.wav")
    raw = bytearray(file.read_bytes())
    raw[4:8] = raw[40:44] = b"\xff" * 4  # what a program writes that cannot seek back in a pipe
    file.write_bytes(raw)
    assert len(check([recording(tmp_path, "piped.wav")]).good) == 1


def test_odd_recordings_are_kept_and_listed(tmp_path: Path, write_recording: Any, tone: Any) -> None:
    write_recording("long.wav", 2.2)
    write_recording("right.wav", 2.04)
    write_recording("brief.wav", 0.56)
    write_recording("quiet.wav", amplitude=5e-4)
    soundfile.write(str(tmp_path / "loud.wav"), np.clip(tone(100.0, 0.5, 3.0), -1, 1), SAMPLE_RATE)
    (tmp_path / "copy.wav").write_bytes((tmp_path / "right.wav").read_bytes())
    durations_s = {"long": 2.0, "right": 2.0, "brief": 0.5, "quiet": 0.5, "loud": 0.5, "copy": 2.04}
    report = check([recording(tmp_path, f"{name}.wav", duration_s) for name, duration_s in durations_s.items()])
    assert report.quarantined == []
    assert kinds(report) == [
        ("long.wav", "duration"),
        ("brief.wav", "duration"),
        ("quiet.wav", "silent"),
        ("loud.wav", "clipped"),
        ("copy.wav", "duplicate"),
    ]
    details = {finding.kind: finding.detail for finding in report.findings()}
    assert details["duplicate"] == f"the same audio as {tmp_path / 'right.wav'}"


def test_several_processes_find_what_one_finds(tmp_path: Path, write_recording: Any) -> None:
    recordings = [recording(tmp_path, f"{i}.wav", 0.1) for i in range(70)]
    for i in range(0, 70, 2):
        write_recording(f"{i}.wav", 0.1)
    calls: list[tuple[str, int, int]] = []
    several = check(recordings, workers=2, progress=lambda *call: calls.append(call))
    one = check(recordings, workers=1)
    assert [(r.path, p.content_sha1) for r, p in several.good] == [(r.path, p.content_sha1) for r, p in one.good]
    assert [q.recording.path for q in several.quarantined] == [f"{i}.wav" for i in range(1, 70, 2)]
    assert calls == [("check", done, 70) for done in range(71)]


def test_a_checked_file_is_not_decoded_again(
    tmp_path: Path, write_recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def counted(path: Path) -> Samples:
        decoded.append(path.name)
        return read(path)

    monkeypatch.setattr(probe_module, "read", counted)
    cache_file = tmp_path / "cache" / "probes.parquet"
    recordings = [recording(tmp_path, f"{name}.wav") for name in "abc"]
    write_recording("a.wav")
    write_recording("b.wav", amplitude=0.0)
    first = check(recordings[:2], cache_file=cache_file)
    assert decoded == ["a.wav", "b.wav"]
    decoded.clear()

    write_recording("c.wav")
    second = check(recordings, cache_file=cache_file)
    assert decoded == ["b.wav", "c.wav"]  # what failed is tried again: the reason may lie outside the file
    kept, fresh = second.good[0][1], first.good[0][1]
    assert replace(kept, fingerprint=fresh.fingerprint) == fresh
    assert np.array_equal(kept.fingerprint.prints, fresh.fingerprint.prints)
    assert kept.fingerprint.prints.dtype == fresh.fingerprint.prints.dtype
    assert np.array_equal(kept.fingerprint.anchors_frames, fresh.fingerprint.anchors_frames)
    decoded.clear()

    write_recording("a.wav", 0.45)
    third = check(recordings, cache_file=cache_file)
    assert decoded == ["a.wav", "b.wav"]
    assert third.good[0][1].duration_s == pytest.approx(0.45)


def test_probes_of_another_version_are_measured_anew(
    tmp_path: Path, write_recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_recording("a.wav")
    cache = ProbeCache(tmp_path / "probes.parquet")
    cache.add(str(file), (1, 2), probe(read(file)))
    cache.save()
    assert ProbeCache(tmp_path / "probes.parquet").get(str(file), (1, 2)) is not None
    assert ProbeCache(tmp_path / "probes.parquet").get(str(file), (1, 3)) is None
    monkeypatch.setattr(probe_module, "CACHE_VERSION", "another")
    assert ProbeCache(tmp_path / "probes.parquet").get(str(file), (1, 2)) is None


def test_an_interrupted_check_keeps_what_it_has(tmp_path: Path, write_recording: Any) -> None:
    recordings = [recording(tmp_path, f"{name}.wav") for name in "abc"]
    for name in "abc":
        write_recording(f"{name}.wav")

    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    cache_file = tmp_path / "probes.parquet"
    with pytest.raises(KeyboardInterrupt):
        check(recordings, progress=interrupt, cache_file=cache_file)
    assert pl.read_parquet(cache_file)["path"].to_list() == [str(r.file) for r in recordings[:2]]


@pytest.mark.parametrize("content", [b"", b"not a table", b"table"])
def test_a_file_that_is_no_cache_is_refused(tmp_path: Path, content: bytes) -> None:
    cache_file = tmp_path / "probes.parquet"
    cache_file.write_bytes(content)
    if content == b"table":
        pl.DataFrame({"path": ["a.wav"]}).write_parquet(cache_file)
    with pytest.raises(DataError, match=r"not a cache of checked recordings .* delete it"):
        check([], cache_file=cache_file)


def test_too_much_that_is_bad_stops_the_run(tmp_path: Path, write_recording: Any) -> None:
    for i in range(19):
        write_recording(f"{i}.wav", 0.1)
    recordings = [recording(tmp_path, f"{i}.wav", 0.1) for i in range(20)]
    check(recordings).enforce(0.05)
    report = check([*recordings, recording(tmp_path, "20.wav")])
    with pytest.raises(DataError) as caught:
        report.enforce(0.05, tmp_path / "quarantine.csv")
    message = str(caught.value)
    assert message.startswith("2 of 21 recordings cannot be used; 5% are allowed")
    assert "19.wav: no such file" in message
    assert str(tmp_path / "quarantine.csv") in message
    assert "data.max_bad_share" in message
    report.enforce(0.1)


def test_a_data_set_with_nothing_usable_is_always_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 1"):
        check([recording(tmp_path, "absent.wav")]).enforce(1.0)


def test_the_quarantine_is_a_table(tmp_path: Path) -> None:
    recordings = [
        recording(tmp_path, 'a, "b".wav', label="günaydın"),
        recording(tmp_path, "c.wav", speaker_id="unknown:1", speaker_known=False),
    ]
    write_quarantine(check(recordings), tmp_path / "quarantine.csv")
    with (tmp_path / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["path", "label", "speaker_id", "reason"],
        [str(tmp_path / 'a, "b".wav'), "günaydın", "ali", "no such file"],
        [str(tmp_path / "c.wav"), "uyan", "", "no such file"],
    ]


def test_the_summary_counts_by_kind_and_label(tmp_path: Path, write_recording: Any) -> None:
    for name in "abc":
        write_recording(f"{name}.wav", 1.8)
    (tmp_path / "d.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    write_recording("fan.wav", 3.6)
    recordings = [
        recording(tmp_path, "a.wav", 1.8),
        recording(tmp_path, "b.wav", 1.8, speaker_id="unknown:1", speaker_known=False),
        recording(tmp_path, "c.wav", 3.0, speaker_id="veli"),
        recording(tmp_path, "d.wav", 1.8),
        recording(tmp_path, "absent.wav", 1.8),
        recording(tmp_path, "fan.wav", 3.6, kind="noise", label="fan", speaker_id="unknown:2", speaker_known=False),
        recording(tmp_path, "lost.wav", 3.6, kind="rir", label="hall", speaker_id="unknown:3", speaker_known=False),
    ]
    word, fan, hall = summary_rows(check(recordings))
    assert (word.kind, word.label, word.clips, word.speakers, word.unknown_speakers) == ("keyword", "uyan", 4, 2, 1)
    assert word.hours == pytest.approx(4 * 1.8 / 3600)
    assert (word.exact_duplicates, word.wrong_durations, word.clipped, word.silent) == (1, 1, 0, 0)
    assert word.quarantined == 1
    assert (fan.label, fan.clips, fan.speakers, fan.unknown_speakers) == ("fan", 1, 0, 0)
    assert (hall.label, hall.clips, hall.hours, hall.quarantined) == ("hall", 0, 0.0, 1)


def test_who_kills_is_not_tried_again_before_it_changes(tmp_path: Path, write_recording: Any, dying: list[str]) -> None:
    files = [write_recording(f"{number}.wav") for number in range(3)]
    recordings = [recording(file.parent, file.name) for file in files]
    memory = tmp_path / "cache/probes.parquet"
    dying.append("1.wav")
    report = check(recordings, cache_file=memory)
    expected = [("1.wav", "cannot be decoded: its process died 3 times")]
    assert [(entry.recording.path, entry.reason) for entry in report.quarantined] == expected
    assert "1.wav" in (tmp_path / "cache/given-up.csv").read_text(encoding="utf-8")
    dying.clear()  # whoever tried it now would find it well
    report = check(recordings, cache_file=memory)
    assert [(entry.recording.path, entry.reason) for entry in report.quarantined] == expected
    os.utime(files[1], ns=(0, 0))
    assert not check(recordings, cache_file=memory).quarantined


def test_a_node_that_does_not_see_a_recording_is_no_matter_of_the_recording(
    tmp_path: Path, write_recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, gone = write_recording("here.wav"), recording(tmp_path, "gone.wav")
    report = check([recording(here.parent, here.name), gone])
    assert [(entry.recording.path, entry.reason) for entry in report.quarantined] == [("gone.wav", "no such file")]

    def elsewhere(file: Path) -> str:
        raise FileNotFoundError(f"{file}: no such file")

    monkeypatch.setattr(probe_module, "read", elsewhere)
    with pytest.raises(DataError, match=r"here\.wav: there, but not for the process that decodes it; every node of a"):
        check([recording(here.parent, here.name), gone])
