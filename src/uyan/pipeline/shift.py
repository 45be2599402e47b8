"""The domain-shift suite on a finished bundle and anybody's manifests, as files (MISSION 5.2).

Whom the bundle's run has heard does not judge it. What is measured is `evaluation.shift`'s business.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from uyan.bundle import load
from uyan.engine.parallel import Progress, silent
from uyan.errors import EvaluationError
from uyan.evaluation.shift import SAMPLES, ShiftResult, shift, table
from uyan.evaluation.shift_figure import heat_map, measured_responses, responses_figure
from uyan.evaluation.streams import joined_noise, lead_for
from uyan.files import replacing
from uyan.frontend import HOP_S
from uyan.pipeline.evaluate_bundle import METRICS, PAGE
from uyan.pipeline.held_out import held_out
from uyan.report.page import make_report
from uyan.storage.location import Location

REPORT, TABLE, MAP, RESPONSES = "shift.json", "shift.csv", "shift.png", "shift_devices.png"


def shift_bundle(
    path: Path,
    manifests: Sequence[Location],
    out: Path,
    samples: int = SAMPLES,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
) -> tuple[ShiftResult, tuple[str, ...]]:
    """Run all cells; write `shift.json`, `.csv`, `.png` and `shift_devices.png` below `out`.

    Returns the result and what a reader must know of the data behind it. Raises EvaluationError without positives,
    negatives or noise that may judge the bundle.
    """
    bundle = load(path)
    out.mkdir(parents=True, exist_ok=True)
    judges = held_out(bundle, manifests, progress, workers, out / "probes.parquet")
    noise = joined_noise(judges.noise)
    if noise is None:
        raise EvaluationError("--data holds no noise to mix in; add a manifest with recordings of kind noise")
    lead_s = lead_for(bundle.info.window_frames * HOP_S)
    result = shift(bundle, judges.positives, noise, samples=samples, seed=seed, lead_s=lead_s, progress=progress)
    with replacing(out / REPORT) as partial:
        report = {**asdict(result), "warnings": judges.warnings}
        partial.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    with replacing(out / TABLE) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = table(result)
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    heat_map(result, out / MAP)
    responses_figure(measured_responses(), out / RESPONSES)
    if (out / METRICS).is_file():  # an evaluation in the same folder, whose report then shows the cells as well
        make_report(out, out / PAGE, path.resolve().parent)
    return result, judges.warnings
