"""Runs side by side as pictures: differences from a baseline with their intervals, and the learning curve.

In the style of `figures`, without pyplot. It computes nothing beyond the axes, and knows nothing of recipes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.ticker import NullFormatter

from uyan.evaluation.comparison import Difference, PowerLaw
from uyan.evaluation.figures import CURVE, MARK, MUTED, canvas
from uyan.evaluation.intervals import Interval

MARKERS = "osD^vP"
"""A condition each: colours tell what matters, shapes tell conditions."""


@dataclass(frozen=True)
class CurveLine:
    """Miss rates of one test condition, a point each."""

    miss_rates: Sequence[float]
    intervals: Sequence[Interval] = ()
    """A point each, or none at all: the line is then drawn without, in grey."""


def differences_figure(differences: Mapping[str, Mapping[str, Difference]], title: str, path: Path) -> None:
    """Write condition → row → difference as points with intervals, red where the interval leaves zero out."""
    listed = [(f"{row}, {condition}", d) for condition, rows in differences.items() for row, d in rows.items()]
    figure, axes = canvas((7.6, 1.8 + 0.36 * len(listed)))
    for place, (_, difference) in enumerate(listed):
        interval = difference.interval or Interval(difference.mean, difference.mean)
        axes.errorbar(
            [100 * difference.mean],
            [place],
            xerr=[[100 * (difference.mean - interval.low)], [100 * (interval.high - difference.mean)]],
            fmt="o",
            color=MARK if difference.real else CURVE,
            markersize=7,
            capsize=4 if difference.interval else 0,
        )
    axes.axvline(0, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)))
    axes.set_yticks(range(len(listed)), [name for name, _ in listed])
    axes.set_ylim(len(listed) - 0.5, -0.5)
    axes.set_xlabel("miss rate less the baseline's, percentage points (right is worse);\n95 % intervals over seeds")
    axes.set_title(title)
    figure.savefig(path)


def learning_curve_figure(
    sizes: Sequence[int], lines: Mapping[str, CurveLine], law: PowerLaw | None, what: str, title: str, path: Path
) -> None:
    """Write miss rates against sizes (both of shape (points,), `what` they count) on a logarithmic axis.

    `law`, where there is one, is that of the first line; it is drawn on to twice the largest size.
    """
    figure, axes = canvas((7.6, 5.6))
    for number, (name, line) in enumerate(lines.items()):
        marker, percent = MARKERS[number % len(MARKERS)], 100 * np.array(line.miss_rates)
        if line.intervals:
            low, high = (100 * np.array([getattr(i, end) for i in line.intervals]) for end in ("low", "high"))
            around = np.clip([percent - low, high - percent], 0, None)
            axes.errorbar(sizes, percent, around, fmt=f"{marker}-", color=CURVE, linewidth=2, capsize=4, label=name)
        else:
            axes.plot(sizes, percent, f"{marker}-", color=MUTED, linewidth=1, alpha=0.7, label=name)
    if law is not None:
        along = np.geomspace(min(sizes), 2 * max(sizes), 50)
        fitted = [100 * law.at(size) for size in along]
        dashes = axes.plot(along, fitted, color=MARK, linewidth=1.5, linestyle=(0, (4, 3)))[0]
        dashes.set_label(f"power law, {next(iter(lines))}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(set(sizes)), [f"{size:,}" for size in sorted(set(sizes))])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-3, 103)
    axes.set_xlabel(f"{what} to train on")
    axes.set_ylabel("miss rate, % of positives")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path)
