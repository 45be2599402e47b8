"""The report in a real browser: nothing to complain of, nothing fetched, no sideways scrolling, sounds that play."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser import CHROMIUM, Tab, chromium
from uyan.report.page import make_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian's package is called chromium"),
]

PLAYS = """new Promise(done => {
  const player = document.querySelector("audio");
  player.muted = true;
  player.addEventListener("timeupdate", () => player.currentTime > 0 && done([player.duration, player.currentTime]));
  player.addEventListener("error", () => done([0, player.error.message]));
  player.play().catch(reason => done([0, String(reason)]));
})"""
LOADED = """Promise.all([...document.querySelectorAll("audio")].map(player => new Promise(done => {
  if (player.readyState) done(player.duration);
  player.addEventListener("loadedmetadata", () => done(player.duration));
  player.addEventListener("error", () => done(0));
  player.load();
})))"""
OVERFLOWS = """[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, pre, svg, details:not([open])")
  && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture
def page(make_evaluation: Callable[..., Path], tmp_path: Path, run_folder: Path, kfold_file: Path) -> Path:
    folder = make_evaluation(speakers=("a-speaker-with-a-very-long-name-without-any-space" * 3, "cem", "eda"))
    return make_report(folder, tmp_path / "report.html", run_folder)


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with chromium(tmp_path / "profile") as found:
        yield found


def test_the_report_in_a_browser(tab: Tab, page: Path) -> None:
    for width, dark in ((1280, False), (360, False), (360, True)):
        tab.open(page, width, dark)
        assert tab.complaints() == []
        assert {address for address in tab.requests() if not address.startswith("data:")} == {page.as_uri()}
        assert tab.ask("document.documentElement.scrollWidth") <= width
        assert tab.ask(OVERFLOWS) == []
        assert tab.ask("document.querySelectorAll('svg[role=img]').length") == 10
        assert tab.ask("Math.min(...[...document.querySelectorAll('svg[role=img]')].map(s => s.clientHeight))") > 40
        ground = tab.ask("getComputedStyle(document.body).backgroundColor")
        ink = tab.ask("getComputedStyle(document.querySelector('svg text.title')).fill")
        assert (ground, ink) == (
            ("rgb(16, 19, 23)", "rgb(233, 235, 238)") if dark else ("rgb(246, 247, 248)", "rgb(26, 30, 36)")
        )
    assert tab.ask(LOADED) == [1, 1]
    duration_s, played_s = tab.ask(PLAYS)
    assert duration_s == 1
    assert played_s > 0
    assert tab.complaints() == []


def test_figures_stand_without_scripts(tab: Tab, page: Path) -> None:
    tab.tell("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(page, 390)
    root = tab.tell("DOM.getDocument", depth=0)["root"]["nodeId"]
    figures = tab.tell("DOM.querySelectorAll", nodeId=root, selector="figure svg path")["nodeIds"]
    assert len(figures) > 50


def test_on_paper_there_are_no_players_and_figures_are_whole(tab: Tab, page: Path) -> None:
    tab.open(page, 1280)
    tab.tell("Emulation.setEmulatedMedia", media="print", features=[])
    assert tab.ask("getComputedStyle(document.querySelector('audio')).display") == "none"
    assert tab.ask("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
