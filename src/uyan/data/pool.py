"""The hard-negative pool: windows of negative recordings that a network took for the keyword, and where they came from.

Kept on disk as CSV that people can read and that is read back strictly. It knows nothing of networks: scans fill it
(`uyan.training.mining`), batches draw from it (MISSION 1.5).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from uyan.errors import DataError
from uyan.files import replacing
from uyan.frontend import HOP_S

MAX_POOL_BYTES = 256 * 1024**2
MAX_POOL_WINDOWS = 1_000_000
"""A larger file is no pool: the default one has 4,000 windows in half a megabyte."""
MAX_FRAME = 2**31
"""250 days."""
FILES_LISTED = 20
LARGEST_SHARE = 0.8
"""A pool with more than this share of its windows from one file teaches that file."""
COLUMNS = ("key", "start", "path", "offset_s", "score", "round", "model")

_KEY, _MODEL, _VARIANT = (
    re.compile(r"[0-9A-Za-z_-]{1,128}"),
    re.compile(r"[0-9a-f]{16}"),
    re.compile(r" \(variant \d+\)$"),
)
_OFFSET_TOLERANCE_S = HOP_S / 10


@dataclass(frozen=True, slots=True)
class HardNegative:
    """One window of negative material that scored like the keyword."""

    key: str
    """Name of the recording in the feature cache."""
    start: int
    """First frame of the window; negative where a recording shorter than the window was padded."""
    path: str
    """The recording as its manifest names it, a variant followed by " (variant N)"."""
    score: float
    """Of the keyword, uncalibrated (temperature 1), in [0, 1]."""
    round: int
    """Number of the scan that found it, from 1."""
    model: str
    """First 16 hex digits of the sha256 of the weights that found it."""

    @property
    def offset_s(self) -> float:
        """Where the window starts in the recording."""
        return self.start * HOP_S


Pool = tuple[HardNegative, ...]
"""Best first, in the order of `rank`."""


@dataclass(frozen=True)
class Scan:
    """What one pass over negative recordings found."""

    windows: tuple[HardNegative, ...]
    """Those with the highest scores, highest first, `mining.max_windows` at most."""
    found: int
    """Windows above the threshold, deduplicated in time, kept or not."""
    scanned_s: float
    """Audio of recordings passed over, without padding."""
    variants_s: float
    """The same of their variants."""
    recordings: int
    """Without their variants."""
    histogram: tuple[int, ...]
    """Seconds by their highest score, in bins of equal width over [0, 1]."""
    round: int
    model: str
    """Both as in `HardNegative`."""


def joined(scans: Sequence[Scan], max_windows: int) -> Scan:
    """Several passes of one network, over different recordings, as one."""
    windows = sorted((window for scan in scans for window in scan.windows), key=rank)
    return Scan(
        tuple(windows[:max_windows]),
        sum(scan.found for scan in scans),
        sum(scan.scanned_s for scan in scans),
        sum(scan.variants_s for scan in scans),
        sum(scan.recordings for scan in scans),
        tuple(map(sum, zip(*(scan.histogram for scan in scans), strict=True))),
        scans[0].round,
        scans[0].model,
    )


def rank(window: HardNegative) -> tuple[int, float, str, int, str]:
    """Sort key: the latest round first, then the highest score; ties by key, start and path.

    What the newest network still takes for the keyword is hard now, whatever an older one said of other windows.
    """
    return -window.round, -window.score, window.key, window.start, window.path


def merge(old: Iterable[HardNegative], found: Iterable[HardNegative], max_windows: int, window_frames: int) -> Pool:
    """The pool after another scan, the best `max_windows` in the order of `rank`.

    An old window closer than one window to a new one of the same recording is replaced by it: the newer score counts.
    Old windows that the scan did not find again keep their score and stay while there is room, behind the new ones:
    they keep the network from falling back. Of the same window twice, as when two files hold the same audio, one stays.
    """
    new = list(found)
    starts: dict[str, list[int]] = {}
    for window in new:
        starts.setdefault(window.key, []).append(window.start)
    kept = [w for w in old if all(abs(w.start - start) >= window_frames for start in starts.get(w.key, ()))]
    distinct: dict[tuple[str, int], HardNegative] = {}
    for window in sorted([*new, *kept], key=rank):
        distinct.setdefault((window.key, window.start), window)
    return tuple(islice(distinct.values(), max_windows))


def save_pool(pool: Pool, path: Path) -> None:
    """Write the pool as CSV, atomically; scores to the last bit."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([w.key, w.start, w.path, f"{w.offset_s:.2f}", w.score, w.round, w.model] for w in pool)


