"""What a corpus is asked for, from what a user gives."""

from pathlib import Path

import pytest

from uyan.errors import ConfigError
from uyan.voices.order import make_order


def test_an_order_from_what_a_user_gives(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("jarvis\n# a comment\n\nja vis\njarvis\n", encoding="utf-8")
    assert make_order("jarvis", file).texts == ("jarvis", "ja vis")
    assert make_order("x", file, kind="negative").label == ""
    for wrong in ({"kind": "noise"}, {"audio_format": "mp3"}, {"texts": tmp_path / "none"}, {"word": "  "}):
        with pytest.raises(ConfigError):
            make_order(**{"word": "jarvis", **wrong})  # type: ignore[arg-type]
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        make_order("jarvis", file)
    file.write_text("\n#\n")
    with pytest.raises(ConfigError, match="no text"):
        make_order("jarvis", file)
