"""A packet of negative recordings scanned by a network: what an engine gives to its workers, and what comes back.

What it finds is a function of the weights, the packet and the configuration alone: the network computes on the CPU with
one thread, in whatever process and on whatever computer, since sums come out in another order with more of them. It
knows nothing of who scans the other packets.
"""

import hashlib
import pickle
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from uyan.audio import INT16_SCALE
from uyan.audio_file import stream
from uyan.data.pool import Scan
from uyan.data.shards.shard_folder import ShardFolder
from uyan.engine.parallel import ahead
from uyan.engine.task_map import PacketTask
from uyan.errors import AudioError
from uyan.frontend import Features, FrontendConfig, StreamingFrontend
from uyan.model.folding import folded
from uyan.model.network import Network
from uyan.storage.access import Readable, begun
from uyan.storage.location import Location
from uyan.torch_threads import torch_threads
from uyan.training.config import MiningConfig
from uyan.training.dense import Piece, ScanSource, cached_blocks, cut, dense_margins
from uyan.training.tally import Tally

PACKET_S = 1_800.0
"""Audio of a packet: a third of a second from the cache, one from files."""


class AudioSource(NamedTuple):
    """A file to pass over."""

    file: Location
    path: str
    """As people know it."""
    duration_s: float
    """As its manifest announces it: packets are made by that, and nothing else depends on it."""


class Scanned(NamedTuple):
    """What a packet gave."""

    scan: Scan
    keys: tuple[str, ...]
    """Content hash of each recording, in order."""


Source = TypeVar("Source", ScanSource, AudioSource)
Pieces = Iterator[tuple[ScanSource, Piece]]


def packets_of(sources: Iterable[Source], seconds: Iterable[float]) -> list[tuple[Source, ...]]:
    """Sources in packets of up to `PACKET_S`, one that is longer alone; they depend on nothing else.

    >>> [len(packet) for packet in packets_of([ScanSource("", "")] * 5, [900, 900, 1, 4000, 5])]
    [2, 1, 1, 1]
    """
    packets: list[tuple[Source, ...]] = []
    waiting: list[Source] = []
    held_s = 0.0
    for source, source_s in zip(sources, seconds, strict=True):
        if waiting and held_s + source_s > PACKET_S:
            packets.append(tuple(waiting))
            waiting, held_s = [], 0.0
        waiting.append(source)
        held_s += source_s
    if waiting:
        packets.append(tuple(waiting))
    return packets


@dataclass(frozen=True)
class ScanTask(PacketTask[Sequence[Source], Scanned]):
    """Scans packets with one network; the network travels with it."""

    network: bytes
    """As `carried` packs it."""
    model: str
    number: int
    """Both as in `HardNegative`."""
    config: MiningConfig

    @abstractmethod
    def pieces(self, sources: Sequence[Source], window_frames: int) -> Pieces:
        """The sources' features, cut for the network."""

    @contextmanager
    def packet(self) -> Iterator[Callable[[Sequence[Source]], Scanned]]:
        """See `PacketTask`."""
        network: Network = pickle.loads(self.network)
        yield lambda sources: self._scanned(network, sources)

    def _scanned(self, network: Network, sources: Sequence[Source]) -> Scanned:
        tally = Tally(self.config, network.window_frames, self.number, self.model)
        with torch_threads(1):
            for margins in dense_margins(network, self.pieces(sources, network.window_frames)):
                tally.take(margins)
        return Scanned(tally.scan(), tuple(tally.keys))


def carried(network: Network) -> bytes:
    """A network for the CPU of any process of this run, its batch norms folded; never kept in a file."""
    return pickle.dumps(folded(network).cpu())


@dataclass(frozen=True)
class CachedScan(ScanTask[ScanSource]):
    """Scans recordings whose features are cached."""

    shards: ShardFolder

    def pieces(self, sources: Sequence[ScanSource], window_frames: int) -> Pieces:
        """See `ScanTask`. Raises DataError where features are missing."""
        for source in sources:
            for piece in cut(cached_blocks(self.shards, source.key), window_frames):
                yield source, piece


@dataclass(frozen=True)
class AudioScan(ScanTask[AudioSource]):
    """Scans audio files, of any length, in constant memory."""

    frontend: FrontendConfig

    def pieces(self, sources: Sequence[AudioSource], window_frames: int) -> Pieces:
        """See `ScanTask`. Raises AudioError, naming the file, for one that cannot be decoded or has no frame."""
        # The next files' beginnings are fetched meanwhile, where they are remote.
        for source, ready in zip(sources, ahead(begun, (source.file for source in sources)), strict=True):
            digest = hashlib.sha1()
            for piece in cut(audio_blocks(ready, self.frontend, digest.update), window_frames):
                key = "" if piece.total is None else digest.hexdigest()
                yield ScanSource(key, source.path), piece


def audio_blocks(file: Readable, config: FrontendConfig, update: Callable[[bytes], None]) -> Iterator[Features]:
    """Features (mels, frames) of a file, block by block, its 16-bit PCM told to `update` as for the content hash."""
    frontend, frames = StreamingFrontend(config), 0
    for samples in stream(file):
        update(np.clip(np.rint(samples * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1).astype("<i2").tobytes())
        features = frontend.push(samples)
        frames += features.shape[1]
        if features.shape[1]:
            yield features
    if not frames:
        raise AudioError(f"{file}: shorter than 25 ms; take it off the list of files to scan")
