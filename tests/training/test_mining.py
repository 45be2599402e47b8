"""Alarms planted in recordings are found where they are; the rest of a scan is added up by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.cache import FeatureCache
from uyan.data.probe import content_sha1
from uyan.errors import AudioError, TrainingError
from uyan.frontend import FrontendConfig, log_mel
from uyan.model.network import Network, NetworkConfig
from uyan.training.config import MiningConfig
from uyan.training.dense import ScanSource
from uyan.training.mining import scan, scan_audio, weights_digest
from uyan.training.scan_tasks import AudioSource

WINDOW = 100
QUIET = -6.0


class LastFrame(Network):
    """A network whose margin is what the first mel holds in the window's last frame."""

    def __init__(self) -> None:
        super().__init__(NetworkConfig(size="small"), mels=64, window_frames=WINDOW)

    def forward(self, features: Tensor) -> Tensor:
        margin = features[:, 0, WINDOW - 1 :: 2]
        return torch.stack([torch.zeros_like(margin), margin], dim=1)


A, B, C = (letter * 40 for letter in "abc")


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "features", FrontendConfig(), 0.0)


def store(cache: FeatureCache, key: str, frames: int, margins: dict[int, float]) -> ScanSource:
    """A recording in which the window that starts at each given frame has that margin."""
    features = np.full((64, frames), QUIET, np.float32)
    for start, margin in margins.items():
        features[0, start + WINDOW - 1] = margin
    cache.put(key, features)
    return ScanSource(key, f"{key[0]}.wav")


