"""The bundle and its card, written when everything in them has been measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from uyan.bundle import Bundle
from uyan.export.model_card import model_card
from uyan.export.onnx import make_bundle, save_bundle
from uyan.files import replacing
from uyan.frontend_onnx import frontend_to_onnx
from uyan.pipeline.calibrate import Calibrated
from uyan.pipeline.workspace import Workspace

FRONTEND = "frontend.onnx"
FIGURES = (
    "calibration",
    "false_alarms",
    "conditions",
    "conditions_note",
    "clip_level",
    "tta",
    "near_words",
    "warnings",
)
"""What a bundle repeats of the metrics."""


def export_bundle(run: Workspace, calibrated: Calibrated, metrics: dict[str, Any]) -> Bundle:
    """Write `bundle.onnx`, with its figures inside, `frontend.onnx` and `model_card.md`."""
    measured = {key: metrics[key] for key in FIGURES}
    info = replace(calibrated.bundle.info, measured=measured)
    bundle = make_bundle(calibrated.model, info, calibrated.bundle.path)
    save_bundle(bundle)
    export_frontend(bundle)
    with replacing(run.out / "model_card.md") as partial:
        partial.write_text(model_card(info, metrics), encoding="utf-8")
    return bundle


def export_frontend(bundle: Bundle) -> Path:
    """Write `frontend.onnx` beside the bundle, which turns samples into what its network takes."""
    path = bundle.path.with_name(FRONTEND)
    with replacing(path) as partial:
        partial.write_bytes(frontend_to_onnx(bundle.info.frontend))
    return path
