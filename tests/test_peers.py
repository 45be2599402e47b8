"""Engines side by side: the stream is what its truth says, counts are worked by hand, a made-up engine is run."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bench.peers import __main__ as command
from bench.peers import environments, results
from bench.peers.compare import Tally, as_shipped, at_targets, curve_of, events_at, locked_out, tally
from bench.peers.engines import Engine, bundle_engine, peers
from bench.peers.environments import EMPTY, STAMP, Environment, InstallError, prepare
from bench.peers.plan import SPACE_S, StreamConfig, length, plan_stream
from bench.peers.protocol import Report
from bench.peers.recordings import Material, gather
from bench.peers.runs import CHUNK_SAMPLES, EngineError, NoModelError, Run, StreamFile, listen, start_s
from bench.peers.stream import NOISE_DB, make_stream
from bench.peers.truth import AUDIO, Truth
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.audio import INT16_SCALE, SAMPLE_RATE
from uyan.bundle import Bundle
from uyan.data.probe import probe_file
from uyan.data.recording import Recording, unknown_speaker_id
from uyan.decision import DetectorConfig
from uyan.detector import Detector
from uyan.errors import ConfigError, DataError, EvaluationError
from uyan.pipeline.heard import add_mined
from uyan.recipe import parse_recipe
from uyan.training.trunk import Learnt

Tone = Callable[..., NDArray[np.float32]]
WriteCorpus = Callable[..., Path]
HOURS = 30 / 3600
BEEP = '''
import sys
from array import array

from bench.peers.protocol import UnknownWordError, serve

def load(job):
    """Scores a chunk by its peak; `model` is what goes wrong."""
    with open(job.track + ".calls", "a") as calls:
        calls.write("x")
    if job.model == "unknown":
        raise UnknownWordError("never heard of it")
    if job.model == "broken":
        raise RuntimeError("out of order")
    def hear(chunk):
        peak = max(abs(sample) for sample in array("h", chunk)) / 32768
        if job.model == "nan":
            return [float("nan")]
        if job.threshold is None:
            return [peak]
        return [1.0] if peak >= job.threshold else []
    return hear

serve("wave", load)
'''


@pytest.fixture(scope="session")
def data(write_corpus: WriteCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight voices that say "uyan", "merhaba" and "selam" twice, half a minute of talk, and 60 s of noise."""
    folder = tmp_path_factory.mktemp("data")
    write_corpus(folder / "made-up", noise=10)
    return folder


@pytest.fixture(scope="session")
def material(data: Path) -> Material:
    return gather(data, ["uyan"], [], workers=1)


@pytest.fixture
def beep(tmp_path: Path) -> Engine:
    worker = tmp_path / "listen_beep.py"
    worker.write_text(BEEP, encoding="utf-8")
    return Engine("beep 1.0", "beep", "beep==1.0", "beep==1.0", worker, {"uyan": "peak"})


@pytest.fixture
def beeps(tmp_path: Path, tone: Tone) -> StreamFile:
    """10 s of silence with loud tones at 2.0 - 2.4 s and 6.0 - 6.4 s, a softer one at 8.0 - 8.4 s."""
    samples = np.zeros(10 * SAMPLE_RATE, np.float32)
    for at_s, amplitude in ((2.0, 0.8), (6.0, 0.6), (8.0, 0.4)):
        first = round(at_s * SAMPLE_RATE)
        samples[first : first + round(0.4 * SAMPLE_RATE)] = tone(500.0, 0.4, amplitude)
    path = tmp_path / "beeps.raw"
    (samples * INT16_SCALE).astype("<i2").tofile(path)
    return StreamFile(path, "beeps")


def made(material: Material, config: StreamConfig, folder: Path) -> Truth:
    return make_stream(material, config, folder, np.random.default_rng(config.seed))


def heard(scores: list[float], hop_s: float = 0.1) -> Run:
    times_s = hop_s * np.arange(1, len(scores) + 1)
    return Run(None, Report(0.1, 0.2, 1.0, 100.0, 1024, 1), times_s, np.array(scores))


# The stream


