"""One decoding pass over a recording: content hash, levels, clipping, silence, and the fingerprint.

`ProbeCache` keeps the probes of files that have not changed since, in one Parquet file. It knows nothing of
manifests, and does not judge: what is fit for use is for `check` to say.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from uyan.audio import INT16_SCALE, SAMPLE_RATE, Samples
from uyan.audio_file import header, read, stream
from uyan.data.duplicates.fingerprint import DIMS, Fingerprint, fingerprint
from uyan.errors import AudioError, DataError
from uyan.files import replacing
from uyan.frontend import HOP_SAMPLES, FrontendConfig, log_mel
from uyan.storage.access import Stamp
from uyan.storage.location import Location

HEADER_TOLERANCE_S = 0.05
HEADER_TOLERANCE_SHARE = 0.02
"""A header says exactly how much was written: when more than the larger of these is missing, the file was cut."""
CLIPPING_PEAK = 0.98
CLIPPING_RANGE = 0.999
"""Samples at least this large, relative to the peak, stand at the rail."""
CLIPPING_RUN_SAMPLES = 3
"""That many in a row are a flat top, not a crest."""
SILENCE_PEAK = 1e-3
"""-60 dBFS."""
STREAMED_BYTES = 0x7FFF_0000
"""Programs that write to a pipe announce at least this many bytes, not knowing better."""
CACHE_EVERY_FILES = 2_000
CACHE_VERSION = f"2-{FrontendConfig().digest()}"
"""Probes of another version are measured anew; raise the number when a probe's meaning changes."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one decoding pass says about a recording."""

    content_sha1: str
    """Of the mono 16 kHz audio as little-endian int16: equal for equal audio in any lossless container."""
    duration_s: float
    peak: float
    """Largest magnitude; 1.0 is full scale."""
    rms_db: float
    """dB relative to full scale."""
    clipped_share: float
    """Share of the samples that stand in flat tops at full scale."""
    silent_share: float
    """Share of the 10 ms blocks whose peak lies below -60 dBFS."""
    fingerprint: Fingerprint


def probe(samples: Samples) -> Probe:
    """Measure 16 kHz audio of shape (samples,) that is not all zero.

    >>> loud = probe(np.tile(np.float32([1.0, -1.0]), 8000))
    >>> loud.duration_s, loud.peak, loud.rms_db, loud.clipped_share, loud.silent_share
    (1.0, 1.0, 0.0, 1.0, 0.0)
    """
    magnitude = np.abs(samples)
    peak = float(magnitude.max())
    blocks = np.maximum.reduceat(magnitude, np.arange(0, samples.size, HOP_SAMPLES))
    return Probe(
        content_sha1=content_sha1(samples),
        duration_s=samples.size / SAMPLE_RATE,
        peak=peak,
        rms_db=float(10 * np.log10(np.mean(np.square(samples), dtype=np.float64))),
        clipped_share=_clipped_share(magnitude, peak),
        silent_share=float(np.mean(blocks < SILENCE_PEAK)),
        fingerprint=fingerprint(log_mel(samples, FrontendConfig())),
    )


def content_sha1(samples: Samples) -> str:
    """sha1 of the audio as little-endian 16-bit PCM, 40 hex digits (MISSION 1.3); samples of shape (samples,)."""
    return hashlib.sha1(_pcm(samples)).hexdigest()


def file_sha1(path: Location) -> str:
    """`content_sha1` of a file of any length, block by block. Raises AudioError where it cannot be decoded."""
    found = hashlib.sha1()
    for block in stream(path):
        found.update(_pcm(block))
    return found.hexdigest()


