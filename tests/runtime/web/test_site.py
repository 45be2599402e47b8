"""What is served, under which names and with which headers; what is not there; what needs onnxruntime-web."""

import base64
import hashlib
import http.client
import json
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from uyan.bundle import Bundle, BundleInfo
from uyan.container import seal
from uyan.errors import ConfigError
from uyan.frontend import Cmvn, FrontendConfig, log_mel
from uyan.runtime.web import server as server_module
from uyan.runtime.web import vendor_files
from uyan.runtime.web.server import HEADERS, SiteServer
from uyan.runtime.web.site import TYPES, Site, make_site, write_site

ASKS = r'(?:from|import\(|fetch\(|session\(|addModule\()\s*"(?:\./)?([^"]+)"'
Answer = tuple[int, dict[str, str], bytes]


def ask(server: SiteServer, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def raw(server: SiteServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_every_file_is_there_with_its_type(server: SiteServer, site: Site) -> None:
    for name, content in site.items():
        status, headers, body = ask(server, f"/{name}")
        assert (status, body) == (200, content)
        assert headers["Content-Type"] == TYPES[Path(name).suffix]
        assert {key: headers[key] for key in HEADERS} == HEADERS
    assert ask(server, "/")[2] == ask(server, "/index.html?again=1")[2] == site["index.html"]
    status, headers, body = ask(server, "/model-0.onnx", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(site["model-0.onnx"])), b"")


def test_the_page_asks_for_nothing_that_is_not_there(site: Site) -> None:
    asked = set(re.findall(r'(?:src|href)="([^"]+)"', site["index.html"].decode()))
    for name, content in site.items():
        if name.endswith(".js"):
            assert not re.search(rb"https?://\w", content), name
            asked |= set(re.findall(ASKS, content.decode()))
    for word in json.loads(site["words.json"])["words"]:
        asked |= {word["frontend"], word["network"]}
    assert {"main.js", "words.json", "model-0.onnx", "frontend-0.onnx", "worklet.js"} <= asked <= set(site)


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/vendor/",
        "/vendor",
        "/vendor/../site.py",
        "/site.py",
        "/%00",
        "/\\..\\index.html",
        "/index.html/",
        "/missing.txt",
        "/" + "a" * 10_000,
    ],
)
def test_anything_else_is_not(server: SiteServer, path: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, body) == (404, b"no such file\n")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_foreign_name_for_this_address_gets_nothing(server: SiteServer) -> None:
    assert ask(server, "/words.json", Host=f"evil.example:{server.server_port}")[0] == 404
    assert ask(server, "/words.json", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff\x16\x03",
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        b"\r\n" * 50,
    ],
)
def test_nonsense_disturbs_nobody(server: SiteServer, request_bytes: bytes) -> None:
    assert b" 200 " not in raw(server, request_bytes)
    assert ask(server, "/")[0] == 200


