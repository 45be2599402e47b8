"""A bundle judged on manifests: whom it has heard does not judge it, and every promised file is there."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read, write
from uyan.bundle import Bundle, BundleInfo, load
from uyan.data.manifest import load_manifests
from uyan.data.probe import probe_file
from uyan.errors import BundleError, DataError, EvaluationError, ManifestError
from uyan.evaluation.track_file import load_tracks
from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle
from uyan.hop_scorer import HopScorer
from uyan.model.network import Network
from uyan.pipeline import evaluate_bundle as module
from uyan.pipeline.evaluate_bundle import evaluate_bundle, kfold_of_bundle
from uyan.pipeline.held_out import held_out
from uyan.recipe import Recipe, parse_recipe
from uyan.report.players import MOST_PLAYERS
from uyan.runtime.files import listen_to_file

Sound = Callable[..., NDArray[np.float32]]
WriteCorpus = Callable[..., Path]
COLUMNS = ("path", "label", "speaker_id", "kind", "split", "group", "counted", "excluded", "content_sha1")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data") / "corpus", speakers=4, noise=2)


@pytest.fixture
def detector(network: Network, bundle_info: BundleInfo, tmp_path: Path) -> Bundle:
    """A detector for "uyan" that fires at about anything, in a folder of its own."""
    path = tmp_path / "run" / "bundle.onnx"
    path.parent.mkdir()
    info = replace(bundle_info, label="uyan", threshold=0.3)
    save_bundle(make_bundle(network_to_onnx(network, mels=64), info, path))
    return load(path)


def splits(run: Path, rows: list[dict[str, str]]) -> None:
    with (run / "splits.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def row(path: str, speaker_id: str, split: str, sha1: str = "x") -> dict[str, str]:
    values = (path, "uyan", speaker_id, "keyword", split, path, "1", "", sha1)
    return dict(zip(COLUMNS, values, strict=True))


def test_voices_of_training_and_validation_do_not_judge(detector: Bundle, manifest: Path) -> None:
    rows = [row("a.wav", "voice0", "train"), row("b.wav", "voice1", "validation"), row("c.wav", "voice2", "test")]
    splits(detector.path.parent, rows)
    found = held_out(detector, [manifest], workers=1)
    assert {m.recording.speaker_id for m in found.positives} == {"voice2", "voice3"}
    assert found.left_out == {"its speaker was heard in training or validation": 14}
    assert len(found.noise) == 2 and not any("splits.csv" in warning for warning in found.warnings)


def test_a_recording_that_was_trained_on_under_another_name_does_not_judge(detector: Bundle, manifest: Path) -> None:
    chosen = next(r for r in load_manifests([manifest]) if r.label == "uyan")
    heard = probe_file(chosen.file)
    assert not isinstance(heard, str)
    splits(detector.path.parent, [row("other/name.wav", "somebody", "train", heard.content_sha1)])
    found = held_out(detector, [manifest], workers=1)
    assert chosen.id not in {m.recording.id for m in found.members}
    assert found.left_out == {"it, or a near-duplicate, was heard in training or validation": 1}


def test_another_take_of_a_voice_that_was_heard_does_not_judge(
    detector: Bundle, manifest: Path, tmp_path: Path
) -> None:
    """The same take under two speaker ids: whoever said it, the detector knows the voice."""
    chosen = next(r for r in load_manifests([manifest]) if r.label == "uyan")
    samples = read(chosen.file)
    write(tmp_path / "copy.wav", 0.5 * samples)
    rows = "path,label,speaker_id,duration_s,kind", f"copy.wav,uyan,nobody,{samples.size / SAMPLE_RATE},keyword"
    more = tmp_path / "more.csv"
    more.write_text("\n".join(rows), encoding="utf-8")
    splits(detector.path.parent, [row("a.wav", chosen.speaker_id, "train")])
    found = held_out(detector, [manifest, more], workers=1)
    assert not {"nobody", chosen.speaker_id} & {m.recording.speaker_id for m in found.members}
    assert found.left_out["it, or a near-duplicate, was heard in training or validation"] == 1


def test_a_bundle_without_its_run_is_judged_with_a_warning(detector: Bundle, manifest: Path) -> None:
    found = held_out(detector, [manifest], workers=1)
    assert (len(found.positives), found.left_out) == (8, {})
    assert found.warnings[0].startswith("no splits.csv beside bundle.onnx: whether the detector has heard")


def test_a_damaged_list_of_who_was_heard_is_no_list_of_nobody(detector: Bundle, manifest: Path) -> None:
    (detector.path.parent / "splits.csv").write_text("who,what\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"splits\.csv: not a list of recordings as uyan writes it"):
        held_out(detector, [manifest], workers=1)


def test_data_without_the_word_is_refused_with_the_words_it_has(bundle: Bundle, manifest: Path) -> None:
    with pytest.raises(EvaluationError, match=r"no recordings of 'günaydın'.*merhaba, selam, uyan"):
        held_out(bundle, [manifest], workers=1)


def test_data_of_nothing_but_the_word_is_refused(detector: Bundle, manifest: Path, tmp_path: Path) -> None:
    head, *lines = manifest.read_text(encoding="utf-8").splitlines()
    only = manifest.with_name("only.csv")
    only.write_text("\n".join([head, *(line for line in lines if line.startswith("uyan/")), ""]), encoding="utf-8")
    with pytest.raises(EvaluationError, match="no negatives that may judge this bundle"):
        held_out(detector, [only], workers=1)


def test_everything_promised_is_there_and_agrees(detector: Bundle, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    metrics = evaluate_bundle(detector.path, [manifest], out, workers=1)
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8")) == json.loads(json.dumps(metrics))
    promised = "curves.csv curves.png det.csv det.png latency.json metrics.json report.html tracks.npz"
    assert set(promised.split()) <= {file.name for file in out.iterdir()}
    assert metrics["claims"]["false alarms"] in (out / "report.html").read_text(encoding="utf-8")
    tracks = load_tracks(out / "tracks.npz")
    assert list(tracks.conditions) == list(metrics["conditions"]) == ["clean", "10 dB SNR", "5 dB SNR", "telephone"]
    alarms = metrics["false_alarms"]
    assert alarms["events"] > 0
    for by in ("by_source", "by_data_set"):
        assert sum(rate["events"] for rate in alarms[by].values()) == alarms["events"]
        assert sum(rate["hours"] for rate in alarms[by].values()) == pytest.approx(alarms["hours"])
    assert set(alarms["by_word"]) == {"merhaba", "selam"}
    assert metrics["claims"]["misses at 0.5 FAH"].endswith("6.0 h without an alarm are needed")
    assert metrics["near_words"] is None
    (missing,) = metrics["not_measured"]
    assert missing.startswith("near words")


def test_what_almost_is_the_word_is_judged_apart(detector: Bundle, manifest: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()
    rows = ["path,label,speaker_id,duration_s,kind"]
    for number, label in enumerate(("half", "half", "rhyme")):
        sound = np.random.default_rng(number).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
        write(near / f"{number}.wav", sound)
        rows.append(f"{number}.wav,{label},tts:near:{number},1.0,negative")
    (near / "manifest.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    metrics = evaluate_bundle(detector.path, [manifest], tmp_path / "out", 1, near=[near / "manifest.csv"])
    found = metrics["near_words"]
    assert {name: rate["recordings"] for name, rate in found["by_category"].items()} == {"half": 2, "rhyme": 1}
    assert found["accepted"] == sum(rate["accepted"] for rate in found["by_category"].values())
    assert not metrics["not_measured"]
    plain = evaluate_bundle(detector.path, [manifest], tmp_path / "plain", 1)
    assert metrics["false_alarms"] == plain["false_alarms"], "near words are no part of the FAH"
    assert found["claim"] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_loudest_alarms_can_be_listened_to(detector: Bundle, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    metrics = evaluate_bundle(detector.path, [manifest], out, workers=1)
    assert metrics["loudest_alarms"]
    scores = [alarm["score"] for alarm in metrics["loudest_alarms"]]
    assert scores == sorted(scores, reverse=True)
    for alarm in metrics["loudest_alarms"]:
        heard = read(out / alarm["snippet"])
        assert 0.1 * SAMPLE_RATE <= heard.size <= 3.0 * SAMPLE_RATE


def test_what_is_no_bundle_is_named(tmp_path: Path, manifest: Path) -> None:
    (tmp_path / "bundle.onnx").write_bytes(b"not a network")
    with pytest.raises(BundleError, match=r"bundle\.onnx"):
        evaluate_bundle(tmp_path / "bundle.onnx", [manifest], tmp_path / "out")


@pytest.mark.usefixtures("one_push")
def test_a_snippet_holds_the_alarm_where_it_should(
    detector: Bundle, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tone 7 s into a recording, to a detector of that tone: it fires 0.2 to 0.3 s later, 2.5 s into the snippet.

    The folder has the corpus's name, so that both are called by the folder above as well.
    """

    def push(scorer: HopScorer, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        hops = range(round((samples.size / SAMPLE_RATE - scorer.time_s(0)) * 10))
        ends = [round(scorer.time_s(hop) * SAMPLE_RATE) for hop in hops]
        return np.array([0.9 if (np.abs(samples[end - 32 : end]) > 0.9).any() else 0.0 for end in ends])

    monkeypatch.setattr(HopScorer, "push", push)
    folder = tmp_path / "planted" / manifest.parent.name
    folder.mkdir(parents=True)
    times_s = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.95 * np.sin(2 * np.pi * 1000 * times_s) * ((times_s >= 7) & (times_s < 7.6))
    write(folder / "long.wav", tone.astype(np.float32))
    table = folder / "manifest.csv"
    table.write_text("path,label,speaker_id,duration_s,kind\nlong.wav,speech,eda,20,negative\n", encoding="utf-8")
    out = tmp_path / "evaluation"
    metrics = evaluate_bundle(detector.path, [manifest, table], out, workers=1)
    (alarm,) = (a for a in metrics["loudest_alarms"] if a["path"] == f"planted/{folder.name}/long.wav")
    heard = read(out / alarm["snippet"])
    assert heard.size == 3 * SAMPLE_RATE
    begins_s = np.flatnonzero(np.abs(heard) > 0.1)[0] / SAMPLE_RATE
    assert begins_s == pytest.approx(2.5 - 0.2, abs=0.11)


@pytest.fixture
def room(tmp_path: Path, changing_sound: Sound, rng: np.random.Generator) -> Path:
    """A folder with `long.wav`: 30 s at which the detector fires often, and 10 s of near silence."""
    quiet = 1e-4 * rng.standard_normal(10 * SAMPLE_RATE).astype(np.float32)
    write(tmp_path / "room" / "long.wav", np.concatenate([changing_sound(30.0), quiet]))
    return tmp_path / "room"


def test_annotated_recordings_are_judged_besides(detector: Bundle, manifest: Path, room: Path, tmp_path: Path) -> None:
    """Written down: a word that ends 0.1 s before the detector's first detection, and one in the silence."""
    first_s, *others_s = [found.time_s for found in listen_to_file(detector, room / "long.wav")]
    assert others_s and min(others_s) > first_s + 1.0 and max(others_s) < 34.0
    rows = "path,start_s,end_s", f"long.wav,{first_s - 0.5},{first_s - 0.1}", "long.wav,35,35.5", ""
    (room / "events.csv").write_text("\n".join(rows), encoding="utf-8")
    out = tmp_path / "out"
    metrics = evaluate_bundle(detector.path, [manifest], out, workers=1, annotations=[room / "events.csv"])
    found = metrics["annotated"]
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["annotated"] == json.loads(json.dumps(found))
    assert (found["recordings"], found["words"], found["misses"], found["miss_rate"]) == (1, 2, 1, 0.5)
    assert [(event["path"], event["time_s"]) for event in found["missed"]["events"]] == [("room/long.wav", 35.0)]
    assert [event["time_s"] for event in found["alarms"]["events"]] == pytest.approx(others_s, abs=1e-3)
    assert found["latency"]["median_s"] == pytest.approx(0.1, abs=1e-3)
    assert found["hours"] == pytest.approx((40.0 - 1.4 - 1.5) / 3600)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert found["claims"]["misses"] in page and "room/long.wav at 0:35.0" in page
    assert "annotations name no speakers" in metrics["warnings"][-1]
    for event in found["alarms"]["events"]:
        first, last = (round(max(0.0, event["time_s"] + by_s) * SAMPLE_RATE) for by_s in (-2.5, 0.5))
        expected = read(room / "long.wav")[first:last]
        np.testing.assert_array_equal(read(out / event["snippet"]), expected)
    assert page.count('aria-label="False alarm ') == min(len(others_s), MOST_PLAYERS)


def test_an_annotated_recording_that_taught_the_detector_does_not_judge_it(
    detector: Bundle, manifest: Path, room: Path, tmp_path: Path
) -> None:
    rows = ["path,label,speaker_id,split,group,counted,excluded,content_sha1"]
    rows.append(f"long.wav,speech,eda,train,1,1,,{probe_file(room / 'long.wav').content_sha1}")
    (detector.path.parent / "splits.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (room / "events.csv").write_text("path,start_s,end_s\nlong.wav,3,4\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"room/long\.wav: the detector has heard this recording in training"):
        evaluate_bundle(detector.path, [manifest], tmp_path / "out", workers=1, annotations=[room / "events.csv"])


def test_without_annotations_there_is_nothing_of_them(detector: Bundle, manifest: Path, tmp_path: Path) -> None:
    metrics = evaluate_bundle(detector.path, [manifest], tmp_path / "out", workers=1)
    assert "annotated" not in metrics
    assert "somebody wrote down the word: none were given" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("long.wav,3,60", ManifestError, r"row 2: end_s: 60 is beyond the end of the recording, which has 40\.00 s"),
        ("long.wav,0,40", EvaluationError, r"nothing but the keyword, so that no detection could be false"),
    ],
)
def test_annotations_are_checked_before_anything_is_decoded(
    detector: Bundle, room: Path, tmp_path: Path, rows: str, error: type[Exception], message: str
) -> None:
    (room / "events.csv").write_text(f"path,start_s,end_s\n{rows}\n", encoding="utf-8")
    with pytest.raises(error, match=message):
        evaluate_bundle(detector.path, [tmp_path / "no.csv"], tmp_path / "out", annotations=[room / "events.csv"])
    assert not (tmp_path / "out").exists()


def test_the_folds_of_a_bundle_share_the_features_of_its_run(
    detector: Bundle, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = parse_recipe({"keyword": "uyan", "data": {"manifests": ["corpus/manifest.csv"]}}, "test")
    run, base, out = detector.path.parent, manifest.parent.parent, tmp_path / "evaluation"
    asked = []

    def folds(recipe: Recipe, base: Path, out: Path, count: int, *_: object) -> dict[str, int]:
        asked.append((recipe.cache.folder, base, out, count))
        return {"folds": count}

    monkeypatch.setattr(module, "RunFolder", lambda bundle, path: SimpleNamespace(recipe=recipe, path=path))
    monkeypatch.setattr(module, "kfold", folds)
    monkeypatch.setattr(module, "make_report", lambda *_: None)
    assert kfold_of_bundle(detector.path, out, base) == {"folds": recipe.split.folds}
    assert asked == [(str(run.parent / "cache"), base, out / "kfold", recipe.split.folds)]


def test_no_folds_without_the_recipe(detector: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"--full: no K-fold without the recipe of .*bundle\.onnx"):
        kfold_of_bundle(detector.path, tmp_path / "evaluation")
