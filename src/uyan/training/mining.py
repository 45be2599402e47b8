"""Hard-negative mining: a dense pass over negative recordings, and the windows in them that score like the keyword.

A function of weights, recordings and configuration alone, in bounded memory, whichever engine scans: whoever is killed
in the middle scans again and finds the same. It knows nothing of training or of what becomes of the windows.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from uyan.data.cache import FeatureCache
from uyan.data.pool import Scan, joined
from uyan.engine.parallel import Progress, run_tasks, silent
from uyan.engine.task_map import Lost
from uyan.errors import DataError
from uyan.frontend import HOP_S, FrontendConfig
from uyan.model.network import Network
from uyan.storage.location import Location
from uyan.training.config import MiningConfig
from uyan.training.dense import ScanSource
from uyan.training.scan_tasks import AudioScan, AudioSource, CachedScan, Scanned, ScanTask, Source, carried, packets_of
from uyan.training.tally import HISTOGRAM_BINS

STAGE = "mining"
CACHED_ALONE_S, AUDIO_ALONE_S = 24 * 3600.0, 6 * 3600.0
"""Less than this, some ten seconds of work, and starting processes costs more than they save."""
JOINED_AT_ONCE = 64


def scan(
    network: Network,
    cache: FeatureCache,
    sources: Sequence[ScanSource],
    config: MiningConfig,
    number: int = 1,
    progress: Progress = silent,
    workers: int | None = None,
    mark: Path | None = None,
) -> Scan:
    """What the network takes for the keyword in cached recordings; `number` is that of the round.

    Recordings shorter than one and a half windows are padded as in training (`uyan.training.dense.cut`); `mark` as
    in `run_tasks`. Raises TrainingError for a score that is not a number, and DataError where features are missing.
    """

    def lost(source: ScanSource, why: Lost) -> None:
        raise DataError(f"{source.path}: {why.reason} while its features were scanned; leave it out")

    task = CachedScan(carried(network), weights_digest(network), number, config, cache.shards)
    seconds = (HOP_S * cache.lengths([source.key for source in sources])).tolist()
    return _scan(task, sources, seconds, CACHED_ALONE_S, progress, workers, lost, lambda source, key: None, mark)


def scan_audio(
    network: Network,
    frontend: FrontendConfig,
    sources: Sequence[AudioSource],
    config: MiningConfig,
    number: int = 1,
    progress: Progress = silent,
    hashed: Callable[[Location, str], None] | None = None,
    workers: int | None = None,
    lost: Callable[[AudioSource, Lost], None] | None = None,
    mark: Path | None = None,
) -> Scan:
    """`scan`, straight from audio files of any length, with the result it has from the cache, to its half precision.

    Keys are content hashes, as in the cache, where only those files need features that the pool names; `hashed` is told
    that of every file. A file that kills whoever scans it is left out, and `lost` told why; without it, it is a
    DataError. Raises AudioError, naming the file, for one that cannot be decoded or has no frame, StorageError for one
    that cannot be had.
    """

    def refuse(source: AudioSource, why: Lost) -> None:
        raise DataError(f"{source.file}: {why.reason} while it was scanned; take it off the list of files to scan")

    def told(source: AudioSource, key: str) -> None:
        if hashed:
            hashed(source.file, key)

    task = AudioScan(carried(network), weights_digest(network), number, config, frontend)
    seconds = [source.duration_s for source in sources]
    return _scan(task, sources, seconds, AUDIO_ALONE_S, progress, workers, lost or refuse, told, mark)


def _scan(
    task: ScanTask[Source],
    sources: Sequence[Source],
    seconds: Sequence[float],
    alone_s: float,
    progress: Progress,
    workers: int | None,
    lost: Callable[[Source, Lost], None],
    keyed: Callable[[Source, str], None],
    mark: Path | None,
) -> Scan:
    scans = [Scan((), 0, 0.0, 0.0, 0, (0,) * HISTOGRAM_BINS, task.number, task.model)]
    packets, done = packets_of(sources, seconds), 0
    least = 2 if sum(seconds) >= alone_s else len(packets) + 1
    progress(STAGE, 0, len(sources))
    with closing(_scanned(task, packets, workers, least, lost, mark)) as found:
        for packet, scanned in found:
            if scanned is not None:
                scans.append(scanned.scan)
                for source, key in zip(packet, scanned.keys, strict=True):
                    keyed(source, key)
            if len(scans) >= JOINED_AT_ONCE:
                scans = [joined(scans, task.config.max_windows)]
            done += len(packet)
            progress(STAGE, done, len(sources))
    return joined(scans, task.config.max_windows)


def _scanned(
    task: ScanTask[Source],
    packets: Sequence[Sequence[Source]],
    workers: int | None,
    least: int,
    lost: Callable[[Source, Lost], None],
    mark: Path | None = None,
) -> Generator[tuple[Sequence[Source], Scanned | None], None, None]:
    """Packets with what was found in them, in order; one that kills whoever scans it comes recording by recording."""
    results: Generator[Scanned | Lost, None, None] = run_tasks(
        STAGE, task, packets, workers, lost=lambda packet, why: why, least=least, mark=mark
    )
    with closing(results):
        for packet, result in zip(packets, results, strict=True):
            if not isinstance(result, Lost):
                yield packet, result
            elif len(packet) > 1:
                yield from _scanned(task, [(source,) for source in packet], workers, 0, lost)
            else:
                lost(packet[0], result)
                yield packet, None


def weights_digest(network: Network) -> str:
    """First 16 hex digits of the sha256 of the network's weights and statistics."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