def test_it_listens_on_loopback_alone(server: SiteServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_a_taken_port_is_said(server: SiteServer, site: Site) -> None:
    with pytest.raises(ConfigError, match=f"port {server.server_port} cannot be used .*--port"):
        SiteServer(site, server.server_port)


def test_the_made_files_are_the_bundle_s(site: Site, bundle: Bundle, changing_sound: Any) -> None:
    assert site["model-0.onnx"] == bundle.data
    [word] = json.loads(site["words.json"])["words"]
    assert BundleInfo.from_json(json.dumps(word["info"])) == bundle.info
    samples = changing_sound(2.0)
    session = onnxruntime.InferenceSession(site["frontend-0.onnx"])
    found = session.run(None, {"samples": samples[np.newaxis]})[0][0]
    assert np.abs(found - log_mel(samples, bundle.info.frontend)).max() <= 1e-4


def test_the_front_end_is_the_one_of_the_bundle(bundle: Bundle, site: Site) -> None:
    frontend = FrontendConfig(low_hz=100.0)
    cmvn = Cmvn(**{**json.loads(bundle.info.to_json())["cmvn"], "frontend": frontend.digest()})
    info = replace(bundle.info, frontend=frontend, cmvn=cmvn)
    other = Bundle(bundle.path, seal(bundle.data, replace(info, label="selam").to_json()))
    both = make_site([bundle, other])
    assert make_site([other])["frontend-0.onnx"] == both["frontend-1.onnx"] != site["frontend-0.onnx"]
    assert [word["frontend"] for word in json.loads(both["words.json"])["words"]] == [
        "frontend-0.onnx",
        "frontend-1.onnx",
    ]


def test_each_word_has_the_operating_point_of_averaged_or_plain_scores(bundle: Bundle) -> None:
    info = replace(bundle.info, label="selam", threshold=0.7, tta_threshold=0.6)
    other = Bundle(bundle.path, seal(bundle.data, info.to_json()))
    for tta, threshold in ((True, 0.6), (False, 0.7)):
        made = make_site([bundle, other], tta)
        words = json.loads(made["words.json"])
        assert words["tta"] is tta
        assert [word["threshold"] for word in words["words"]] == [0.5, threshold]
        assert {word["frontend"] for word in words["words"]} == {"frontend-0.onnx"}
    with pytest.raises(ConfigError, match="two bundles listen for"):
        make_site([bundle, bundle])


def test_the_licences_of_what_is_served_are_served(site: Site) -> None:
    assert b"MIT License" in site["vendor/LICENSE.txt"]
    assert len(site["vendor/ThirdPartyNotices.txt"]) > 100_000


def test_written_to_a_folder(site: Site, tmp_path: Path) -> None:
    write_site(site, tmp_path / "site")
    found = {p.relative_to(tmp_path / "site").as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == site


def test_without_onnxruntime_web_the_command_for_it_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vendor_files, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=f"onnxruntime-web is not there .*{vendor_files.COMMAND}"):
        make_site([bundle])


class _Npm:
    """An npm that packs what it is told to."""

    def __init__(self, folder: Path, **files: bytes) -> None:
        self.archive = folder / "packed.tgz"
        with tarfile.open(self.archive, "w:gz") as archive:
            for number, content in enumerate(files.values()):
                source = folder / str(number)
                source.write_bytes(content)
                archive.add(source, f"package/dist/{vendor_files.FILES[number]}")

    def run(self, command: list[str], cwd: Path, **options: Any) -> None:
        (cwd / "onnxruntime-web.tgz").write_bytes(self.archive.read_bytes())

    @property
    def sha512(self) -> str:
        return base64.b64encode(hashlib.sha512(self.archive.read_bytes()).digest()).decode()


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Npm:
    made = _Npm(tmp_path, script=b"script", wasm=b"wasm")
    (tmp_path / "vendor").mkdir()
    monkeypatch.setattr(vendor_files, "FOLDER", tmp_path / "vendor")
    monkeypatch.setattr(subprocess, "run", made.run)
    return made


def test_what_is_fetched_is_unpacked(npm: _Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_files, "SHA512", npm.sha512)
    assert vendor_files.missing() == list(vendor_files.FILES)
    vendor_files.fetch()
    assert vendor_files.missing() == []
    assert [(vendor_files.FOLDER / name).read_bytes() for name in vendor_files.FILES] == [b"script", b"wasm"]


def test_another_checksum_unpacks_nothing(npm: _Npm) -> None:
    with pytest.raises(OSError, match="sha512 is"):
        vendor_files.fetch()
    assert list(vendor_files.FOLDER.iterdir()) == []


def _absent(*arguments: object, **options: object) -> None:
    raise FileNotFoundError("npm")


def _offline(command: list[str], **options: object) -> None:
    raise subprocess.CalledProcessError(1, command, "", "npm error network\n")


@pytest.mark.parametrize(
    ("run", "message"), [(_absent, "npm is not installed"), (_offline, "failed: npm error network")]
)
def test_no_npm_or_no_network_is_said(run: Callable[..., None], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(OSError, match=message):
        vendor_files.fetch()


def test_the_fetcher_needs_nothing_but_python() -> None:
    """It runs while the wheel is built, where numpy is not installed."""
    script = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script, vendor_files.__file__], capture_output=True, check=True)
    assert not {"numpy", "uyan"} & set(shown.stdout.decode().split())


def test_the_page_s_own_policy_is_the_server_s(site: Site) -> None:
    """On a static host the page brings it itself; framing can be forbidden by a header only."""

    class Policy(HTMLParser):
        found = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            if values.get("http-equiv") == "Content-Security-Policy":
                self.found = values["content"] or ""

    parser = Policy()
    parser.feed(site["index.html"].decode())
    assert f"{parser.found}; frame-ancestors 'none'" == server_module.HEADERS["Content-Security-Policy"]
