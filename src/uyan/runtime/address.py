"""Where a server listens: `tcp://HOST:PORT` or `unix:///PATH`. It knows nothing of what is spoken there."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from uyan.errors import ConfigError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BACKLOG = 1024
"""Connections that may wait to be accepted: many come at once when a house has power again."""
STALE_S = 2.0
"""How long a socket file that nobody answers at is tried."""


@dataclass(frozen=True)
class Address:
    """A TCP host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @classmethod
    def parse(cls, uri: str) -> "Address":
        """From a URI. Raises ConfigError for any other scheme, or without host and port."""
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError as reason:
            raise ConfigError(f"{uri}: {reason}; write tcp://127.0.0.1:10400") from reason
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return cls(path=Path(parts.path))
        if parts.scheme == "tcp" and host and port is not None and not (parts.path or parts.query):
            return cls(host, port)
        raise ConfigError(f"{uri}: no address to listen at; write tcp://127.0.0.1:10400 or unix:///run/uyan.sock")

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Only programs of this machine reach it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    async def listen(self, serve: Serve, limit: int) -> asyncio.Server:
        """Accept connections, each read through a buffer of `limit` bytes.

        Raises ConfigError when the address is in use, not this machine's, or not allowed.
        """
        try:
            if self.path is None:
                return await asyncio.start_server(serve, self.host, self.port, limit=limit, backlog=BACKLOG)
            await self._refuse_answered(self.path)
            return await asyncio.start_unix_server(serve, self.path, limit=limit, backlog=BACKLOG)
        except OSError as reason:
            raise ConfigError(f"{self}: {_in_words(reason)}") from reason

    async def _refuse_answered(self, path: Path) -> None:
        """A socket file left over by a server that is gone may be replaced, any other file may not."""
        if not path.exists():
            return
        if not path.is_socket():
            raise ConfigError(f"{self}: a file that is no socket is there; choose another path")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_unix_connection(path), STALE_S)
        except ConnectionRefusedError:
            return
        writer.close()
        raise OSError(errno.EADDRINUSE, "in use")


def bound(address: Address, server: asyncio.Server) -> Address:
    """The address with the port that port 0 became."""
    return address if address.path is not None else Address(address.host, server.sockets[0].getsockname()[1])


def _in_words(reason: OSError) -> str:
    if reason.errno == errno.EADDRINUSE:
        return "another program listens there; stop it, or choose another address with --uri"
    if reason.errno == errno.EADDRNOTAVAIL or isinstance(reason, socket.gaierror):
        return "this machine has no such address; 127.0.0.1 is itself, 0.0.0.0 every network it is in"
    if reason.errno in (errno.EACCES, errno.EPERM):
        return "not allowed; ports below 1024 and system folders need rights"
    return f"cannot be listened at ({reason.strerror or reason})"
