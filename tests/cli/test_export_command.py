"""`uyan export`: the front end beside a bundle."""

from pathlib import Path
from typing import Any

from uyan.bundle import Bundle
from uyan.frontend_onnx import frontend_to_onnx


def test_the_front_end_is_written_beside_the_bundle(uyan: Any, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "bundle.onnx").write_bytes(bundle.data)
    code, out, _ = uyan("export", tmp_path)
    assert (code, out) == (0, f"front end {tmp_path / 'frontend.onnx'}\n")
    assert (tmp_path / "frontend.onnx").read_bytes() == frontend_to_onnx(bundle.info.frontend)


def test_without_a_bundle_there_is_nothing_to_export(uyan: Any, tmp_path: Path) -> None:
    code, _, err = uyan("export", tmp_path)
    assert code == 2 and "no such bundle" in err
    assert list(tmp_path.iterdir()) == []
