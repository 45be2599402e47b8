"""Miss rate over the number of real voices, with and without synthetic ones, a panel a test condition.

In the style of `figures`, without pyplot. It computes nothing beyond the axes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uyan.evaluation.figures import CURVE, MARK, style
from uyan.evaluation.intervals import Interval


@dataclass(frozen=True)
class VoicesLine:
    """One way to train in one condition."""

    places: Sequence[int]
    """Numbers of the points, counted from 0, at which it was trained."""
    miss_rates: Sequence[float]
    """A place each, as the intervals."""
    intervals: Sequence[Interval]
    met: Sequence[bool]
    """False where no threshold keeps the target: drawn hollow."""


def voices_figure(sizes: Sequence[str], panels: Mapping[str, Mapping[str, VoicesLine]], title: str, path: Path) -> None:
    """Write condition → way to train → line as pictures side by side; `sizes` are the points' names, evenly spaced.

    The first way to train is red, the second blue. The file's suffix names the format.
    """
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * rows + 0.8), dpi=150, layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (condition, lines) in zip(grid, panels.items(), strict=False):
        style(axes)
        for shift, colour, (name, line) in zip((-0.06, 0.06), (MARK, CURVE), lines.items(), strict=False):
            _draw(axes, line, shift, colour, name)
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_xlabel("real voices to train on")
        axes.label_outer()
        axes.set_title(condition)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    grid[0].set_ylim(bottom=0)  # of all panels, once the highest has been drawn
    figure.supylabel("miss rate, % of positives", fontsize=11)
    figure.suptitle(title, fontsize=12)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path)


def _draw(axes: Axes, line: VoicesLine, shift: float, colour: str, name: str) -> None:
    percent = 100 * np.array(line.miss_rates)
    low, high = (100 * np.array([getattr(interval, end) for interval in line.intervals]) for end in ("low", "high"))
    around = np.clip([percent - low, high - percent], 0, None)
    at = np.array(line.places) + shift
    axes.errorbar(at, percent, around, fmt="o-", color=colour, linewidth=2, markersize=6, capsize=4, label=name)
    hollow = ~np.array(line.met, bool)
    axes.plot(at[hollow], percent[hollow], "o", color="white", markeredgecolor=colour, markersize=7, zorder=4)
