"""The files of the page, each under a fixed name: scripts, onnxruntime-web, the front end and one bundle.

It knows nothing of servers.
"""

from importlib.resources import files
from pathlib import Path

from uyan.bundle import Bundle
from uyan.errors import ConfigError
from uyan.files import replacing
from uyan.frontend_onnx import frontend_to_onnx
from uyan.runtime.web import vendor_files

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
"""Media types by suffix; a WebAssembly or a module of another type would not run."""

Site = dict[str, bytes]
"""Contents by name, a POSIX path relative to the page."""


def make_site(bundle: Bundle) -> Site:
    """All files of the page for that bundle.

    Raises BundleError when its network cannot be run, ConfigError when onnxruntime-web is not there.
    """
    if absent := vendor_files.missing():
        raise ConfigError(
            f"onnxruntime-web is not there ({', '.join(absent)}); fetch it with npm: {vendor_files.COMMAND}"
        )
    _ = bundle.session  # better refused here than in the browser
    page = files("uyan.runtime.web")
    scripts = {entry.name: entry.read_bytes() for entry in page.joinpath("page").iterdir()}
    vendor = {f"vendor/{name}": page.joinpath("vendor", name).read_bytes() for name in _VENDOR}
    made = {
        "bundle.json": bundle.info.to_json().encode(),
        "frontend.onnx": frontend_to_onnx(bundle.info.frontend),
        "model.onnx": bundle.data,
    }
    return {**scripts, **vendor, **made}


_VENDOR = (*vendor_files.FILES, "LICENSE.txt")


def write_site(site: Site, folder: Path) -> None:
    """The page as a folder for any static host; files of the same names are replaced."""
    for name, content in site.items():
        with replacing(folder / name) as partial:
            partial.write_bytes(content)
