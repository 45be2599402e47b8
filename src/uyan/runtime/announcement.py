"""Tells the local network where a Wyoming server is, so that Home Assistant finds it (mDNS, `_wyoming._tcp.local.`).

It knows nothing of the server but its address.
"""

import ipaddress
import socket
from types import TracebackType

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from uyan.errors import ConfigError
from uyan.runtime.address import Address

SERVICE = "_wyoming._tcp.local."
MAX_NAME_BYTES = 63
MDNS_GROUP = "224.0.0.251", 5353


class Announcement:
    """Announced inside `async with`, withdrawn after it."""

    def __init__(self, address: Address, name: str) -> None:
        """Raises ConfigError where nobody could come, and for a name that mDNS cannot carry."""
        if address.is_local:
            raise ConfigError(f"{address} is for this machine alone; announce with --uri tcp://0.0.0.0:{address.port}")
        if not 0 < len(name.encode()) <= MAX_NAME_BYTES or not name.isprintable() or "." in name:
            raise ConfigError(f"a name of 1 to {MAX_NAME_BYTES} bytes without dots is announced, not {name!r}")
        self._address, self._name = address, name

    async def __aenter__(self) -> "Announcement":
        """Under another name where this one is taken. Raises ConfigError when there is no network."""
        host = _reached_at(self._address.host)
        self._info = AsyncServiceInfo(
            SERVICE, f"{self._name}.{SERVICE}", port=self._address.port, addresses=[ipaddress.ip_address(host).packed]
        )
        try:
            self._network = AsyncZeroconf(interfaces=[host])
            await (await self._network.async_register_service(self._info, allow_name_change=True))
        except OSError as reason:
            raise ConfigError(f"--zeroconf: the network cannot be told of {host} ({reason})") from reason
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._network.async_unregister_all_services()
        await self._network.async_close()


def _reached_at(host: str) -> str:
    """The address by which others reach a server bound to `host`: its own, or this machine's in its network."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
            if not host or host in ("0.0.0.0", "::"):
                unsent.connect(MDNS_GROUP)  # sends nothing; the system chooses the interface
                return str(unsent.getsockname()[0])
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as reason:
        raise ConfigError(f"--zeroconf: no network to announce in ({reason.strerror})") from reason
