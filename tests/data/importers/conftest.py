"""Miniature trees laid out as the publishers lay out theirs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Tree = Callable[..., Path]
FORMATS = {".opus": {"format": "OGG", "subtype": "OPUS"}}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Called with paths of audio (half a second each) and texts by path; returns the folder."""

    def plant(*audio: str, texts: dict[str, str] | None = None) -> Path:
        root = tmp_path / "data set"
        for path in audio:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            samples = 0.1 * np.random.default_rng(len(path)).standard_normal(8000)
            soundfile.write(file, samples, 16_000, **FORMATS.get(file.suffix, {}))
        for path, text in (texts or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return root

    return plant
