"""The page's scripts without a browser, run by node: the same rule, the same files as Python's."""

import csv
import io
import json
import shutil
import subprocess
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.data.manifest import load_manifests
from uyan.decision import Decision, DetectorConfig
from uyan.runtime import web

NODE = shutil.which("node")
PAGE = Path(web.__file__).parent / "page"

pytestmark = pytest.mark.skipif(NODE is None, reason="no node here; Debian's package is called nodejs")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that every node takes for modules."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def answer(scripts: Path, script: str, given: Any) -> bytes:
    """What a module prints that finds `given` as JSON on its standard input."""
    assert NODE
    read = 'import { readFileSync } from "node:fs"; const given = JSON.parse(readFileSync(0, "utf8"));\n'
    (scripts / "asked.js").write_text(read + script, encoding="utf-8")
    command = [NODE, str(scripts / "asked.js")]
    return subprocess.run(command, input=json.dumps(given).encode(), capture_output=True, check=True).stdout


def fires(threshold: float, config: DetectorConfig, scores: list[float]) -> list[tuple[int, float]]:
    decision = Decision(threshold, config)
    return [(hop, decision.peak) for hop, score in enumerate(scores) if decision.push(score)]


def test_the_rule_is_python_s(scripts: Path) -> None:
    """Slow and fast tracks, scores exactly on a level, every shape of the rule."""
    rng = np.random.default_rng(42)
    cases = []
    for number in range(300):
        ballots = int(rng.integers(1, 8))
        config = DetectorConfig(
            hop_s=float(rng.choice([0.02, 0.1, 0.16, 1.0])),
            votes=int(rng.integers(1, ballots + 1)),
            ballots=ballots,
            hysteresis=float(rng.choice([0.0, 0.1, 0.25, 2.0])),
            lockout_s=float(rng.choice([0.0, 0.05, 0.25, 0.4, 1.5])),
        )
        threshold = float(rng.integers(0, 21)) / 20
        walk = np.clip(np.cumsum(rng.normal(0, 0.2, 400)) % 1.4 - 0.2, 0, 1)
        scores = (np.round(walk * 20) / 20 if number % 2 else walk).tolist()
        cases.append((threshold, config, scores))
    script = """
import { Decision } from "./decision.js";
const found = given.map(([threshold, config, scores]) => {
  const decision = new Decision(threshold, config);
  return scores.flatMap((score, hop) => (decision.push(score) ? [[hop, decision.peak]] : []));
});
console.log(JSON.stringify(found));
"""
    found = json.loads(answer(scripts, script, [(t, asdict(c), s) for t, c, s in cases]))
    expected = [[list(fired) for fired in fires(*case)] for case in cases]
    assert found == expected
    assert sum(map(len, expected)) > 1000


def test_halves_are_rounded_as_python_rounds(scripts: Path) -> None:
    values = [0.5, 1.5, 2.5, 2.4999999999999996, 3.0, 14.5, 15.5, 0.0]
    script = """
import { roundedToEven } from "./decision.js";
console.log(JSON.stringify(given.map(roundedToEven)));
"""
    assert json.loads(answer(scripts, script, values)) == [round(value) for value in values]


@pytest.mark.parametrize("size", [0, 1, 16_000])
def test_a_wav_is_what_soundfile_reads(scripts: Path, size: int) -> None:
    rng = np.random.default_rng(size)
    pcm = rng.integers(-32768, 32768, size).astype(np.int16)
    script = """
import { wavFile } from "./wav.js";
process.stdout.write(wavFile(Float32Array.from(given, (value) => value / 32768)));
"""
    wav = io.BytesIO(answer(scripts, script, pcm.tolist()))
    info = soundfile.info(wav)
    assert (info.samplerate, info.channels, info.subtype, info.format) == (SAMPLE_RATE, 1, "PCM_16", "WAV")
    wav.seek(0)
    assert soundfile.read(wav, dtype="int16")[0].tolist() == pcm.tolist()


def test_too_loud_is_clipped_and_not_wrapped(scripts: Path) -> None:
    script = """
import { wavFile } from "./wav.js";
process.stdout.write(wavFile(Float32Array.from(given)));
"""
    wav = io.BytesIO(answer(scripts, script, [1.0, 1.5, -1.0, -1.5]))
    assert soundfile.read(wav, dtype="int16")[0].tolist() == [32767, 32767, -32768, -32768]


