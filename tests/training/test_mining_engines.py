"""A scan finds the same, to the last bit, in this process, in a pool and on a cluster; who kills is left out."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch import Tensor

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.cache import FeatureCache
from uyan.data.pool import Scan
from uyan.data.probe import content_sha1
from uyan.engine.parallel import engine
from uyan.errors import DataError
from uyan.frontend import FrontendConfig, log_mel
from uyan.model.network import Network, NetworkConfig
from uyan.training import mining, scan_tasks
from uyan.training.config import MiningConfig
from uyan.training.dense import ScanSource
from uyan.training.mining import scan, scan_audio
from uyan.training.scan_tasks import AudioSource

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
CONFIG = MiningConfig(threshold=0.02)
ENGINES = [
    "local",
    pytest.param("ray", marks=pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs uyan[ray]")),
]


class Deadly(Network):
    """Kills its process where a recording is far louder than any other."""

    def __init__(self) -> None:
        super().__init__(NetworkConfig(size="small"), mels=64, window_frames=100)

    def forward(self, features: Tensor) -> Tensor:
        if float(features.max()) > 3:
            os._exit(9)
        return super().forward(features)


@pytest.fixture(autouse=True)
def small_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setattr(scan_tasks, "PACKET_S", 10.0)
    monkeypatch.setattr(mining, "JOINED_AT_ONCE", 3)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHED_ALONE_S", "AUDIO_ALONE_S"):
        monkeypatch.setattr(mining, name, 0.0)


@pytest.fixture
def sources(tmp_path: Path) -> list[AudioSource]:
    """Sounds of 0.4 to 80 s; the fifth is the loud one."""
    rng, found = np.random.default_rng(42), []
    for number, duration_s in enumerate((3.0, 0.4, 80.0, 5.0, 2.0, 1.3, 7.7, 4.0)):
        sound = rng.normal(size=round(duration_s * SAMPLE_RATE)) * (0.3 if number == 4 else 0.003)
        file = tmp_path / f"{number}.flac"
        soundfile.write(file, sound, SAMPLE_RATE)
        found.append(AudioSource(file, file.name, duration_s))
    return found


@pytest.fixture
def cache(tmp_path: Path, sources: list[AudioSource]) -> FeatureCache:
    cache = FeatureCache(tmp_path / "features", FrontendConfig(), 0.0)
    for source in sources:
        samples = read(source.file)
        cache.put(content_sha1(samples), log_mel(samples, cache.config))
    return cache


def names(cache: FeatureCache, sources: list[AudioSource]) -> list[ScanSource]:
    return [ScanSource(content_sha1(read(source.file)), source.path) for source in sources]


@pytest.mark.parametrize("on", ENGINES)
def test_every_engine_finds_the_same(
    on: str, network: Network, cache: FeatureCache, sources: list[AudioSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[Scan] = []
    alone.append(scan(network, cache, names(cache, sources), CONFIG, 2))
    heard: list[tuple[object, str]] = []
    alone.append(scan_audio(network, cache.config, sources, CONFIG, 2, hashed=lambda *told: heard.append(told)))
    assert all(found.found > 5 and found.recordings == 8 for found in alone)
    for name in ("CACHED_ALONE_S", "AUDIO_ALONE_S"):
        monkeypatch.setattr(mining, name, 0.0)
    there: list[tuple[object, str]] = []
    steps: list[tuple[str, int, int]] = []
    with engine(on):
        assert scan(network, cache, names(cache, sources), CONFIG, 2, workers=2) == alone[0]
        found = scan_audio(
            network, cache.config, sources, CONFIG, 2, lambda *step: steps.append(step),
            lambda *told: there.append(told), workers=2,
        )  # fmt: skip
    assert found == alone[1]
    assert there == heard == [(s.file, n.key) for s, n in zip(sources, names(cache, sources), strict=True)]
    assert steps == [("mining", done, 8) for done in (0, 2, 3, 6, 7, 8)]


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("on", ENGINES)
def test_a_file_that_kills_is_left_out_and_no_other(on: str, sources: list[AudioSource]) -> None:
    deadly, lost = Deadly(), list[tuple[str, str]]()
    others = [source for source in sources if source.path != "4.flac"]
    with engine(on):
        found = scan_audio(
            deadly, FrontendConfig(), sources, CONFIG, workers=2,
            lost=lambda source, why: lost.append((source.path, why.reason)),
        )  # fmt: skip
    assert lost == [("4.flac", "its process died 3 times")]
    assert found.recordings == 7
    calm = scan_audio(deadly, FrontendConfig(), others, CONFIG, workers=1)
    assert found.scanned_s == pytest.approx(calm.scanned_s)
    assert {(w.path, w.start) for w in found.windows} == {(w.path, w.start) for w in calm.windows}


@pytest.mark.usefixtures("processes")
def test_without_another_answer_it_is_an_error_that_names_it(
    cache: FeatureCache, sources: list[AudioSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_tasks, "PACKET_S", 1.0)
    with pytest.raises(DataError, match=r"4\.flac: its process died 3 times while it was scanned; take it off"):
        scan_audio(Deadly(), FrontendConfig(), sources[3:5], CONFIG, workers=2)
    with pytest.raises(DataError, match=r"^4\.flac: its process died 3 times while its features were scanned"):
        scan(Deadly(), cache, names(cache, sources[3:5]), CONFIG, workers=2)
