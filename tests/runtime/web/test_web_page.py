"""The page in a real browser: a WAV as the microphone fires when Python fires, and recorded takes are a data set."""

import base64
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from browser import CHROMIUM, Tab, chromium
from uyan.audio import SAMPLE_RATE
from uyan.bundle import Bundle
from uyan.container import seal
from uyan.data.manifest import load_manifests
from uyan.decision import DetectorConfig
from uyan.detector import Detector
from uyan.frontend import FrontendConfig
from uyan.hop_scorer import HopScorer
from uyan.runtime.web.server import SiteServer
from uyan.runtime.web.site import make_site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian's package is called chromium"),
]

PATIENCE_S = 60.0
HOP_S = 0.1
ROUNDING_S = 1e-6
THRESHOLD = 0.5
LOUD, LOW = 0.85, 0.15
"""Scores so far from the threshold that no resampling of a browser matters."""
SILENCES_S = (2.0, 2.6, 3.7, 2.3, 4.4)
"""Of different lengths, so that the detections can be told from each other by what lies between them."""
SOUND_S = 1.4

READY = "document.getElementById('listen-status').textContent"
STREAMED = """(async () => {
  const { loadDetector } = await import("./detector.js");
  const { detector } = await loadDetector();
  %s.forEach((threshold, word) => detector.setThreshold(word, threshold));
  const pcm = new Int16Array(Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0)).buffer);
  const samples = Float32Array.from(pcm, (value) => value / 32768);
  const hops = [];
  const sizes = %s;
  for (let at = 0, n = 0; at < samples.length; at += sizes[n++ %% sizes.length])
    hops.push(...await detector.push(samples.slice(at, at + sizes[n %% sizes.length])));
  return hops;
})()"""
OVERFLOWS = """[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 80))"""
NAMELESS = """[...document.querySelectorAll("button, input, select, audio")].filter(e => !e.textContent.trim()
  && !e.labels?.length && !e.controls && !e.ariaLabel).map(e => e.outerHTML.slice(0, 80))"""


UNABLE = """(original => {
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    if (this.sampleRate === 16000) throw new DOMException("another sample rate", "NotSupportedError");
    return original.call(this, stream);
  };
})(AudioContext.prototype.createMediaStreamSource)"""
"""As Firefox does."""


def wait_until(tab: Tab, expression: str) -> Any:
    """The value of an expression once it is true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (value := tab.ask(expression)):
        assert time.monotonic() < deadline_s, (expression, tab.ask(READY), tab.complaints())
        time.sleep(0.1)
    return value


def pcm16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    return np.round(np.clip(samples, -1, 0.999) * 32768).astype(np.int16)


@pytest.mark.parametrize("sizes", [[1600], [160, 7, 4801, 0, 20_000], [200_000]])
@pytest.mark.parametrize("tta", [False, True], ids=["plain", "averaged"])
def test_given_samples_the_page_fires_exactly_as_python(
    server: SiteServer, bundle: Bundle, changing_sound: Any, tmp_path: Path, sizes: list[int], tta: bool
) -> None:
    """Two words of one front end and one of another, in one pass; each with scores clear of its thresholds."""
    words = [bundle, *_others(bundle)]
    server.site = make_site(words, tta)
    sound = pcm16(changing_sound(45.0, seed=1))
    scores = [HopScorer(word, tta).push(sound) for word in words]
    thresholds = [_clear_threshold(track) for track in scores]
    expected = Detector(words, thresholds, tta).push(sound)
    assert all(len([d for d in expected if d.label == word.info.label]) >= 3 for word in words)
    with chromium(tmp_path / "profile") as tab:
        tab.open(server.url, 1000)
        data = base64.b64encode(sound.tobytes()).decode()
        hops = tab.ask(STREAMED % (json.dumps(thresholds), data, json.dumps(sizes)))
        assert tab.complaints() == []
    for number, word in enumerate(words):
        mine = [hop for hop in hops if hop["word"] == number]
        found = [d for d in expected if d.label == word.info.label]
        assert [hop["score"] for hop in mine] == pytest.approx(scores[number].tolist(), abs=1e-4)
        assert [hop["time_s"] for hop in mine if hop["fired"]] == [d.time_s for d in found]
        assert [hop["peak"] for hop in mine if hop["fired"]] == pytest.approx([d.score for d in found], abs=1e-4)


def _others(bundle: Bundle) -> list[Bundle]:
    """The same network with another temperature and hop, and behind another front end."""
    slow = replace(bundle.info, label="selam", temperature=2.5, detector=DetectorConfig(hop_s=0.16))
    frontend = FrontendConfig(low_hz=100.0)
    cmvn = replace(bundle.info.cmvn, frontend=frontend.digest())
    deep = replace(bundle.info, label="merhaba", frontend=frontend, cmvn=cmvn)
    return [Bundle(bundle.path, seal(bundle.data, info.to_json())) for info in (slow, deep)]


def _clear_threshold(scores: NDArray[np.float64]) -> float:
    """A threshold that no score comes near, nor its release."""
    return next(t for t in np.arange(0.55, 0.9, 0.001).tolist() if np.abs(scores[:, None] - [t, t - 0.1]).min() > 5e-4)


@pytest.fixture(scope="module")
def microphone(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV that fires, after silences of different lengths, by sounds on which the network is sure."""
    loud, low = (_steady(bundle, sure) for sure in (lambda s: s > LOUD, lambda s: s < LOW))
    parts = [low(1.0)]
    for silence_s in SILENCES_S:
        parts += [low(silence_s), loud(SOUND_S)]
    path = tmp_path_factory.mktemp("microphone") / "microphone.wav"
    soundfile.write(path, pcm16(np.concatenate([*parts, low(3.0)])), SAMPLE_RATE)
    return path