TAKES = [
    ("günaydın", "Zoë", "keyword"),
    ("hey, you", 'Ada "the first"', "keyword"),
    ("../../etc/passwd", "C:\\Users", "negative"),
    ("günaydın", "Zoë", "keyword"),
    ("...", "/", "negative"),
]


def test_the_zip_is_a_data_set(scripts: Path, tmp_path: Path, uyan: Any) -> None:
    rng = np.random.default_rng(42)
    sounds = [rng.uniform(-0.3, 0.3, SAMPLE_RATE + 100 * n).round(6).tolist() for n in range(len(TAKES))]
    given = [
        {"label": label, "speaker": speaker, "kind": kind, "samples": samples}
        for (label, speaker, kind), samples in zip(TAKES, sounds, strict=True)
    ]
    script = """
import { dataSet } from "./manifest.js";
import { zipFile } from "./zip.js";
const takes = given.map((take) => ({ ...take, samples: Float32Array.from(take.samples) }));
process.stdout.write(zipFile(dataSet(takes)));
"""
    with zipfile.ZipFile(io.BytesIO(answer(scripts, script, given))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[:3] == ["manifest.csv", "günaydın/Zoë-001.wav", "hey-you/Ada-the-first-002.wav"]
        archive.extractall(tmp_path)
    recordings = load_manifests([tmp_path / "manifest.csv"])
    assert [(r.label, r.speaker_id, r.kind) for r in recordings] == TAKES
    assert [r.path for r in recordings] == names[1:]
    assert all(r.file.is_file() and r.speaker_known for r in recordings)
    code, out, err = uyan("data", "check", tmp_path / "manifest.csv")
    assert code == 0, out + err


@pytest.mark.parametrize(
    ("rate_hz", "frequency_hz", "kept"),
    [(rate_hz, frequency_hz, True) for rate_hz in (8_000, 44_100, 48_000) for frequency_hz in (100.0, 3000.0)]
    + [(rate_hz, frequency_hz, False) for rate_hz in (44_100, 48_000) for frequency_hz in (9500.0, 15_000.0)],
)
def test_another_rate_keeps_speech_and_folds_nothing_back(
    scripts: Path, rate_hz: int, frequency_hz: float, kept: bool
) -> None:
    """In chunks of any size; tones above half the new rate must not come back as others."""
    script = """
import { Resampler } from "./resampler.js";
const { rate, frequency, sizes } = given;
const resampler = new Resampler(rate, 16000);
let at = 0;
const found = sizes.flatMap((size) => {
  const tone = Float32Array.from({ length: size }, () => Math.sin((2 * Math.PI * frequency * at++) / rate));
  return [...resampler.push(tone)];
});
console.log(JSON.stringify(found));
"""
    sizes = [1, 0, 7, 128, 1600, 1600, 3, 4801, 1600]
    given = {"rate": rate_hz, "frequency": frequency_hz, "sizes": sizes}
    found = np.array(json.loads(answer(scripts, script, given)))
    assert abs(found.size - sum(sizes) * SAMPLE_RATE / rate_hz) < 64
    times_s = np.arange(found.size) / SAMPLE_RATE
    expected = np.sin(2 * np.pi * frequency_hz * times_s) if kept else np.zeros(found.size)
    assert np.abs(found - expected)[100:].max() < 0.005


def test_the_sum_is_zlib_s(scripts: Path) -> None:
    import zlib

    data = bytes(range(256)) * 3
    script = """
import { crc32 } from "./zip.js";
console.log(crc32(Uint8Array.from(given)));
"""
    assert int(answer(scripts, script, list(data))) == zlib.crc32(data)


def test_the_table_is_csv(scripts: Path) -> None:
    script = """
import { dataSet } from "./manifest.js";
const samples = new Float32Array(24000);
const [{ data }] = dataSet([{ label: 'a "b", c', speaker: "d\\ne", kind: "keyword", samples }]);
process.stdout.write(data);
"""
    rows = list(csv.reader(io.StringIO(answer(scripts, script, None).decode())))
    assert rows[0] == ["path", "label", "speaker_id", "duration_s", "kind"]
    assert rows[1] == ["a-b-c/d-e-001.wav", 'a "b", c', "d\ne", "1.500", "keyword"]
