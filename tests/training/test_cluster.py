"""Extraction and mining on a cluster of several nodes: one is lost, is full, or has another uyan."""

import errno
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.cache import Extraction, FeatureCache, Job, _extract_one, extract
from uyan.data.probe import content_sha1
from uyan.data.shards.shard_writer import ShardWriter
from uyan.engine import parallel, ray_cluster
from uyan.engine.ray_jobs import ray_jobs
from uyan.engine.ray_tasks import ray_map
from uyan.errors import ClusterError, DataError, ShardError
from uyan.frontend import FrontendConfig
from uyan.model.network import Network
from uyan.training import scan_tasks
from uyan.training.config import MiningConfig
from uyan.training.dense import ScanSource
from uyan.training.mining import scan, scan_audio
from uyan.training.scan_tasks import AudioSource

ray = pytest.importorskip("ray", reason="needs uyan[ray]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
FILES, LENGTH_S = 70, 20.0
CONFIG = MiningConfig(threshold=0.02)
HERE = platform.node()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """Files and their content hashes."""
    folder, rng, found = tmp_path_factory.mktemp("audio"), np.random.default_rng(42), []
    for number in range(FILES):
        sound = 0.01 * rng.normal(size=round(LENGTH_S * SAMPLE_RATE)) * np.sin(np.arange(LENGTH_S * SAMPLE_RATE) / 3000)
        soundfile.write(folder / f"{number}.flac", sound, SAMPLE_RATE)
        found.append((folder / f"{number}.flac", content_sha1(read(folder / f"{number}.flac"))))
    return found


@pytest.fixture(scope="module")
def cached(sources: list[tuple[Path, str]], tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """What this process extracts."""
    cache = FeatureCache(tmp_path_factory.mktemp("here"), FrontendConfig(), 0.0)
    extract(sources, cache, workers=1)
    return cache


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and two nodes, each a tree of processes of its own, with a core each; the engine in the meantime."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    token = parallel._engine.set(parallel.Engine(ray_map, ray_jobs, ray_cluster.cluster_cores))
    yield made
    parallel._engine.reset(token)
    ray.shutdown()
    made.shutdown()


def losing_a_node(cluster: Any, after: int) -> Callable[[str, int, int], None]:
    """A Progress that kills one in the middle."""

    def progress(stage: str, done: int, total: int) -> None:
        if after <= done < total and len(cluster.worker_nodes) == 2:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    return progress


def test_a_node_is_lost_and_every_output_is_the_same(
    cluster: Any,
    sources: list[tuple[Path, str]],
    cached: FeatureCache,
    network: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parallel.cores() == (3, 1)
    cache = FeatureCache(tmp_path, FrontendConfig(), 0.0)
    assert extract(sources, cache, progress=losing_a_node(cluster, 8)) == FILES
    assert len(cluster.worker_nodes) == 1
    for _, sha1 in sources:
        np.testing.assert_array_equal(cache.read(sha1), cached.read(sha1))
    cluster.add_node(num_cpus=1)
    monkeypatch.setattr(scan_tasks, "PACKET_S", 3 * LENGTH_S)
    named = [AudioSource(file, file.name, LENGTH_S) for file, _ in sources]
    found = scan_audio(network, cache.config, named, CONFIG, progress=losing_a_node(cluster, 6))
    assert len(cluster.worker_nodes) == 1
    token = parallel._engine.set(parallel.HERE)
    assert found == scan_audio(network, cache.config, named, CONFIG, workers=1)
    parallel._engine.reset(token)
    assert found.found > 5 and found.recordings == FILES


class FullDisk(Extraction):
    """An extraction on nodes without room."""

    @contextmanager
    def packet(self) -> Iterator[Callable[[Job], str | None]]:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with patch.object(ShardWriter, "_append", side_effect=full), super().packet() as each:
            yield each


def test_errors_name_the_node_and_the_file_and_the_same_call_goes_on(
    cluster: Any, sources: list[tuple[Path, str]], cached: FeatureCache, network: Network, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path, FrontendConfig(), 0.0)
    extract(sources[:30], cache)
    task = FullDisk(_extract_one, cache.folder, cache.config)
    with pytest.raises(ShardError, match=rf"\.f16: cannot be written \(No space left .*goes on \(on node {HERE}\)$"):
        list(parallel.run_tasks("features", task, [Job(*source) for source in sources[30:]]))
    assert extract(sources, cache) == FILES - 30
    names = [ScanSource(sha1, file.name) for file, sha1 in sources]
    whole = scan(network, cache, names, CONFIG)
    assert whole.windows == scan(network, cached, names, CONFIG).windows
    shard = max(cache.folder.glob("*.f16"), key=lambda file: file.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[1000] ^= 255
    shard.write_bytes(content)
    with pytest.raises(DataError, match=rf"{shard.name}.*\(on node {HERE}\)$"):
        scan(network, FeatureCache(tmp_path, FrontendConfig(), 0.0), names, CONFIG)
    assert extract(sources, FeatureCache(tmp_path, FrontendConfig(), 0.0)) > 0
    assert scan(network, FeatureCache(tmp_path, FrontendConfig(), 0.0), names, CONFIG) == whole


def test_nodes_with_another_uyan_are_named(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ray_cluster.require_same_versions()
    there = importlib.metadata.version("uyan")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    expected = rf"^node {HERE} \(.*\) has Python .* and uyan {there}, this computer Python .* and uyan 9\.9; install"
    with pytest.raises(ClusterError, match=expected):
        ray_cluster.require_same_versions()
