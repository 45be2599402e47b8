"""Fetches onnxruntime-web, which the page runs its networks with: `python -m uyan.runtime.web.vendor_files`.

`npm pack` brings the archive, from whatever registry npm is set up for; its checksum is pinned here. Runs while a wheel
is built too, where nothing of uyan can be imported: Python's own library is all it uses.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "onnxruntime-web", "1.23.2"
SHA512 = "T09JUtMn+CZLk3mFwqiH0lgQf+4S7+oYHHtk6uhaYAAJI95bTcKi5bOOZYwORXfS/RLZCjDDEXGWIuOCAFlEjg=="
"""Of the archive, base64, as npm lists it under `dist.integrity`."""
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""The smallest build, for WebAssembly alone; without the headers that threads need, it runs on one."""
FOLDER = Path(__file__).parent / "vendor"
"""The licence stands there already: the archive has none."""
COMMAND = "python -m uyan.runtime.web.vendor_files"


def missing() -> list[str]:
    """The files that are not there."""
    return [name for name in FILES if not (FOLDER / name).is_file()]


def fetch() -> None:
    """Put the files into the package's folder. Raises OSError when npm, the registry or the checksum fails."""
    with tempfile.TemporaryDirectory() as folder:
        archive = _packed(Path(folder))
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != SHA512:
            raise OSError(f"{PACKAGE} {VERSION}: the archive's sha512 is {found}, not {SHA512}; nothing was unpacked")
        with tarfile.open(archive) as members:
            for name in FILES:
                member = members.extractfile(f"package/dist/{name}")
                if member is None:
                    raise OSError(f"{PACKAGE} {VERSION}: {name} is not a file there")
                partial = FOLDER / f".{name}.partial"
                partial.write_bytes(member.read())
                partial.replace(FOLDER / name)


def _packed(folder: Path) -> Path:
    command = ["npm", "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as reason:
        raise OSError(f"npm is not installed; it fetches {PACKAGE} for the page. Install Node.js") from reason
    except subprocess.CalledProcessError as reason:
        raise OSError(f"`{' '.join(command)}` failed: {reason.stderr.strip() or reason.stdout.strip()}") from reason
    return next(folder.glob("*.tgz"))


if __name__ == "__main__":
    try:
        fetch()
    except OSError as failed:
        print(f"error: {failed}", file=sys.stderr)
        sys.exit(2)
