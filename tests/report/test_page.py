import json
import re
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import pytest

from uyan.errors import EvaluationError
from uyan.evaluation.intervals import Interval
from uyan.evaluation.latency import DetectorCost, Latency, PassTimes
from uyan.evaluation.shift import CELLS, CellResult, ShiftResult
from uyan.report.page import make_report

MakeEvaluation = Callable[..., Path]
VOID = {"meta", "br", "img", "link", "input", "hr"}
NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags that open and close properly, every attribute, and what is read as text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_first_comes_what_may_be_claimed_then_what_is_refused(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    out = tmp_path / "page" / "report.html"
    assert make_report(make_evaluation(), out) == out
    text = read(out).text
    claimed, refused = text.index("2 alarms in 1.00 h: 2.00 per hour"), text.index("1.0 h of negatives cannot show")
    assert text.index("May be claimed: false alarms") < claimed < text.index("Not claimed: misses at 0.5 FAH") < refused
    assert refused < text.index("How often is the word missed?")


def test_the_figures_of_the_evaluation_stand_in_it(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    page = read(make_report(make_evaluation(), tmp_path / "report.html"))
    assert "3 of 12" in page.text  # the first of four speakers is missed three times
    assert "25.0 %" in page.text
    labels = [svg["aria-label"] for svg in page.of("svg") if svg.get("role") == "img"]
    assert any("clean 25.0 % missed at 2.00 per hour" in str(label) for label in labels)
    assert any("3 of 12 positives below the threshold 0.9" in str(label) for label in labels)
    assert "Misses by speaker: ada 3 of 3" in labels
    assert "misses through a telephone: switched off" in page.text
    assert "median 0.19 s" in page.text
    assert "earliest −0.02 s" in page.text


def test_every_drawing_says_what_it_shows(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    text = make_report(make_evaluation(), tmp_path / "report.html").read_text(encoding="utf-8")
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert len(figures) == 6  # misses, DET, scores, speakers, two kinds of alarm rates
    assert all(re.search(r'<svg viewBox="[\d. ]+" role="img" aria-label="[^"]{20,}"', figure) for figure in figures)


def test_the_same_folder_gives_the_same_bytes(
    make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path, kfold_file: Path
) -> None:
    folder = make_evaluation()
    first = make_report(folder, tmp_path / "a.html", run_folder).read_bytes()
    assert make_report(folder, tmp_path / "b.html", run_folder).read_bytes() == first


def test_names_of_strangers_are_only_text(make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path) -> None:
    folder = make_evaluation(keyword=NASTY, speakers=(NASTY, "cem"), label=NASTY.replace("/", "|"))
    edit(folder / "metrics.json", warnings=[NASTY], not_measured=[NASTY], claims={NASTY: NASTY}, uyan=NASTY)
    page = read(make_report(folder, tmp_path / "report.html", run_folder))
    assert page.of("script") == page.of("img") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(NASTY) >= 6
    assert "note: <b>bold</b>" in page.text


def test_nothing_is_fetched_and_nothing_runs(
    make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path, kfold_file: Path
) -> None:
    file = make_report(make_evaluation(), tmp_path / "report.html", run_folder)
    page = read(file)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:audio/wav;base64,"))
    assert not re.search(r"https?:|@import|url\(|<script|<link|javascript:", file.read_text(encoding="utf-8"))
    policy = next(m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; media-src data:")


def test_players_are_written_into_the_page(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    page = read(make_report(make_evaluation(alarms=3), tmp_path / "report.html"))
    assert len(page.of("audio")) == 3
    assert all("controls" in player for player in page.of("audio"))
    assert "voices/speech.opus at 0:20.0" in page.text


def test_what_is_not_there_is_named_as_not_measured(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    page = read(make_report(make_evaluation(), tmp_path / "report.html", tmp_path / "no-such-run"))
    last = page.text[page.text.index("What was not measured") :]
    for what in ("domain-shift suite was not run", "latency was not measured", "no K-fold was run", "run's folder"):
        assert what in last
    assert "Hard negatives" not in page.text
    assert "Through other devices" not in page.text


def test_a_run_brings_training_data_and_configuration(
    make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path
) -> None:
    page = read(make_report(make_evaluation(), tmp_path / "report.html", run_folder))
    labels = [str(svg.get("aria-label")) for svg in page.of("svg")]
    assert any("Loss over 2 epochs: training ends at 0.300, validation ends at 0.200" in label for label in labels)
    assert "777" in page.text
    assert "note: <b>bold</b>" in page.text
    assert "training run: the split may leak" in page.text
    assert "no K-fold was run" in page.text


def test_a_kfold_beside_the_run_is_shown(
    make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path, kfold_file: Path
) -> None:
    page = read(make_report(make_evaluation(), tmp_path / "report.html", run_folder))
    assert "2 models, 12 positives of 2 speakers" in page.text
    assert "50.0 ± 0.0 %" in page.text  # in either fold one of two speakers is missed
    assert "the two agree within their intervals" in page.text
    assert page.text.count("the split may leak") == 1
    assert "K-fold: a fold is small" in page.text
    assert "no K-fold was run" not in page.text
    assert page.text.count("Detection error trade-off") == 2


def test_a_kfold_that_does_not_know_the_run_is_left_alone(
    make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path, kfold_file: Path
) -> None:
    folds = json.loads(kfold_file.read_text(encoding="utf-8"))["folds"]
    edit(kfold_file, folds=[{**fold, "config_hash": "another"} for fold in folds])
    assert "no K-fold was run" in read(make_report(make_evaluation(), tmp_path / "report.html", run_folder)).text


def test_domain_shift_and_latency_are_shown_where_they_were_measured(
    make_evaluation: MakeEvaluation, tmp_path: Path
) -> None:
    folder, half = make_evaluation(), Interval(0.4, 0.6)
    cells = tuple(CellResult(cell, 200, 12, 4, 100, 0.5, half, half, {"ada": (100, 200)}) for cell in CELLS)
    shift = ShiftResult("jarvis", 0.9, 42, cells, 4800, 12, 4, 2400, 0.5, half, ("only misses",))
    times = PassTimes(1000, 1, 0.25, 0.25, 0.5)
    cost = DetectorCost(120.0, 0.08, 1, 0.003, 0.0031, 0, 52.0, 55.0, ("numpy",))
    (folder / "shift.json").write_text(json.dumps(asdict(shift)), encoding="utf-8")
    (folder / "latency.json").write_text(json.dumps(asdict(Latency("a machine", None, times, cost))), encoding="utf-8")
    page = read(make_report(folder, tmp_path / "report.html"))
    assert page.text.count("100/200") == 24
    assert "only misses" in page.text
    assert "mean 0.250 ms, 95 % within 0.500 ms (1,000 passes, 1 thread)" in page.text
    assert "52 MB" in page.text
    assert "was not run" not in page.text


def annotated(**changes: object) -> dict[str, object]:
    """What an evaluation says of three recordings with the word written down."""
    alarms = [{"path": "room/a.wav", "time_s": 3661.25, "label": ""}, {"path": NASTY, "time_s": 2.0, "label": "selam"}]
    found = {
        "recordings": 3,
        "words": 20,
        "misses": 1,
        "false_alarms": 57,
        "hours": 6.5,
        "claims": {"misses": "1 of 20 missed: 5.0 %", "false alarms": "57 alarms in 6.50 h"},
        "latency": {"detected": 19, "mean_s": 0.2, "median_s": 0.21, "p95_s": 0.4, "earliest_s": -0.03},
        "missed": {"events": [{"path": "room/b.wav", "time_s": 24.6, "label": "jarvis"}], "left_out": 0},
        "alarms": {"events": alarms, "left_out": 55},
    }
    return {**found, **changes}


def test_long_recordings_with_the_word_written_down_are_shown(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    folder = make_evaluation()
    edit(folder / "metrics.json", annotated=annotated())
    page = read(make_report(folder, tmp_path / "report.html"))
    text = page.text[page.text.index("In long recordings, with the word written down") :]
    assert "3 recordings, heard from start to end" in text and "20 words written down by hand; 6.50 h lie" in text
    assert "1 of 20 missed: 5.0 %" in text and "57 alarms in 6.50 h" in text
    assert "median 0.21 s, 95 % within 0.40 s, earliest −0.03 s; of 19 words" in text
    assert "room/b.wav at 0:24.6\n" in text and "room/a.wav at 1:01:01.2\n" in text
    assert f"{NASTY} at 0:02.0, while “selam” was said" in text and "and 55 more" in text
    assert "#annotated" in [a.get("href") for a in page.of("a")]
    assert "none were given" not in text


def test_without_them_the_page_says_that_they_were_not_given(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    page = read(make_report(make_evaluation(), tmp_path / "report.html"))
    assert "somebody wrote down the word: none were given" in page.text
    assert "#annotated" not in [a.get("href") for a in page.of("a")]


def test_annotated_hours_that_are_none_are_refused(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    folder = make_evaluation()
    edit(folder / "metrics.json", annotated=annotated(hours=0.0))
    with pytest.raises(EvaluationError, match=r"metrics.json: .*annotated.hours"):
        make_report(folder, tmp_path / "report.html")


@pytest.mark.parametrize("name", ["metrics.json", "tracks.npz", "det.csv", "curves.csv"])
@pytest.mark.parametrize("text", [None, "", "{", "a,b\n1\n", '{"keyword": 3}'])
def test_a_missing_or_damaged_file_is_named(
    make_evaluation: MakeEvaluation, tmp_path: Path, name: str, text: str | None
) -> None:
    folder = make_evaluation()
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError, match=rf"{re.escape(name)}: .*run.* (again|first)"):
        make_report(folder, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_number_that_is_none_is_refused_with_its_field(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    folder = make_evaluation()
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics["conditions"]["clean"]["miss_rate"] = float("nan")
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"metrics.json: .*conditions.clean.miss_rate"):
        make_report(folder, tmp_path / "report.html")


def test_tracks_of_another_evaluation_are_refused(make_evaluation: MakeEvaluation, tmp_path: Path) -> None:
    folder = make_evaluation()
    bundle = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["bundle"]
    edit(folder / "metrics.json", bundle={**bundle, "threshold": 0.5})
    with pytest.raises(EvaluationError, match="different evaluations"):
        make_report(folder, tmp_path / "report.html")


def test_a_run_of_another_bundle_is_refused(make_evaluation: MakeEvaluation, tmp_path: Path, run_folder: Path) -> None:
    edit(run_folder / "metrics.json", config_hash="f" * 64)
    with pytest.raises(EvaluationError, match=r"ffffffffffff.*c0ffeec0ffee"):
        make_report(make_evaluation(), tmp_path / "report.html", run_folder)


def test_a_kfold_of_another_word_is_refused(make_evaluation: MakeEvaluation, tmp_path: Path, kfold_file: Path) -> None:
    folder = make_evaluation()
    edit(kfold_file, keyword="computer")
    (folder / "kfold.json").write_bytes(kfold_file.read_bytes())
    with pytest.raises(EvaluationError, match="“computer”, not of “jarvis”"):
        make_report(folder, tmp_path / "report.html")
