import asyncio
import socket

import pytest
from wyoming_peer import within
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from uyan.errors import ConfigError
from uyan.runtime.address import Address
from uyan.runtime.announcement import SERVICE, Announcement


def own_address() -> str:
    """This machine's in its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("224.0.0.251", 5353))
        except OSError:
            pytest.skip("this machine is in no network")
        return str(unsent.getsockname()[0])


def test_an_announced_server_is_found_and_withdrawn_after() -> None:
    host = own_address()

    async def found(network: AsyncZeroconf) -> AsyncServiceInfo | None:
        info = AsyncServiceInfo(SERVICE, f"uyan test.{SERVICE}")
        return info if await info.async_request(network.zeroconf, 3000) else None

    async def scenario() -> None:
        async with AsyncZeroconf(interfaces=[host]) as network:
            async with Announcement(Address("0.0.0.0", 10400), "uyan test"):
                info = await found(network)
                assert info is not None
                assert (info.parsed_addresses(), info.port) == ([host], 10400)
            await asyncio.sleep(1.5)  # a withdrawn record is kept for a second
            assert await found(network) is None

    within(scenario())


@pytest.mark.parametrize("name", ["", "a.b", "x" * 64, "ü" * 32, "a\nb"])
def test_a_name_that_cannot_be_announced_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="without dots"):
        Announcement(Address("0.0.0.0", 10400), name)


def test_an_address_that_nobody_reaches_is_not_announced() -> None:
    with pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:10400 is for this machine alone"):
        Announcement(Address("127.0.0.1", 10400), "uyan")
