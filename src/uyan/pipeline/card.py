"""The card of a finished bundle, from the bundle and whatever was measured beside it; and the folder to publish.

Files are read as if a stranger had written them. It knows nothing of terminals.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from uyan.bundle import Bundle, load
from uyan.errors import EvaluationError
from uyan.export.model_card import model_card
from uyan.files import replacing
from uyan.pipeline.run_folder import METRICS, MIB

EVIDENCE = {"latency": "evaluation/latency.json", "shift": "evaluation/shift.json", "int8": "int8.json"}
"""Where the commands leave it by default, below the bundle's folder."""
LARGEST_BYTES = 64 * MIB
CARD_NAME = "README.md"
"""What a hub shows as a model's card."""
PUBLISHED = ("bundle.onnx", "bundle.int8.onnx", "frontend.onnx")


def card_of(path: Path) -> str:
    """Markdown. Away from its run's folder a bundle's card has what the bundle itself repeats of the metrics.

    Raises BundleError for a file that is no bundle, EvaluationError for a file beside it that cannot be read.
    """
    bundle, folder = load(path), path.resolve().parent
    evidence = {name: _json(folder / file) for name, file in EVIDENCE.items() if (folder / file).is_file()}
    try:
        return model_card(bundle.info, _metrics(bundle, folder), evidence)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as reason:
        raise EvaluationError(f"{path}: what was measured of it does not make a card ({reason!r})") from reason


def _metrics(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Of the run, if the folder is that of the bundle's."""
    if (folder / METRICS).is_file():
        metrics = _json(folder / METRICS)
        if metrics.get("config_hash") == bundle.info.config_hash:
            return metrics
    return {**bundle.info.measured, "data": bundle.info.data}


def _json(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise ValueError(f"larger than {LARGEST_BYTES // MIB} MiB")
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as reason:
        raise EvaluationError(f"{file}: cannot be read ({reason}); measure again") from reason
    return found


def publication(path: Path, out: Path) -> list[Path]:
    """Fill the empty folder `out` with what is published of a bundle: itself, what lies beside it, and its card."""
    card = card_of(path)
    shutil.copyfile(path, out / PUBLISHED[0])
    for name in PUBLISHED[1:]:
        if (path.parent / name).is_file():
            shutil.copyfile(path.parent / name, out / name)
    with replacing(out / CARD_NAME) as partial:
        partial.write_text(card, encoding="utf-8")
    return sorted(out.iterdir())
