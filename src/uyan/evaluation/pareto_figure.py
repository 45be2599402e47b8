"""A search as a picture: what each trial misses against what it costs, and the trials that none beats in both.

In the style of `figures`, without pyplot. It computes nothing beyond the axes, and knows nothing of recipes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from uyan.evaluation.figures import CURVE, MARK, MUTED, canvas
from uyan.evaluation.intervals import Interval

RULED_OUT = "#a4abb5"
"""Light grey: nothing was measured of it."""


@dataclass(frozen=True)
class TrialPoint:
    """One trial."""

    name: str
    cost: float
    """Of its network: parameters, or the time of a window."""
    miss_rate: float | None
    """None where it was not judged."""
    interval: Interval | None
    on_front: bool
    own: bool
    """The recipe as it is."""


def pareto_figure(points: Sequence[TrialPoint], what: str, limit: float | None, title: str, path: Path) -> None:
    """Write miss rate against cost (`what` it is): the front in red with intervals, other trials in blue.

    Trials that were not judged stand in grey on the lower edge; `limit` is drawn where there is one.
    """
    figure, axes = canvas((7.6, 5.6))
    judged = [point for point in points if point.miss_rate is not None]
    if ruled_out := [point.cost for point in points if point.miss_rate is None]:
        edge = axes.get_xaxis_transform()
        crosses = axes.plot(ruled_out, [0.0] * len(ruled_out), "x", color=RULED_OUT, markersize=9, transform=edge)[0]
        crosses.set(markeredgewidth=2.5, clip_on=False, zorder=5, label="not judged: beyond a limit, or failed")
    if others := [point for point in judged if not point.on_front]:
        axes.plot(*_placed(others), "o", color=CURVE, alpha=0.6, markersize=6, label="trials")
    _draw_front(axes, sorted((p for p in judged if p.on_front), key=lambda point: point.cost))
    if own := [point for point in judged if point.own]:
        axes.plot(*_placed(own), "s", color=MUTED, fillstyle="none", markersize=13, label="the recipe as it is")
    if limit is not None:
        axes.axvline(limit, color=MUTED, linewidth=1.2, linestyle=(0, (1, 2)), label=f"limit {limit:,g}")
    axes.set_ylim(-3, 103)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(what)
    axes.set_ylabel("miss rate on validation, % of positives")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path)


def _draw_front(axes: Axes, front: Sequence[TrialPoint]) -> None:
    costs, percent = _placed(front)
    intervals = [point.interval or Interval(point.miss_rate or 0.0, point.miss_rate or 0.0) for point in front]
    low, high = (100 * np.array([getattr(i, end) for i in intervals]) for end in ("low", "high"))
    around = np.clip([np.array(percent) - low, high - np.array(percent)], 0, None)
    axes.errorbar(costs, percent, around, fmt="o", color=MARK, markersize=8, capsize=4, label="front, 95 % intervals")
    axes.step(costs, percent, where="post", color=MARK, linewidth=1.2, linestyle=(0, (4, 3)))
    for point, cost, height in zip(front, costs, percent, strict=True):
        axes.annotate(point.name, (cost, height), (8, 8), textcoords="offset points", color=MARK, fontsize=10)


def _placed(points: Sequence[TrialPoint]) -> tuple[list[float], list[float]]:
    """Costs and miss rates in percent."""
    return [point.cost for point in points], [100 * (point.miss_rate or 0.0) for point in points]
