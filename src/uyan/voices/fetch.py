"""Public Piper voices by name: downloaded with their published checksums, going on where a broken connection left off.

The catalogue beside this file lists sizes and MD5 sums as the voices' publisher does. It knows nothing of speech.
"""

import hashlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial as bound
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path

from uyan.engine.parallel import Progress, silent
from uyan.errors import ConfigError, VoiceError
from uyan.voices.clip import disk_error

PUBLISHER = "https://huggingface.co/rhasspy/piper-voices/resolve/main"
BLOCK_BYTES = 1 << 18
PATIENCE_S = 30.0
CARD = "MODEL_CARD"
PARTIAL = 206
"""The answer of a server that goes on from where it was asked to."""

_Tell = Callable[[int], None]


@dataclass(frozen=True)
class RemoteFile:
    """A file of the publisher."""

    path: str
    bytes: int
    md5: str


@dataclass(frozen=True)
class RemoteVoice:
    """A voice that can be fetched."""

    name: str
    language: str
    speakers: int
    files: tuple[RemoteFile, ...]

    @property
    def megabytes(self) -> float:
        """All of its files."""
        return sum(file.bytes for file in self.files) / 1e6


def catalogue() -> dict[str, RemoteVoice]:
    """The voices known by name."""
    listed = json.loads(files("uyan.voices").joinpath("piper_catalogue.json").read_text(encoding="utf-8"))
    return {
        name: RemoteVoice(name, row["language"], row["speakers"], tuple(RemoteFile(**file) for file in row["files"]))
        for name, row in listed.items()
    }


def fetch(
    name: str,
    folder: Path,
    publisher: str = PUBLISHER,
    progress: Progress = silent,
    voices: dict[str, RemoteVoice] | None = None,
) -> Path:
    """Download a voice into the folder; returns its .onnx. What is there and whole is not fetched again.

    Raises ConfigError for an unknown name, VoiceError for a network that fails and a file that is not what it should
    be; a part that came stays, and the same call goes on from it.
    """
    known = catalogue() if voices is None else voices
    if name not in known:
        raise ConfigError(f"no voice {name!r} to fetch; there are {', '.join(sorted(known))}")
    model = folder / f"{name}.onnx"
    done = 0
    total = sum(file.bytes for file in known[name].files)

    def tell(before: int, got: int) -> None:
        progress(f"fetch {name}", before + got, total)

    for file in sorted(known[name].files, key=lambda file: file.bytes):  # the network last: with it the voice is there
        _fetch_file(file, folder / _local_name(name, file), publisher, bound(tell, done))
        done += file.bytes
        tell(done, 0)
    return model


def _local_name(voice: str, file: RemoteFile) -> str:
    """Every voice's card has one name; here they share a folder."""
    last = file.path.rsplit("/", 1)[-1]
    return f"{voice}.{CARD}" if last == CARD else last


def _fetch_file(file: RemoteFile, target: Path, publisher: str, tell: _Tell) -> None:
    if target.is_file() and _is_whole(target, file):
        return
    partial = target.with_name(f"{target.name}.part")
    url = f"{publisher.rstrip('/')}/{urllib.parse.quote(file.path)}"
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"{publisher}: is no web address; it begins with https://")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, partial, file, tell)
        if not _is_whole(partial, file):
            size = partial.stat().st_size
            partial.unlink()
            raise VoiceError(
                f"{url}: {size} bytes that are not the published ones ({file.bytes}, MD5 {file.md5}); try again later"
            )
        partial.replace(target)
    except urllib.error.HTTPError as reason:
        raise VoiceError(f"{url}: the server answers {reason.code} {reason.reason}") from reason
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as reason:
        detail = getattr(reason, "reason", None) or reason
        raise VoiceError(f"{url}: cannot be fetched ({detail}); the same command goes on where it stopped") from reason
    except OSError as reason:
        raise disk_error(reason, target) from reason


def _download(url: str, partial: Path, file: RemoteFile, tell: _Tell) -> None:
    """Append what is missing; never more than the file has."""
    have = partial.stat().st_size if partial.is_file() else 0
    if have >= file.bytes:
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        if answer.status != PARTIAL:
            have = 0
        with partial.open("ab" if have else "wb") as sink:
            while have <= file.bytes and (block := answer.read(BLOCK_BYTES)):
                sink.write(block)
                have += len(block)
                tell(have)
    if have < file.bytes:
        raise ConnectionError(f"{have} of {file.bytes} bytes came")


def _is_whole(path: Path, file: RemoteFile) -> bool:
    if path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == file.md5