def test_shares_lengths_and_places_are_those_asked_for(material: Material) -> None:
    config = StreamConfig(HOURS, speech_share=0.3)
    plan = plan_stream(material.keywords, material.speech, config, np.random.default_rng(1))
    keywords = [voice for voice in plan.voices if voice.keyword]
    assert len(keywords) == 2  # half of 21 s of noise, 4 s of space each
    assert len({voice.recording.id for voice in keywords}) == 2
    speech = sum(voice.samples for voice in plan.voices if not voice.keyword)
    assert speech == round(0.3 * 30 * SAMPLE_RATE)
    assert plan.samples == 30 * SAMPLE_RATE + sum(voice.samples for voice in keywords)
    space = SPACE_S * SAMPLE_RATE
    for before, after in pairwise(plan.voices):
        least = space * (before.keyword + after.keyword)
        assert after.start - (before.start + before.samples) >= least
    assert all(voice.start >= space for voice in keywords)
    assert plan.voices[-1].start + plan.voices[-1].samples <= plan.samples


@given(seed=st.integers(0, 2**32 - 1), hours=st.floats(0.03, 0.2), share=st.floats(0, 0.6), words=st.integers(1, 3))
def test_voices_never_overlap(seed: int, hours: float, share: float, words: int) -> None:
    def recordings(kind: str, label: str, duration_s: float) -> list[Recording]:
        return [
            Recording(f"{label}{n}", Path(), label, "a", True, duration_s, kind, "", "")  # type: ignore[arg-type]
            for n in range(4)
        ]

    keywords = {str(word): recordings("keyword", str(word), 1.234) for word in range(words)}
    config = StreamConfig(hours, share, repeat=True)
    plan = plan_stream(keywords, recordings("negative", "speech", 33.3), config, np.random.default_rng(seed))
    ends = [voice.start + voice.samples for voice in plan.voices]
    assert all(end <= voice.start for end, voice in zip(ends[:-1], plan.voices[1:], strict=True))
    assert sum(voice.samples for voice in plan.voices if not voice.keyword) == config.speech_samples
    assert not ends or ends[-1] <= plan.samples


