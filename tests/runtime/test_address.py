import asyncio
import socket
from pathlib import Path

import pytest

from uyan.errors import ConfigError
from uyan.runtime.address import Address, bound


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def listen_twice(first: Address) -> str:
    """What the second one is told that wants the same address."""
    server = await first.listen(hang_up, 1024)
    with pytest.raises(ConfigError) as caught:
        await bound(first, server).listen(hang_up, 1024)
    server.close()
    await server.wait_closed()
    return str(caught.value)


@pytest.mark.parametrize(
    ("uri", "address", "local"),
    [
        ("tcp://127.0.0.1:10400", Address("127.0.0.1", 10400), True),
        ("tcp://localhost:1", Address("localhost", 1), True),
        ("tcp://[::1]:10400", Address("::1", 10400), True),
        ("tcp://0.0.0.0:10400", Address("0.0.0.0", 10400), False),
        ("tcp://[::]:10400", Address("::", 10400), False),
        ("tcp://192.168.1.5:10400", Address("192.168.1.5", 10400), False),
        ("tcp://house.local:10400", Address("house.local", 10400), False),
        ("unix:///run/uyan.sock", Address(path=Path("/run/uyan.sock")), True),
    ],
)
def test_a_uri_is_an_address_and_back(uri: str, address: Address, local: bool) -> None:
    assert Address.parse(uri) == address
    assert str(address) == uri
    assert address.is_local == local


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "10400",
        "127.0.0.1:10400",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://:10400",
        "http://127.0.0.1:10400",
        "unix://a/b",
        "tcp://127.0.0.1:x",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:1/path",
        "tcp://[::1",
        "stdio://",
        "unix://",
    ],
)
def test_anything_else_is_refused_with_an_example(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:10400"):
        Address.parse(uri)


def test_a_port_in_use_is_said() -> None:
    told = asyncio.run(listen_twice(Address("127.0.0.1")))
    assert told.startswith("tcp://127.0.0.1:")
    assert "another program listens there" in told


def test_a_socket_in_use_is_not_taken_over(tmp_path: Path) -> None:
    assert "another program listens there" in asyncio.run(listen_twice(Address(path=tmp_path / "uyan.sock")))


def test_a_socket_left_over_is_replaced_and_any_other_file_is_kept(tmp_path: Path) -> None:
    left_over, file = tmp_path / "uyan.sock", tmp_path / "file"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left_over))
    file.write_text("mine", encoding="utf-8")

    async def scenario() -> None:
        server = await Address(path=left_over).listen(hang_up, 1024)
        _, writer = await asyncio.open_unix_connection(left_over)
        writer.close()
        await writer.wait_closed()
        server.close()
        with pytest.raises(ConfigError, match="a file that is no socket"):
            await Address(path=file).listen(hang_up, 1024)

    asyncio.run(scenario())
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (Address("192.0.2.1", 10400), "no such address"),
        (Address("no-such-host.invalid", 10400), "no such address"),
        (Address(path=Path("/no/such/folder/uyan.sock")), "cannot be listened at"),
    ],
)
def test_an_address_that_cannot_be_had_is_said(address: Address, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asyncio.run(address.listen(hang_up, 1024))
