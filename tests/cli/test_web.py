"""`uyan web`: serves until interrupted, or writes a folder."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from uyan.bundle import Bundle
from uyan.runtime.web import vendor_files

needs_vendor = pytest.mark.skipif(bool(vendor_files.missing()), reason=f"no onnxruntime-web; {vendor_files.COMMAND}")


@needs_vendor
def test_it_writes_a_folder(uyan: Any, bundle: Bundle, tmp_path: Path) -> None:
    code, out, _ = uyan("web", bundle.path, "--out", tmp_path / "site")
    assert code == 0 and str(tmp_path / "site" / "index.html") in out
    assert (tmp_path / "site" / "model-0.onnx").read_bytes() == bundle.data
    assert (tmp_path / "site" / "vendor" / "LICENSE.txt").read_text().count("MIT License") == 1


@needs_vendor
@pytest.mark.slow
def test_it_serves_until_interrupted_and_needs_no_training_packages(bundle: Bundle) -> None:
    script = """
import sys
for name in ("torch", "onnx", "polars", "scipy"):
    sys.modules[name] = None
from uyan.cli.main import main
main()
"""
    command = [sys.executable, "-c", script, "web", str(bundle.path), "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{url}model-0.onnx", timeout=20) as answer:
            assert answer.read() == bundle.data
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_no_bundle_is_one_line(uyan: Any, tmp_path: Path) -> None:
    code, _, err = uyan("web", tmp_path / "none.onnx")
    assert code == 2 and err.startswith("error: ") and "no such bundle" in err