def load_pool(path: Path) -> Pool:
    """Read a pool back. Raises DataError naming file, row (the header is row 1) and field of whatever is wrong."""
    try:
        size = path.stat().st_size
        if size > MAX_POOL_BYTES:
            raise DataError(f"{path}: {size / 1024**2:.0f} MB is no hard-negative pool; delete it to mine again")
        with path.open(newline="", encoding="utf-8") as file:
            pool = tuple(_rows(csv.reader(file, strict=True), path))
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise DataError(f"{path}: not a readable hard-negative pool ({reason}); delete it to mine again") from reason
    seen: set[tuple[str, int]] = set()
    for row, window in enumerate(pool, 2):
        if (window.key, window.start) in seen:
            raise _broken(path, row, "start", str(window.start), "is listed twice for this recording")
        seen.add((window.key, window.start))
    return pool


def _rows(table: Iterator[list[str]], path: Path) -> Iterator[HardNegative]:
    header = next(table, [])
    if tuple(header) != COLUMNS:
        raise _broken(path, 1, "header", ",".join(header), f"is not {','.join(COLUMNS)}")
    for row, fields in enumerate(table, 2):
        if row > MAX_POOL_WINDOWS + 1:
            raise DataError(f"{path}: more than {MAX_POOL_WINDOWS:,} windows is no pool; delete it to mine again")
        if len(fields) != len(COLUMNS):
            raise DataError(f"{path}: row {row}: {len(fields)} fields, not {len(COLUMNS)}; delete it to mine again")
        yield _window(dict(zip(COLUMNS, fields, strict=True)), path, row)


def _window(text: dict[str, str], path: Path, row: int) -> HardNegative:
    """One row, every field checked."""

    def number(field: str, kind: type[float], lowest: float, highest: float) -> Any:
        try:
            value = kind(text[field])
        except ValueError:
            value = kind(lowest) - 1
        if not lowest <= value <= highest:
            raise _broken(path, row, field, text[field], f"is no number in [{lowest:g}, {highest:g}]")
        return value

    for field, pattern in (("key", _KEY), ("model", _MODEL)):
        if not pattern.fullmatch(text[field]):
            raise _broken(path, row, field, text[field], "is not a name that mining gives")
    if not text["path"] or "\0" in text["path"]:
        raise _broken(path, row, "path", text["path"], "names no recording")
    start = number("start", int, -MAX_FRAME, MAX_FRAME)
    score = number("score", float, 0, 1)
    window = HardNegative(text["key"], start, text["path"], score, number("round", int, 1, MAX_FRAME), text["model"])
    offset_s = number("offset_s", float, -MAX_FRAME, MAX_FRAME)
    if abs(offset_s - window.offset_s) > _OFFSET_TOLERANCE_S:
        raise _broken(
            path, row, "offset_s", text["offset_s"], f"is not where frame {start} is, {window.offset_s:.2f} s"
        )
    return window


def _broken(path: Path, row: int, field: str, value: str, problem: str) -> DataError:
    return DataError(f"{path}: row {row}: {field}: {value[:200]!r} {problem}; delete the file to mine again")


def is_variant(path: str) -> bool:
    """Whether a window or a source is of a variant, by its path.

    >>> is_variant("a/b.wav (variant 2)"), is_variant("a/b.wav")
    (True, False)
    """
    return _VARIANT.search(path) is not None


def windows_per_file(pool: Iterable[HardNegative]) -> list[tuple[str, int]]:
    """Recordings, variants counted with theirs, and their windows in the pool; most windows first, ties by name."""
    counts = Counter(_VARIANT.sub("", window.path) for window in pool)
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def composition(pool: Pool, scans: Sequence[Scan]) -> dict[str, Any]:
    """What the pool is made of and what was scanned for it, for the report; JSON-able."""
    files = windows_per_file(pool)
    stay = Counter(window.round for window in pool)
    return {
        "windows": len(pool),
        "files": [{"path": path, "windows": windows} for path, windows in files[:FILES_LISTED]],
        "file_count": len(files),
        "largest_file_share": files[0][1] / len(pool) if pool else 0.0,
        "rounds": [
            {
                "round": scan.round,
                "model": scan.model,
                "recordings": scan.recordings,
                "hours_scanned": scan.scanned_s / 3600,
                "hours_of_variants": scan.variants_s / 3600,
                "windows_found": scan.found,
                "windows_in_pool": stay[scan.round],
                "score_histogram": list(scan.histogram),
            }
            for scan in scans
        ],
    }


def pool_warnings(pool: Pool) -> list[str]:
    """What whoever reads the run's figures must know of its pool."""
    if not pool:
        return [
            "the hard-negative pool is empty: nothing scored above mining.threshold; either the negatives hold nothing "
            "like the keyword (add hours of other speech), or the network hears the keyword nowhere yet (train longer)"
        ]
    path, windows = windows_per_file(pool)[0]
    share = windows / len(pool)
    if share <= LARGEST_SHARE:
        return []
    how_many = "all" if windows == len(pool) else f"{100 * share:.0f} % of"
    return [
        f"{how_many} {len(pool)} windows of the hard-negative pool come from {path}: the network learns that file, not "
        "what to reject; add other negatives, and make sure that the keyword is not spoken in it"
    ]
