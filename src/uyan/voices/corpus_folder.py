"""The folder of a corpus: whose it is, one process at a time, and the tables in it. It knows nothing of clips."""

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from uyan.errors import ConfigError
from uyan.files import replacing
from uyan.voices.clip import disk_error
from uyan.voices.order import Order
from uyan.voices.speech import EngineVoice

VERSION = 2
"""Raised whenever the same order would give other files."""
ORDER_FILE, LOCK = ".order.json", ".lock"
JOURNAL_FILE, MANIFEST_FILE, DROPPED_FILE = ".clips.jsonl", "manifest.csv", "dropped.csv"
OF_NO_CLIP = (ORDER_FILE, LOCK, JOURNAL_FILE, DROPPED_FILE)
"""All that is left where nothing could be made."""


@contextmanager
def claimed(folder: Path, order: Order, voices: Sequence[EngineVoice]) -> Iterator[None]:
    """The folder as this order's, and this process's while the block runs; one without a clip begins anew.

    Raises ConfigError where it holds something else, belongs to another order, or another process is at work there.
    """
    _require_free(folder)
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ConfigError(f"{folder}: another process is at work there; wait for it, or name another --out") from None
    except OSError as reason:
        raise disk_error(reason, folder) from reason
    with lock:
        _claim(folder, order, voices)
        yield


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A CSV file, whole or not at all. Raises VoiceError where it cannot be written."""
    try:
        with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as reason:
        raise disk_error(reason, path) from reason


def _require_free(folder: Path) -> None:
    """Raise ConfigError for a folder that something else than a corpus lies in."""
    if (folder / ORDER_FILE).is_file() or not folder.exists():
        return
    if not folder.is_dir() or any(entry.name != LOCK for entry in folder.iterdir()):
        raise ConfigError(f"{folder}: holds something else; name a new or an empty folder")


def _nothing_made(folder: Path) -> bool:
    return not any(entry.is_file() and entry.name not in OF_NO_CLIP for entry in folder.rglob("*"))


def _claim(folder: Path, order: Order, voices: Sequence[EngineVoice]) -> None:
    """The folder belongs to one order and one choice of voices; ConfigError for another."""
    names = [f"{voice.engine}:{voice.name}:{voice.language}" for voice in voices]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    wanted: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **asdict(order), "voices": digest}))
    file = folder / ORDER_FILE
    if _nothing_made(folder):
        for name in (JOURNAL_FILE, DROPPED_FILE):
            (folder / name).unlink(missing_ok=True)
    elif file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        others = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
        if others:
            raise ConfigError(
                f"{folder}: holds clips of another order ({', '.join(others)} differ); name another --out"
            )
        return
    try:
        with replacing(file) as partial:
            partial.write_text(json.dumps(wanted, ensure_ascii=False, indent=1), encoding="utf-8")
    except OSError as reason:
        raise disk_error(reason, file) from reason
