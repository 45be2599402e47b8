"""Serves the files of a site over HTTP, by name from memory: what is not in it cannot be asked for.

It knows nothing of what the files are.
"""

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from uyan.errors import ConfigError
from uyan.runtime.web.site import TYPES, Site

HOST = "127.0.0.1"
IDLE_S = 30.0
"""A connection that says nothing for so long is closed."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""Nothing from elsewhere, nothing to elsewhere; another bundle at the same address is seen at once."""


class SiteServer(ThreadingHTTPServer):
    """An HTTP server of one site on loopback."""

    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        """Port 0 takes a free one. Raises ConfigError when the port cannot be had."""
        self.site = site
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as reason:
            raise ConfigError(f"port {port} cannot be used ({reason}); choose another with --port") from reason

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a file is no news; anything else is shown as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: SiteServer
    server_version, sys_version = "uyan", ""
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        # Another host name for this address is how a foreign page would reach it (DNS rebinding).
        own = self.headers.get("Host", "").rpartition(":")[0] in (HOST, "localhost")
        content = self.server.site.get(name) if own else None
        if content is None:
            name, content = "missing.txt", b"no such file\n"
        self.send_response(HTTPStatus.NOT_FOUND if name == "missing.txt" else HTTPStatus.OK)
        self.send_header("Content-Type", TYPES[PurePosixPath(name).suffix])
        self.send_header("Content-Length", str(len(content)))
        for header, value in HEADERS.items():
            self.send_header(header, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a terminal is no access log."""