def _steady(bundle: Bundle, sure: Callable[[NDArray[np.float64]], Any]) -> Callable[[float], NDArray[np.float64]]:
    """A tone in noise, of any length, on which every score is sure."""
    for seed in range(500):
        rng = np.random.default_rng(seed)
        frequency_hz, loudness, hiss = rng.uniform(100, 6000), 10 ** rng.uniform(-2, -0.5), 10 ** rng.uniform(-3.5, -2)

        def make(
            duration_s: float, frequency_hz: float = frequency_hz, loudness: float = loudness, hiss: float = hiss
        ) -> NDArray[np.float64]:
            times_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
            noise = np.random.default_rng(42).normal(0, hiss, times_s.size)
            return loudness * np.sin(2 * np.pi * frequency_hz * times_s) + noise

        if np.all(sure(HopScorer(bundle).push(make(4.0)))):
            return make
    pytest.fail("no steady sound of which the network is sure")


def as_microphone(path: Path) -> tuple[str, ...]:
    return (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}%noloop",
    )


@pytest.mark.parametrize("prepared", ["true", UNABLE], ids=["resampled-by-the-browser", "resampled-by-the-page"])
def test_a_wav_as_the_microphone_fires_when_python_fires(
    site: dict[str, bytes], server: SiteServer, bundle: Bundle, microphone: Path, tmp_path: Path, prepared: str
) -> None:
    """The microphone starts at an unknown moment: the hops of Python are moved to every place they could have."""
    sound, _ = soundfile.read(microphone, dtype="int16")
    with chromium(tmp_path / "profile", *as_microphone(microphone)) as tab:
        tab.open(server.url, 1000)
        wait_until(tab, f"{READY} === 'Ready.'")
        tab.ask(prepared)
        tab.ask("document.getElementById('listen').click()")
        count = "document.querySelectorAll('#detections li').length"
        wait_until(tab, f"{count} >= {len(SILENCES_S)}")
        time.sleep(2.0)  # nothing more may come
        found = tab.ask("[...document.querySelectorAll('#detections li')].map(e => Number(e.dataset.timeS)).reverse()")
        assert tab.ask(READY) == "Listening."
        tab.ask("document.getElementById('listen').click()")
        wait_until(tab, f"{READY} === 'Stopped.'")
        assert tab.complaints() == []
        assert {address.partition(server.url)[2] for address in tab.requests()} <= {"", *site, "favicon.ico"}
    fits = []
    for shift in range(0, round(HOP_S * SAMPLE_RATE), 80):
        expected = [d.time_s for d in Detector(bundle, THRESHOLD).push(sound[shift:])]
        fits.append(_fits(found, expected))
    assert len(found) == len(SILENCES_S)
    assert any(fits)