def sigmoid(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


def test_planted_alarms_are_found_where_they_are(cache: FeatureCache) -> None:
    margins = {40: 1.0, 60: 2.0, 160: 0.5, 5998: -0.5, 6100: 3.0, 12_900: 1.5}
    sources = [store(cache, A, 13_000, margins), store(cache, B, 500, {}), store(cache, C, 300, {0: 0.25})]
    network, steps = LastFrame(), []
    found = scan(network, cache, sources, MiningConfig(), 2, lambda *step: steps.append(step))
    windows = [(w.key, w.start, w.path) for w in found.windows]
    assert windows == [
        (A, 6100, "a.wav"),
        (A, 60, "a.wav"),  # one window length takes in the alarm at 40, not the one at 160
        (A, 12_900, "a.wav"),
        (A, 160, "a.wav"),
        (C, 0, "c.wav"),
        (A, 5998, "a.wav"),
    ]
    assert [w.score for w in found.windows] == pytest.approx([sigmoid(m) for m in (3.0, 2.0, 1.5, 0.5, 0.25, -0.5)])
    assert {(w.round, w.model) for w in found.windows} == {(2, weights_digest(network))}
    assert (found.round, found.model, found.found, found.recordings) == (2, weights_digest(network), 6, 3)
    assert found.scanned_s == pytest.approx(138.0 + 3 * 0.015)
    assert steps == [("mining", 0, 3), ("mining", 3, 3)]  # one packet


def test_the_histogram_counts_seconds_by_their_highest_score(cache: FeatureCache) -> None:
    source = store(cache, A, 7_000, {0: 0.0, 98: 4.0, 100: -6.0, 250: -1.0, 6_800: 0.1})
    found = scan(LastFrame(), cache, [source], MiningConfig())
    assert sum(found.histogram) == 70  # 3,451 windows, 50 of them start in a second
    assert {place: count for place, count in enumerate(found.histogram) if count} == {0: 67, 5: 1, 10: 1, 19: 1}


def test_only_scores_above_the_threshold_count_and_only_the_best_are_kept(cache: FeatureCache) -> None:
    source = store(cache, A, 2_000, {200 * n: n / 4 - 1 for n in range(9)})
    found = scan(LastFrame(), cache, [source], MiningConfig(threshold=sigmoid(-0.5), max_windows=3))
    assert found.found == 6
    assert [w.start for w in found.windows] == [1600, 1400, 1200]


def test_equal_scores_rank_by_key_and_start_whatever_the_order(cache: FeatureCache) -> None:
    sources = [store(cache, key, 400, {0: 1.0, 200: 1.0}) for key in (B, A)]
    for order in (sources, sources[::-1]):
        found = scan(LastFrame(), cache, order, MiningConfig(max_windows=3))
        assert [(w.key, w.start) for w in found.windows] == [(A, 0), (A, 200), (B, 0)]


def test_a_short_recording_is_heard_in_its_padding(cache: FeatureCache) -> None:
    features = np.full((64, 98), QUIET, np.float32)
    features[0, 60] = 2.0  # the last frame of the window from −38, before the padding begins, and of no other
    features[0, 83] = 1.0  # of the window from −16
    cache.put(A, features)
    (window,) = scan(LastFrame(), cache, [ScanSource(A, "a.wav")], MiningConfig()).windows
    assert (window.start, window.offset_s) == (-16, pytest.approx(-0.16))
    assert window.score == pytest.approx(sigmoid(1.0))


def test_a_scan_repeats_bit_for_bit_and_leaves_the_network_as_it_was(network: Network, cache: FeatureCache) -> None:
    rng = np.random.default_rng(42)
    for number, frames in enumerate((50, 98, 700, 6_500, 149)):
        cache.put(f"{number:040x}", rng.normal(-8, 3, (64, frames)).astype(np.float32))
    sources = [ScanSource(f"{number:040x}", "") for number in range(5)]
    first = scan(network, cache, sources, MiningConfig(threshold=0.1))
    assert first.found > 5
    network.train()
    try:
        assert scan(network, cache, sources, MiningConfig(threshold=0.1)) == first
        assert network.training
    finally:
        network.eval()


def test_audio_files_give_what_their_cached_features_give(
    network: Network, cache: FeatureCache, tmp_path: Path
) -> None:
    rng, files, sources = np.random.default_rng(42), [], []
    for name, duration_s, rate_hz in (("long.flac", 130.0, SAMPLE_RATE), ("short.wav", 0.7, 44_100)):
        sound = (
            0.1 * rng.normal(size=round(duration_s * rate_hz)) * np.sin(np.arange(round(duration_s * rate_hz)) / 3000)
        )
        soundfile.write(str(tmp_path / name), sound, rate_hz)
        samples = read(tmp_path / name)
        cache.put(content_sha1(samples), log_mel(samples, cache.config))
        files.append(AudioSource(tmp_path / name, name, duration_s))
        sources.append(ScanSource(content_sha1(samples), name))
    config = MiningConfig(threshold=0.02)
    cached, heard = scan(network, cache, sources, config), scan_audio(network, cache.config, files, config)
    assert cached.found > 5
    assert (heard.scanned_s, heard.recordings) == (cached.scanned_s, 2)
    scores = {(w.key, w.path, w.start): w.score for w in cached.windows}
    same = [w for w in heard.windows if (w.key, w.path, w.start) in scores]
    assert len(same) > 0.9 * cached.found  # rounded scores may give the next window the precedence
    assert sources[1].key in {w.key for w in same}  # padded alike
    assert [w.score for w in same] == pytest.approx([scores[w.key, w.path, w.start] for w in same], abs=1e-2)


def test_audio_without_a_frame_is_refused(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "click.wav"), np.ones(399) / 2, SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"click\.wav: shorter than 25 ms"):
        scan_audio(
            LastFrame(), FrontendConfig(), [AudioSource(tmp_path / "click.wav", "click.wav", 0.02)], MiningConfig()
        )


def test_a_score_that_is_no_number_stops_the_scan(cache: FeatureCache) -> None:
    source = store(cache, A, 400, {100: float("nan")})
    with pytest.raises(TrainingError, match=r"a\.wav: the network's score is not a number"):
        scan(LastFrame(), cache, [source], MiningConfig())


def test_nothing_to_scan_finds_nothing(cache: FeatureCache) -> None:
    found = scan(LastFrame(), cache, [], MiningConfig())
    assert (found.windows, found.found, found.scanned_s, found.recordings, sum(found.histogram)) == ((), 0, 0.0, 0, 0)


def test_the_digest_is_that_of_the_weights() -> None:
    one, other = LastFrame(), LastFrame()
    other.load_state_dict(one.state_dict())
    assert weights_digest(one) == weights_digest(other)
    with torch.no_grad():
        other.head.weight[0, 0] += 1e-7
    assert weights_digest(one) != weights_digest(other)
    assert len(weights_digest(one)) == 16
