"""Files behind URLs read like those on disk; every failure of a real server is typed, and says its URL and its mend."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import header, read, read_part, stream
from uyan.errors import AccessError, AudioError, MissingFileError, StorageError
from uyan.storage import access, range_reader, remote
from uyan.storage.access import begun, is_file, read_bytes, size_of, stamps
from uyan.storage.local_copies import LocalCopies
from uyan.storage.location import Remote, locate

FORMATS = {"a.wav": ("WAV", "PCM_16"), "a.flac": ("FLAC", "PCM_16"), "a.ogg": ("OGG", "VORBIS"), "a.mp3": ("MP3", None)}


def there(url: str, copies: LocalCopies | None = None) -> Remote:
    file = locate(url, copies=copies)
    assert isinstance(file, Remote)
    return file


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Which bytes were asked for."""
    asked: list[tuple[str, int, int]] = []
    fetched = remote.fetched

    def counted(file: Remote, start: int, stop: int, size: int) -> bytes:
        asked.append((file.name, start, stop))
        return fetched(file, start, stop, size)

    monkeypatch.setattr(remote, "fetched", counted)
    return asked


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("long", [False, True])
def test_audio_is_the_same_as_on_disk(
    name: str, long: bool, s3: Any, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if long:
        monkeypatch.setattr(access, "WHOLE_BYTES", 1_000)
        monkeypatch.setattr(range_reader, "RANGE_BYTES", 10_000)
    local, container = tmp_path / name, FORMATS[name]
    sound = np.cumsum(rng.normal(0, 0.01, (12 * 22_050, 2)), axis=0) % 1 - 0.5
    soundfile.write(local, sound, 22_050, format=container[0], subtype=container[1])
    s3.put_file(str(local), f"words/set/{name}")
    file = there(f"s3://words/set/{name}", LocalCopies(tmp_path / "copies", 10**8))
    for _ in range(2):  # fetched, then from a copy where there is one
        assert np.array_equal(read(file), read(local))
        assert np.array_equal(read_part(file, 7, 9), read_part(local, 7, 9))
        assert all(np.array_equal(a, b) for a, b in zip(stream(file, 2.0), stream(local, 2.0), strict=True))
        assert header(file).duration_s == header(local).duration_s
    assert len(list((tmp_path / "copies").glob("??/*"))) == (0 if long else 1)


def test_short_files_are_fetched_once_and_streams_copy_nothing(
    s3: Any, tmp_path: Path, write_recording: Callable[..., Path], requests: list[Any]
) -> None:
    local = write_recording("a.wav", 1.0)
    s3.put_file(str(local), "words/a.wav")
    file = there("s3://words/a.wav", LocalCopies(tmp_path / "copies", 10**8))
    list(stream(file))
    assert len(requests) == 1 and not (tmp_path / "copies").exists()
    read(file), read(file), list(stream(file))
    assert len(requests) == 2


def test_a_changed_file_is_fetched_again(s3: Any, tmp_path: Path, write_recording: Callable[..., Path]) -> None:
    first, second = write_recording("first.wav", 1.0), write_recording("second.wav", 1.0)
    file = there("s3://words/a.wav", LocalCopies(tmp_path / "copies", 10**8))
    found = []
    for local in (first, second):
        s3.put_file(str(local), "words/a.wav")
        found.append(stamps([file])[0])
        assert np.array_equal(read(file), read(local))
    assert found[0] != found[1] and found[0][0] == found[1][0] == first.stat().st_size


def test_copies_stay_within_their_bound(s3: Any, tmp_path: Path, write_recording: Callable[..., Path]) -> None:
    size = write_recording("0.wav", 1.0).stat().st_size
    copies = LocalCopies(tmp_path / "copies", 3 * size)
    for number in range(6):
        local = write_recording(f"{number}.wav", 1.0)
        s3.put_file(str(local), f"words/{number}.wav")
        assert np.array_equal(read(there(f"s3://words/{number}.wav", copies)), read(local))
        assert sum(file.stat().st_size for file in copies.folder.glob("??/*")) <= copies.max_bytes
    tiny = there("s3://words/0.wav", LocalCopies(tmp_path / "tiny", size - 1))
    assert read(tiny).size == SAMPLE_RATE


def test_what_is_missing_is_the_files_fault_or_the_buckets(s3: Any) -> None:
    with pytest.raises(AudioError, match=r"^s3://words/set/none.wav: no such file$"):
        read(there("s3://words/set/none.wav"))
    with pytest.raises(MissingFileError, match=r"s3://words/none.csv: no such file"):
        read_bytes(there("s3://words/none.csv"))
    with pytest.raises(StorageError, match="the bucket s3://wrods does not exist; check its name and the endpoint"):
        read(there("s3://wrods/set/a.wav"))
    s3.pipe("words/set/a.wav", b"not audio")
    with pytest.raises(AudioError, match=r"^s3://words/set/a.wav: cannot be decoded"):
        read(there("s3://words/set/a.wav"))
    assert is_file(there("s3://words/set/a.wav"))
    assert not is_file(there("s3://words/set/b.wav")) and not is_file(there("s3://words/set"))


def test_wrong_credentials(s3: Any, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    s3.pipe("words/a.csv", b"path")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    remote._system.cache_clear()
    requests.post(f"{s3_endpoint}/moto-api/reset-auth", data="0", timeout=10).close()
    try:
        with pytest.raises(AccessError, match=r"s3://words/a.csv: access is denied; check the credentials") as raised:
            read_bytes(there("s3://words/a.csv"))
    finally:
        requests.post(f"{s3_endpoint}/moto-api/reset-auth", data="inf", timeout=10).close()
    assert "AKIAWRONG" not in str(raised.value) and "not-very-secret" not in str(raised.value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    remote._system.cache_clear()
    with pytest.raises(AccessError, match="AWS_PROFILE"):
        read_bytes(there("s3://words/a.csv"))


@pytest.mark.slow
def test_nobody_answers(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    remote._system.cache_clear()
    with pytest.raises(
        StorageError, match=r"s3://words/a.csv: its server cannot be reached; check the network and the"
    ):
        read_bytes(there("s3://words/a.csv"))


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    remote._system.cache_clear()
    with pytest.raises(StorageError, match="nope://a/b: nope:// is no protocol that fsspec knows"):
        size_of(there("nope://a/b"))
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StorageError, match=r"s3://words/a: fsspec, .* pip install 'uyan\[s3\]'"):
        size_of(there("s3://words/a"))


def test_a_file_that_changes_while_it_is_streamed(
    s3: Any, tmp_path: Path, write_recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_reader, "RANGE_BYTES", 10_000)
    s3.put_file(str(write_recording("a.flac", 4.0)), "words/a.flac")
    blocks = stream(there("s3://words/a.flac"), block_s=0.5)
    next(blocks)
    s3.put_file(str(write_recording("b.flac", 5.0)), "words/a.flac")
    with pytest.raises(StorageError, match=r"s3://words/a.flac: changed while it was read"):
        list(blocks)
    abandoned = stream(there("s3://words/a.flac"), block_s=0.5)
    next(abandoned)
    s3.rm("words/a.flac")
    abandoned.close()  # who does not read on asks nothing more


def test_a_file_that_changes_while_it_is_fetched(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.pipe("words/a.csv", b"old")
    fetched = remote.fetched

    def slow(file: Remote, start: int, stop: int, size: int) -> bytes:
        content = fetched(file, start, stop, size)
        s3.pipe("words/a.csv", b"new")
        return content

    monkeypatch.setattr(remote, "fetched", slow)
    with pytest.raises(StorageError, match=r"s3://words/a.csv: changed while it was read"):
        read_bytes(there("s3://words/a.csv"))


def test_what_was_begun_is_read_without_another_request(
    s3: Any, write_recording: Callable[..., Path], requests: list[Any]
) -> None:
    local = write_recording("a.wav", 1.0)
    s3.put_file(str(local), "words/a.wav")
    ready = begun(there("s3://words/a.wav"))
    assert len(requests) == 1 and str(ready) == "s3://words/a.wav"
    assert np.array_equal(np.concatenate(list(stream(ready))), read(local)) and len(requests) == 1
    assert begun(local) == local


def test_stamps_come_from_listings_or_one_by_one(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        s3.pipe(f"words/set/{name}.wav", name.encode() * 5)
    (tmp_path / "c.wav").write_bytes(b"ccc")
    files = [there("s3://words/set/a.wav"), tmp_path / "c.wav", there("s3://words/set/none.wav"), tmp_path / "none"]
    found = stamps(files)
    assert found[0][0] == 5 and found[1] == (3, (tmp_path / "c.wav").stat().st_mtime_ns)
    assert found[2:] == [access.NO_FILE] * 2

    def denied(folder: Remote) -> dict[str, remote.Version]:
        raise AccessError("may not be listed")

    monkeypatch.setattr(remote, "listed", denied)
    assert stamps(files) == found


def test_memory(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/set/manifest.csv", b"path")
    file = there("memory://set/manifest.csv", LocalCopies(tmp_path, 100))
    assert read_bytes(file) == b"path"
    assert stamps([file]) != [access.NO_FILE]


class _Broken(SimpleHTTPRequestHandler):
    """Serves a folder, but breaks off in the middle of a file as often as `drops` says."""

    drops = 0

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        if type(self).drops > 0:
            type(self).drops -= 1
            content = content[: len(content) // 2]
            self.close_connection = True
        outputfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def web_server(folder: Path, drops: int, kind: type[_Broken] = _Broken) -> Iterator[str]:
    handler = type("Handler", (kind,), {"drops": drops})
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: handler(*given, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("drops", [0, remote.ATTEMPTS - 1, remote.ATTEMPTS])
def test_a_connection_that_drops_is_tried_again_a_few_times(
    drops: int, tmp_path: Path, write_recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "WAIT_S", 0.01)
    local = write_recording("my set/50%.wav", 1.0)
    with web_server(tmp_path, drops) as address:
        file = there(f"{address}/my%20set/manifest.csv").parent / "50%.wav"
        if drops < remote.ATTEMPTS:
            assert np.array_equal(read(file), read(local))
        else:
            with pytest.raises(StorageError, match=r"my set/50%.wav: the connection broke off, again and again"):
                read(file)
        with pytest.raises(AudioError, match="no such file"):
            read(file.parent / "51%.wav")
    remote._system.cache_clear()


def test_a_web_server_that_does_not_answer_has_not_lost_its_files(tmp_path: Path) -> None:
    with web_server(tmp_path, 0) as address:
        pass
    with pytest.raises(StorageError, match=r"/a\.wav: its server cannot be reached"):
        read(there(f"{address}/a.wav"))
    remote._system.cache_clear()


def test_a_server_without_ranges_is_said(
    tmp_path: Path, write_recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_reader, "RANGE_BYTES", 10_000)
    write_recording("long.wav", 2.0)
    with web_server(tmp_path, 0) as address, pytest.raises(StorageError, match="its server sends no parts of a file"):
        list(stream(there(f"{address}/long.wav")))
    remote._system.cache_clear()


class _Endless(_Broken):
    """Speaks of the file's size, and then sends without end."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(bytes(2**20))


def test_an_answer_without_end_is_cut_off_and_not_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(bytes(1000))
    with web_server(tmp_path, 0, _Endless) as address, pytest.raises(StorageError, match="more than the 1000 bytes"):
        access.read_bytes(there(f"{address}/a.csv"))
    remote._system.cache_clear()


class _Shifted(_Broken):
    """Sends a part of the length asked for, `late` bytes further on, and says so."""

    late = 0

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        start, stop = (int(number) + self.late for number in self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop}/{len(content)}")
        self.send_header("Content-Length", str(stop + 1 - start))
        self.end_headers()
        self.wfile.write(content[start : stop + 1])


class _Late(_Shifted):
    late = 100


@pytest.mark.parametrize("kind", [_Shifted, _Late])
def test_another_part_than_was_asked_for_is_not_taken_for_it(kind: type[_Broken], tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(bytes(range(250)))
    with web_server(tmp_path, 0, kind) as address:
        file = there(f"{address}/a.wav")
        if kind is _Shifted:
            assert remote.fetched(file, 10, 20, 250) == bytes(range(10, 20))
        else:
            with pytest.raises(StorageError, match=r"a\.wav: bytes 10-19 were asked for, .* sends bytes 110-119/250;"):
                remote.fetched(file, 10, 20, 250)
    remote._system.cache_clear()


def test_a_protocol_that_wants_more_than_a_url_is_said() -> None:
    with pytest.raises(StorageError, match="webhdfs:// is not read, as it needs more than a URL"):
        access.size_of(there("webhdfs://host/a.wav"))