def _fits(found: list[float], expected: list[float]) -> bool:
    """Whether one delay brings each detection to within a hop of its own."""
    if len(found) != len(expected):
        return False
    delays = np.array(found) - expected
    return bool(np.ptp(delays) <= 2 * HOP_S + ROUNDING_S)


def test_the_threshold_is_moved_and_brought_back(server: SiteServer, bundle: Bundle, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as tab:
        tab.open(server.url, 1000)
        wait_until(tab, f"{READY} === 'Ready.'")
        assert float(tab.ask("document.getElementById('threshold-value-0').value")) == bundle.info.threshold
        tab.ask("""(slider => { slider.value = 0.75; slider.dispatchEvent(new Event("input")); })(
          document.getElementById("threshold-0"))""")
        assert float(tab.ask("document.getElementById('threshold-value-0').value")) == 0.75
        tab.ask("document.getElementById('threshold-reset-0').click()")
        assert float(tab.ask("document.getElementById('threshold-value-0').value")) == bundle.info.threshold


def test_a_refused_microphone_is_said_in_words(server: SiteServer, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile", "--deny-permission-prompts") as tab:
        tab.open(server.url, 1000)
        wait_until(tab, f"{READY} === 'Ready.'")
        tab.ask("document.getElementById('listen').click()")
        assert "icrophone" in wait_until(tab, f"{READY} !== 'Ready.' && {READY}")
        assert tab.ask("document.getElementById('listen').getAttribute('aria-pressed')") == "false"


def test_recorded_takes_are_a_data_set(server: SiteServer, microphone: Path, tmp_path: Path) -> None:
    takes = "document.querySelectorAll('#takes li').length"
    with chromium(tmp_path / "profile", *as_microphone(microphone)) as tab:
        tab.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "downloads"))
        tab.open(server.url, 1000)
        wait_until(tab, f"{READY} === 'Ready.'")
        tab.ask("""for (const [name, value] of Object.entries({ speaker: "Zoë, the 1st", count: 3, seconds: 0.5 }))
          document.getElementById(name).value = value""")
        tab.ask("document.getElementById('record-start').click()")
        wait_until(tab, "document.getElementById('countdown').textContent === 'Done.'")
        assert tab.ask(takes) == 3
        assert tab.ask("document.querySelector('audio').duration || 0.5") == pytest.approx(0.5, abs=0.01)
        tab.ask("document.querySelector('#takes li:nth-child(2) button').click()")
        assert tab.ask(takes) == 2
        tab.ask("document.getElementById('download').click()")
        archive = tmp_path / "downloads" / "günaydın.zip"
        deadline_s = time.monotonic() + PATIENCE_S
        while not archive.exists() and time.monotonic() < deadline_s:
            time.sleep(0.1)
        assert tab.complaints() == []
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "data")
    recordings = load_manifests([tmp_path / "data" / "manifest.csv"])
    assert [(r.label, r.speaker_id, r.duration_s, r.kind) for r in recordings] == [
        ("günaydın", "Zoë, the 1st", 0.5, "keyword")
    ] * 2
    for recording in recordings:
        samples, rate_hz = soundfile.read(recording.file)
        assert (rate_hz, samples.shape) == (SAMPLE_RATE, (8000,))
        assert np.abs(samples).max() > 0.001


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, False), (360, True)])
def test_how_it_looks(bundle: Bundle, server: SiteServer, tmp_path: Path, width: int, dark: bool) -> None:
    """Nothing to complain of, nothing sticks out even with the longest of words, every control has a name."""
    long = replace(bundle.info, label="a-word-without-any-space" * 8)
    server.site = make_site([bundle, Bundle(bundle.path, seal(bundle.data, long.to_json()))])
    with chromium(tmp_path / "profile") as tab:
        tab.open(server.url, width, dark)
        wait_until(tab, f"{READY} === 'Ready.'")
        assert tab.complaints() == []
        assert tab.ask("document.documentElement.scrollWidth") <= width
        assert tab.ask(OVERFLOWS) == []
        assert tab.ask(NAMELESS) == []
        ground = tab.ask("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(16, 19, 23)" if dark else "rgb(246, 247, 248)")