def test_keywords_stand_where_the_truth_says_10_db_above_the_noise(material: Material, tmp_path: Path) -> None:
    truth = made(material, StreamConfig(HOURS), tmp_path)
    bare = made(material, StreamConfig(HOURS, snr_db=-50.0), tmp_path / "bare")  # the same places, voices inaudible
    loud, quiet = (
        np.fromfile(folder / AUDIO, "<i2").astype(float) / INT16_SCALE for folder in (tmp_path, tmp_path / "bare")
    )
    assert loud.size == round(truth.duration_s * SAMPLE_RATE)
    assert truth.keywords == bare.keywords
    by_path = {recording.path: recording for recording in material.keywords["uyan"]}
    outside = np.ones(loud.size, bool)
    for keyword in truth.keywords:
        span = slice(round(keyword.start_s * SAMPLE_RATE), round(keyword.end_s * SAMPLE_RATE))
        assert span.stop - span.start == length(by_path[keyword.path])
        voice, noise = loud[span] - quiet[span], quiet[span]
        said, _ = soundfile.read(by_path[keyword.path].file)
        assert np.corrcoef(voice[: said.size], said[: voice.size])[0, 1] > 0.95
        blocks = np.sort(np.square(voice[: voice.size // 400 * 400]).reshape(-1, 400).mean(axis=1))
        active = blocks[-max(1, blocks.size // 5) :].mean()
        assert 10 * np.log10(active / np.square(noise).mean()) == pytest.approx(10.0, abs=0.5)
        outside[span] = False
        around = slice(span.start - round(SPACE_S * SAMPLE_RATE), span.stop + round(SPACE_S * SAMPLE_RATE))
        outside[around] &= loud[around] == quiet[around]
        assert (loud[around.start : span.start] == quiet[around.start : span.start]).all()
        assert (loud[span.stop : around.stop] == quiet[span.stop : around.stop]).all()
    differing = (loud != quiet)[outside].sum() / SAMPLE_RATE
    assert 0.5 * truth.speech_s < differing <= truth.speech_s + 1e-9
    assert 10 * np.log10(np.square(quiet).mean()) == pytest.approx(NOISE_DB, abs=1.0)
    assert truth.speech_s / truth.background_s == pytest.approx(0.2)


def test_the_same_request_gives_the_same_bytes_and_another_seed_others(material: Material, tmp_path: Path) -> None:
    first = made(material, StreamConfig(HOURS), tmp_path / "a")
    assert made(material, StreamConfig(HOURS), tmp_path / "b") == first
    assert (tmp_path / "a" / AUDIO).read_bytes() == (tmp_path / "b" / AUDIO).read_bytes()
    assert made(material, StreamConfig(HOURS, seed=43), tmp_path / "b").sha256 != first.sha256


def test_a_finished_stream_is_kept_and_a_torn_one_made_again(material: Material, tmp_path: Path) -> None:
    config = StreamConfig(HOURS)
    said: list[str] = []
    truth = made(material, config, tmp_path)
    assert make_stream(material, config, tmp_path, np.random.default_rng(42), said.append) == truth
    assert said == ["stream: kept, 0.01 h"]
    whole = (tmp_path / AUDIO).read_bytes()
    (tmp_path / AUDIO).write_bytes(whole[:-2])
    assert made(material, config, tmp_path) == truth
    assert (tmp_path / AUDIO).read_bytes() == whole


def test_hours_that_are_not_there_are_refused_or_repeated_and_said(material: Material, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of noise are needed, the manifests hold 0\.02 h"):
        made(material, StreamConfig(90 / 3600), tmp_path)
    with pytest.raises(DataError, match=r"of speech are needed for 0\.05 h of background"):
        made(material, StreamConfig(0.05, speech_share=0.8), tmp_path)
    truth = made(material, StreamConfig(120 / 3600, keywords=1, repeat=True), tmp_path)
    assert truth.distinct_noise_s == pytest.approx(60.0)
    assert truth.distinct_hours == pytest.approx(60 / 3600)
    assert truth.distinct_speech_s == truth.speech_s  # 24 s of it were there


def test_takes_that_do_not_fit_or_are_not_there_are_refused(material: Material, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'9 takes of "uyan" do not fit into 0\.008.* h: at most 3'):
        made(material, StreamConfig(HOURS, keywords=9), tmp_path)
    with pytest.raises(DataError, match='99 takes of "uyan" asked for, 16 are there'):
        made(material, StreamConfig(HOURS, keywords=99), tmp_path)
    with pytest.raises(DataError, match="do not fit into"):
        made(material, StreamConfig(0.001), tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"hours": 0}, {"hours": np.nan}, {"speech_share": 1}, {"keywords": 0}, {"snr_db": 200}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        StreamConfig(**{"hours": 1.0, **wrong})  # type: ignore[arg-type]


# Which recordings


def splits(folder: Path, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Rows of path, speaker, split and hash, each recording a group of its own."""
    head = "path,label,speaker_id,kind,split,group,counted,excluded,content_sha1"
    made = [f"{path},uyan,{speaker},keyword,{split},{path},1,,{sha1}" for path, speaker, split, sha1 in rows]
    (folder / "splits.csv").write_text("\n".join([head, *made, ""]), encoding="utf-8")


@pytest.fixture
def shipped(bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle in a run's folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    raw = {"keyword": "uyan", "data": {"manifests": ["m.csv"]}}
    (folder / "config.yaml").write_text(parse_recipe(raw, "test").to_yaml(), encoding="utf-8")
    return Path(shutil.copy(bundle.path, folder))


def test_only_what_every_bundle_holds_out_is_used(data: Path, shipped: Path) -> None:
    rows = ("a.wav", "voice0", "test", "0"), ("b.wav", "voice1", "train", "1"), ("c.wav", "voice2", "validation", "2")
    splits(shipped.parent, rows)
    found = gather(data, ["uyan"], [shipped], workers=1)
    heard = {recording.speaker_id for recording in [*found.keywords["uyan"], *found.speech]}
    assert heard == {f"voice{number}" for number in (0, 3, 4, 5, 6, 7)}
    assert found.notes == ("14 recordings were left out because its speaker was heard in training or validation.",)


def test_what_was_trained_on_under_another_name_is_left_out(
    data: Path, shipped: Path, tmp_path: Path, write_corpus: WriteCorpus
) -> None:
    """Recordings of nobody: neither path nor speaker tells, and the manifest lay elsewhere when the bundle was made."""
    manifest = write_corpus(tmp_path / "corpus", noise=10)
    text = re.sub(r",voice\d,", ",,", manifest.read_text(encoding="utf-8"))
    manifest.write_text(text, encoding="utf-8")
    trained, mined = (probe_file(tmp_path / f"corpus/{name}") for name in ("uyan/voice0-0.wav", "noise/3.wav"))
    assert not isinstance(trained, str) and not isinstance(mined, str)
    path = "corpus/uyan/voice0-0.wav"
    splits(shipped.parent, [(path, unknown_speaker_id(path), "train", trained.content_sha1)])
    add_mined(shipped.parent, Learnt(frozenset(), frozenset({mined.content_sha1})))
    found = gather(tmp_path / "corpus", ["uyan"], [shipped], workers=1)
    assert len(found.keywords["uyan"]) == 15 and len(found.noise) == 9
    assert "uyan/voice0-0.wav" not in {recording.path for recording in found.keywords["uyan"]}
    assert "noise/3.wav" not in {recording.path for recording in found.noise}


def test_a_bundle_of_unknown_training_is_said_so(data: Path, shipped: Path) -> None:
    (note,) = gather(data, ["uyan"], [shipped], workers=1).notes
    assert "no splits.csv beside bundle.onnx: what it was trained on is not all known" in note


def test_words_and_folders_that_are_not_there_are_named(data: Path, shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no recording of "alexa"; the manifests have merhaba, selam, uyan'):
        gather(data, ["alexa"], [])
    with pytest.raises(DataError, match=r"no manifest\.csv"):
        gather(tmp_path, ["uyan"], [])
    (shipped.parent / "splits.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="not a list of recordings"):
        gather(data, ["uyan"], [shipped])


# Counting


@pytest.mark.parametrize(
    ("events_s", "hits", "false_alarms"),
    [
        ([], 0, 0),
        ([1.0], 1, 0),  # at the very start of the keyword
        ([3.5], 1, 0),  # 1.5 s after its end, and not later
        ([3.51], 0, 1),
        ([0.99], 0, 1),
        ([1.2, 3.4], 1, 1),  # a second event at the same keyword
        ([1.2, 11.0], 2, 0),
        ([5.0, 11.0, 30.0], 1, 2),
        ([12.9, 13.0], 2, 0),  # two windows are open: one event each, the earlier keyword first
    ],
)
def test_events_by_hand(events_s: list[float], hits: int, false_alarms: int) -> None:
    assert tally(events_s, [(1.0, 2.0), (10.0, 12.0), (12.5, 13.0)]) == Tally(hits, false_alarms)


@given(st.lists(st.floats(0, 100), max_size=30), st.lists(st.floats(0, 95), max_size=8))
def test_every_event_is_a_hit_or_a_false_alarm(events_s: list[float], starts_s: list[float]) -> None:
    found = tally(sorted(events_s), [(start_s, start_s + 1) for start_s in sorted(starts_s)])
    assert found.hits + found.false_alarms == len(events_s)
    assert found.hits <= len(starts_s)


def test_a_lock_out_silences_what_follows_within_it() -> None:
    assert locked_out(np.array([1.0, 2.4, 2.5, 3.9, 4.0, 9.0])).tolist() == [1.0, 2.5, 4.0, 9.0]
    assert locked_out(np.array([2.0, 2.0, 2.0])).tolist() == [2.0]
    assert locked_out(np.zeros(0)).size == 0


def test_a_curve_by_hand() -> None:
    scores = [0.0] * 400
    for at_s, score in ((5.0, 0.9), (15.0, 0.6), (25.0, 0.7), (35.0, 0.4)):
        scores[round(at_s / 0.1) - 1] = score
    # Keywords at 5 and 15 s and one that is never heard; 0.7 and 0.4 are false alarms.
    keywords_s = [(4.5, 5.5), (14.5, 15.5), (38.0, 38.5)]
    curve = curve_of([heard(scores)], None, keywords_s, hours=10.0)
    strict, loose = (at_targets(curve, 10.0)[name].rate for name in ("0.1", "0.5"))
    assert (strict.misses, strict.false_alarms, strict.threshold) == (1, 1, 0.6)  # 1 alarm in 10 h is 0.1 FAH
    assert (loose.misses, loose.false_alarms) == (1, 1)  # another alarm hears nobody more; ties go to the strictest
    tenth = curve_of([heard(scores)], None, keywords_s, hours=1.0)
    assert at_targets(tenth, 1.0)["0.5"].rate.misses == 2  # no alarm in 1 h: 0.9 alone is above 0.7
    assert at_targets(tenth, 1.0)["0.5"].rate.threshold > 0.7


def test_hours_that_cannot_show_a_rate_are_said() -> None:
    curve = curve_of([heard([0.1, 0.9])], None, [(0.0, 1.0)], hours=10.0)
    assert {name: at.supported for name, at in at_targets(curve, 10.0).items()} == {"0.1": False, "0.5": True}
    assert at_targets(curve, 30.0)["0.1"].supported


def test_a_bundle_fires_as_its_detector_does(bundle: Bundle, changing_sound: object) -> None:
    from uyan.hop_scorer import HopScorer

    samples = changing_sound(60.0, 7)  # type: ignore[operator]
    scorer = HopScorer(bundle)
    scores = scorer.push(samples)
    times_s = np.array([scorer.time_s(hop) for hop in range(scores.size)])
    run = Run(None, Report(0, 0, 0, 1, 0, 1), times_s, scores)
    expected = [found.time_s for found in Detector(bundle, 0.6).push(samples)]
    assert len(expected) > 3
    assert events_at(run, 0.6, bundle.info.detector).tolist() == expected


def test_a_rule_of_votes_needs_its_votes() -> None:
    run = heard([0.0] * 10 + [0.9] * 2 + [0.0] * 20 + [0.9] * 3 + [0.0] * 20)
    assert events_at(run, 0.5, None).tolist() == pytest.approx([1.1, 3.3])
    assert events_at(run, 0.5, DetectorConfig()).tolist() == pytest.approx([3.5])


def test_thresholds_one_run_each_make_a_curve() -> None:
    report = Report(0.1, 0.2, 1.0, 100.0, None, None)
    strict = Run(1e-5, report, np.array([5.0]), np.ones(1))
    loose = Run(1e-20, report, np.array([5.0, 5.1, 15.0, 30.0]), np.ones(4))
    curve = curve_of([loose, strict], None, [(4.5, 5.5), (14.5, 15.5)], hours=1.0)
    assert curve.thresholds.tolist() == [1e-20, 1e-5]
    assert curve.detected.tolist() == [2, 1]
    assert curve.false_alarms.tolist() == [1, 0]
    shipped = as_shipped([loose, strict], 1e-20, None, [(4.5, 5.5)], 2.0)
    assert (shipped.hits, shipped.keywords, shipped.false_alarms, shipped.fah) == (1, 1, 2, 1.0)
    with pytest.raises(EvaluationError, match=r"no run at threshold 0\.5"):
        as_shipped([loose, strict], 0.5, None, [], 1.0)


def test_an_engine_without_a_score_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no score"):
        curve_of([heard([])], None, [(0.0, 1.0)], 1.0)


# Workers


def test_a_worker_hears_every_chunk_and_measures_itself(beep: Engine, beeps: StreamFile, tmp_path: Path) -> None:
    (run,) = listen(beep, "uyan", Path(sys.executable), beeps, tmp_path / "runs")
    assert run.times_s.tolist() == pytest.approx((np.arange(1, 126) * CHUNK_SAMPLES / SAMPLE_RATE).tolist())
    assert run.scores.max() == pytest.approx(0.8, abs=1e-3)
    assert events_at(run, 0.5, None).tolist() == pytest.approx([2.08, 6.08])
    assert run.report.audio_s == pytest.approx(124 * 0.08)
    assert run.report.cpu_s > 0
    assert 0 < run.report.import_s <= run.report.ready_s
    if sys.platform == "linux":
        assert 1_000_000 < (run.report.peak_bytes or 0) < 100_000_000  # its own, not that of this process


def test_an_engine_that_decides_runs_once_a_threshold(beep: Engine, beeps: StreamFile, tmp_path: Path) -> None:
    engine = replace(beep, thresholds=(0.3, 0.7))
    low, high = listen(engine, "uyan", Path(sys.executable), beeps, tmp_path / "runs")
    assert (low.threshold, high.threshold) == (0.3, 0.7)
    assert locked_out(low.times_s).tolist() == pytest.approx([2.08, 6.08, 8.08])
    assert locked_out(high.times_s).tolist() == pytest.approx([2.08])


def test_finished_runs_are_kept_and_unfinished_ones_done_again(beep: Engine, beeps: StreamFile, tmp_path: Path) -> None:
    runs = tmp_path / "runs"

    def calls() -> int:
        return sum(len(file.read_text()) for file in runs.glob("**/*.calls"))

    first = listen(beep, "uyan", Path(sys.executable), beeps, runs)
    again = listen(beep, "uyan", Path(sys.executable), beeps, runs)
    assert calls() == 1
    assert again[0].report == first[0].report
    (finished,) = runs.glob("*/finished.json")
    finished.unlink()
    listen(beep, "uyan", Path(sys.executable), beeps, runs)
    assert calls() == 2
    for other in (replace(beep, stamp="beep==1.1"), replace(beep, model_sha256="1"), beep):
        listen(other, "uyan", Path(sys.executable), replace(beeps, sha256="other"), runs)
    assert calls() == 5


def test_what_a_worker_says_on_failing_is_handed_on(beep: Engine, beeps: StreamFile, tmp_path: Path) -> None:
    def hear(model: str) -> None:
        listen(replace(beep, models={"uyan": model}), "uyan", Path(sys.executable), beeps, tmp_path / "runs")

    with pytest.raises(NoModelError, match="never heard of it"):
        hear("unknown")
    with pytest.raises(EngineError, match=r"beep 1\.0: failed with status 1: RuntimeError: out of order"):
        hear("broken")
    with pytest.raises(EngineError, match="125 scores are not numbers"):
        hear("nan")
    with pytest.raises(NoModelError, match="no model for 'selam'"):
        listen(beep, "selam", Path(sys.executable), beeps, tmp_path / "runs")


def test_starting_is_measured_in_new_processes(
    beep: Engine, beeps: StreamFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.peers.runs.STARTS", 2)
    import_s, ready_s = start_s(beep, "uyan", Path(sys.executable), beeps, tmp_path / "runs")
    assert 0 < import_s <= ready_s
    assert len(list((tmp_path / "runs").glob("start-*/*/finished.json"))) == 2


def test_workers_and_words_of_the_engines_are_there() -> None:
    engines = {engine.environment: engine for engine in peers()}
    assert all(engine.worker.is_file() for engine in engines.values())
    assert engines["openwakeword"].model("hey jarvis") == "hey_jarvis_v0.1"
    assert engines["openwakeword"].model("jarvis") is None
    assert engines["pymicro-wakeword"].shipped_threshold("okay nabu") == 0.85
    sphinx = engines["pocketsphinx"]
    assert sphinx.model("view glass") == "view glass"
    assert sphinx.shipped_threshold("view glass") in sphinx.thresholds


def test_a_bundle_is_an_engine_of_its_own_word(bundle: Bundle) -> None:
    engine = bundle_engine(bundle.path)
    assert engine.model("günaydın") == str(bundle.path.resolve())
    assert engine.model("jarvis") is None
    assert engine.cost_word == "günaydın"
    assert engine.shipped_threshold("günaydın") == 0.5
    assert engine.decision == bundle.info.detector


# Environments


def test_an_environment_is_made_once_a_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], what: str) -> str:
        commands.append(command)
        if "venv" in command:
            python = environments.interpreter(Path(command[-1]))
            python.parent.mkdir(parents=True)
            python.write_bytes(bytes(1000))
        return "beep==1.0\nnumpy==2.0\n"

    monkeypatch.setattr(environments, "_run", run)
    made = prepare(tmp_path / "beep", "beep==1.0", "1.0")
    assert made.packages == ("beep==1.0", "numpy==2.0")
    assert made.total_bytes == 1000
    assert [command[-1] for command in commands] == [str(tmp_path / "beep"), "beep==1.0", "--format=freeze"]
    assert prepare(tmp_path / "beep", "beep==1.0", "1.0") == made
    assert len(commands) == 3
    prepare(tmp_path / "beep", "beep==1.1", "1.1")
    assert len(commands) == 6
    (tmp_path / "beep" / STAMP).write_text("{", encoding="utf-8")
    prepare(tmp_path / "beep", "beep==1.1", "1.1")
    assert len(commands) == 9


def test_what_cannot_be_installed_is_said_in_pips_words(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", r"exit('ERROR: No matching distribution found for beep\nhint: no')"]
    with pytest.raises(InstallError, match="could not install beep: ERROR: No matching distribution found for beep"):
        environments._run(failing, "install beep")


# The command


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, beep: Engine) -> None:
    """No environment is made: engines run with this very Python, "missing" cannot be installed."""

    def here(folder: Path, requirement: str | None, stamp: str) -> Environment:
        if folder.name == "missing":
            raise InstallError("could not install missing==1: ERROR: no such package")
        size = 10_000_000 if folder.name == EMPTY else 15_242_880
        return Environment(str(folder), stamp, "3", ("beep==1.0",), size)

    foreign = replace(beep, name="foreign 2.0", environment="foreign", models={"alexa": "peak"})
    missing = replace(beep, name="missing 1", environment="missing")
    monkeypatch.setattr(results, "prepare", here)
    monkeypatch.setattr(environments, "interpreter", lambda _: Path(sys.executable))
    monkeypatch.setattr(command, "peers", lambda: [beep, foreign, missing])
    monkeypatch.setattr("bench.peers.runs.STARTS", 1)


@pytest.mark.usefixtures("offline")
def test_the_command_writes_a_table_with_every_engine_and_why_one_is_missing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = ["--data", str(data), "--hours", str(HOURS), "--words", "uyan", "--out", str(out)]
    assert command.main(asked) == command.ENGINE_FAILED
    shown = capsys.readouterr()
    assert "missing 1: could not install missing==1" in shown.err
    table = (out / "peers.md").read_text(encoding="utf-8")
    assert table.strip() == shown.out.strip()
    beeping, unknown, cost, missing = (line.split(" | ") for line in table.splitlines()[2:6])
    assert beeping[0] == "| beep 1.0"
    assert beeping[2].endswith("†")
    assert unknown[:3] == ["| foreign 2.0", "uyan", "no model for this word"]
    assert cost[1:3] == ["alexa", "no takes of this word in the stream"]
    assert cost[-1] == "5 MiB |"
    assert "no such package" in missing[2]
    assert "cannot show 0.1 FAH: not one false alarm in them would still allow" in table
    raw = json.loads((out / "peers.json").read_text(encoding="utf-8"))
    assert [row["status"] for row in raw["rows"][:2]] == ["judged", "no model for this word"]
    assert raw["rows"][0]["at_fah"]["0.5"]["rate"]["positives"] == len(raw["stream"]["keywords"]) == 3
    before = {file: file.stat().st_mtime_ns for file in out.glob("runs/**/finished.json")}
    assert command.main([*asked, "--engines", "beep"]) == 0
    assert {file: file.stat().st_mtime_ns for file in out.glob("runs/**/finished.json")} == before


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--words", "alexa"], 'no recording of "alexa"'),
        ([], "no word to listen for"),
        (["--words", "uyan", "--engines", "porcupine"], "--engines porcupine: not known; there are beep"),
        (["--words", "uyan", "--engines"], "nothing to compare"),
        (["--bundle", "no.onnx"], "no.onnx: no such bundle"),
        (["--words", "uyan", "--hours", "0"], "--hours must lie between"),
    ],
)
def test_mistakes_of_the_user_are_one_line_and_status_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], said: str
) -> None:
    status = command.main(["--data", str(data), "--hours", str(HOURS), "--out", str(tmp_path / "out"), *asked])
    assert status == command.USER_ERROR
    assert said in capsys.readouterr().err.splitlines()[-1]
