"""The files of the page, each under a fixed name: scripts, onnxruntime-web, front ends and bundles.

It knows nothing of servers.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from uyan.bundle import Bundle
from uyan.detector import Detector
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


def make_site(bundles: Sequence[Bundle], tta: bool = True) -> Site:
    """All files of the page for those bundles, their scores averaged (`tta`) or plain.

    Raises BundleError when a network cannot be run, ConfigError when two bundles listen for one word and when
    onnxruntime-web is not there.
    """
    if absent := vendor_files.missing():
        raise ConfigError(
            f"onnxruntime-web is not there ({', '.join(absent)}); fetch it with npm: {vendor_files.COMMAND}"
        )
    Detector(bundles, tta=tta)  # better refused here than in the browser
    page = files("uyan.runtime.web")
    scripts = {entry.name: entry.read_bytes() for entry in page.joinpath("page").iterdir()}
    vendor = {f"vendor/{name}": page.joinpath("vendor", name).read_bytes() for name in _VENDOR}
    return {**scripts, **vendor, "vendor/ThirdPartyNotices.txt": _notices(), **_words(bundles, tta)}


_VENDOR = (*vendor_files.FILES, "LICENSE.txt")


def _notices() -> bytes:
    """What onnxruntime contains and under which licences; npm's archive lacks the list, Python's package brings it."""
    found = files("onnxruntime").joinpath("ThirdPartyNotices.txt")
    if found.is_file():
        return found.read_bytes()
    return b"The notices are part of the onnxruntime package: ThirdPartyNotices.txt.\n"


def _words(bundles: Sequence[Bundle], tta: bool) -> Site:
    """words.json, and the networks and front ends that it names; words of one front end name the same."""
    frontends = list(dict.fromkeys(bundle.info.frontend for bundle in bundles))
    made = {f"frontend-{number}.onnx": frontend_to_onnx(frontend) for number, frontend in enumerate(frontends)}
    words = []
    for number, bundle in enumerate(bundles):
        _ = bundle.session
        made[f"model-{number}.onnx"] = bundle.data
        words.append(
            {
                "info": json.loads(bundle.info.to_json()),
                "threshold": bundle.info.operating_threshold(tta),
                "frontend": f"frontend-{frontends.index(bundle.info.frontend)}.onnx",
                "network": f"model-{number}.onnx",
            }
        )
    return {**made, "words.json": json.dumps({"tta": tta, "words": words}, ensure_ascii=False).encode()}


def write_site(site: Site, folder: Path) -> None:
    """The page as a folder for any static host; files of the same names are replaced."""
    for name, content in site.items():
        with replacing(folder / name) as partial:
            partial.write_bytes(content)