def _pcm(samples: Samples) -> bytes:
    pcm: bytes = np.clip(np.rint(samples * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1).astype("<i2").tobytes()
    return pcm


def _clipped_share(magnitude: NDArray[np.float32], peak: float) -> float:
    if peak < CLIPPING_PEAK:
        return 0.0
    railed = np.concatenate([[False], magnitude >= CLIPPING_RANGE * peak, [False]])
    edges = np.flatnonzero(railed[1:] != railed[:-1])
    runs_samples = edges[1::2] - edges[::2]
    return float(runs_samples[runs_samples >= CLIPPING_RUN_SAMPLES].sum() / magnitude.size)


def probe_file(file: Location) -> Probe | str:
    """The probe of a file, or the reason why there is none. Raises StorageError where that is no matter of the file."""
    try:
        result = probe(read(file))
        announced_s = _announced_s(file)
    except (AudioError, OSError) as reason:
        return str(reason).removeprefix(f"{file}: ")
    missing_s = max(HEADER_TOLERANCE_S, HEADER_TOLERANCE_SHARE * announced_s)
    return truncation(result.duration_s, announced_s, missing_s, "the header") or result


def truncation(duration_s: float, announced_s: float, allowed_s: float, source: str) -> str:
    """The reason for quarantine when more than `allowed_s` of what `source` announced is missing; else empty.

    >>> truncation(1.95, 2.0, 0.1, "the header"), truncation(0.5, 2.0, 0.1, "the header")
    ('', 'truncated: 0.500 s of audio, the header announces 2.000 s')
    """
    if duration_s >= announced_s - allowed_s:
        return ""
    return f"truncated: {duration_s:.3f} s of audio, {source} announces {announced_s:.3f} s"


def _announced_s(path: Location) -> float:
    """The duration the header speaks of; libsndfile mends the one of a cut-off WAV or AIFF, but logs that.

    Ogg announces none: there the log says that the file ends inside a page, or without its last one.
    """
    duration_s, log = header(path)
    if re.search(r"Ogg ?: (?:Junk after the last page|Last page lacks)", log):
        raise AudioError("truncated: the file stops before its last Ogg page is complete")
    mended = re.search(r"(?:data|SSND|Data Size) *: *(\d+) \(should be (\d+)\)", log)
    if mended is None:
        return duration_s
    announced_bytes, found_bytes = int(mended[1]), int(mended[2])
    if announced_bytes >= STREAMED_BYTES or found_bytes == 0:
        return duration_s
    return duration_s * announced_bytes / found_bytes


class ProbeCache:
    """Probes by absolute path or URL, good while the file's stamp (its columns size and mtime_ns) stays the same.

    Without a file it remembers nothing. Saved every 2,000 additions, by replacement: an interruption costs
    the probes since.
    """

    _SCHEMA = pl.Schema(
        {
            "version": pl.String,
            "path": pl.String,
            "size": pl.Int64,
            "mtime_ns": pl.Int64,
            "content_sha1": pl.String,
            "duration_s": pl.Float64,
            "peak": pl.Float64,
            "rms_db": pl.Float64,
            "clipped_share": pl.Float64,
            "silent_share": pl.Float64,
            "anchors_frames": pl.Binary,
            "prints": pl.Binary,
        }
    )

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._table = self._SCHEMA.to_frame()
        self._added: list[dict[str, Any]] = []
        if file is not None and file.exists():
            try:
                self._table = pl.read_parquet(file).match_to_schema(self._SCHEMA)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as reason:
                raise DataError(f"{file}: not a cache of checked recordings ({reason}); delete it") from reason
            self._table = self._table.filter(pl.col("version") == CACHE_VERSION)
        self._known = {row["path"]: row for row in self._table.iter_rows(named=True)}

    def get(self, path: str, stamp: Stamp) -> Probe | None:
        """The probe of a file whose stamp is `stamp`, as it was when the cache was opened."""
        row = self._known.get(path)
        if row is None or (row["size"], row["mtime_ns"]) != stamp:
            return None
        anchors = np.frombuffer(row["anchors_frames"], np.int32)
        prints = np.frombuffer(row["prints"], np.float16).reshape(anchors.size, DIMS)
        measured = {name: row[name] for name in Probe.__dataclass_fields__ if name != "fingerprint"}
        return Probe(**measured, fingerprint=Fingerprint(anchors, prints))

    def add(self, path: str, stamp: Stamp, probe: Probe) -> None:
        """Remember a probe; `get` finds it from the next opening on."""
        if self._file is None:
            return
        row = {name: getattr(probe, name) for name in Probe.__dataclass_fields__ if name != "fingerprint"}
        row |= {"version": CACHE_VERSION, "path": path, "size": stamp[0], "mtime_ns": stamp[1]}
        row["anchors_frames"] = probe.fingerprint.anchors_frames.tobytes()
        row["prints"] = probe.fingerprint.prints.tobytes()
        self._added.append(row)
        if len(self._added) >= CACHE_EVERY_FILES:
            self.save()

    def save(self) -> None:
        """Write what was added, if anything."""
        if self._file is None or not self._added:
            return
        added = pl.DataFrame(self._added, self._SCHEMA)
        self._table = pl.concat([self._table, added]).unique("path", keep="last", maintain_order=True)
        self._added.clear()
        with replacing(self._file) as partial:
            self._table.write_parquet(partial)
