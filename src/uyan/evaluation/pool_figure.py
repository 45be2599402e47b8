"""The hard-negative pool as a picture: how what was scanned scored in each round, and which files the windows are from.

It draws `uyan.data.pool.composition` and computes nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from uyan.evaluation.figures import CURVE, MUTED

FILES_SHOWN = 10
NAME_LENGTH = 44


def pool_figure(composition: dict[str, Any], path: Path) -> None:
    """Write the picture; the file's suffix names the format."""
    figure = Figure(figsize=(11.0, 4.8), dpi=150, layout="constrained", facecolor="white")
    scores, files = figure.subplots(1, 2, width_ratios=(1, 1))
    rounds = composition["rounds"]
    for number, scan in enumerate(rounds):
        seconds = np.array(scan["score_histogram"], float)
        edges = np.linspace(0, 1, seconds.size + 1)
        shade = 0.3 + 0.7 * (number + 1) / len(rounds)
        scores.stairs(np.maximum(seconds, 0.5), edges, color=CURVE, alpha=shade, linewidth=2, label=_round(scan))
    scores.set_yscale("log")
    scores.set_xlabel("highest score in a second of negatives (before calibration)")
    scores.set_ylabel("seconds")
    scores.set_title("What was scanned")
    scores.legend(frameon=False, fontsize=9)
    shown = composition["files"][:FILES_SHOWN][::-1]
    files.barh([_short(row["path"]) for row in shown], [row["windows"] for row in shown], color=CURVE)
    files.set_xlabel("windows in the pool")
    files.set_title(f"{composition['windows']:,} windows from {composition['file_count']:,} files")
    for axes in (scores, files):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=MUTED, labelsize=9)
    figure.savefig(path)


def _round(scan: dict[str, Any]) -> str:
    hours = scan["hours_scanned"] + scan["hours_of_variants"]
    return f"round {scan['round']}: {scan['windows_found']:,} windows in {hours:.1f} h"


def _short(path: str) -> str:
    """The end of a path, which tells files apart.

    >>> _short("gcompris/" + 60 * "a")[:3], len(_short("gcompris/" + 60 * "a"))
    ('…aa', 44)
    """
    return path if len(path) <= NAME_LENGTH else "…" + path[1 - NAME_LENGTH :]
