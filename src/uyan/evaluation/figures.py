"""The curves as pictures and as data: DET on normal-deviate axes, miss rate against false alarms per hour.

Drawn on matplotlib's Figure objects, without pyplot: no display, no global state. It computes nothing beyond
the axes. The DET plot is that of Martin et al. 1997: Gaussian scores give a straight line.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtri

from uyan.evaluation.calibration import OperatingPoint
from uyan.evaluation.metrics import DetCurve, EventCurve, attainable, equal_error_rate

DET_TICKS = np.array([0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 99]) / 100
"""Rates with a label on the DET axes."""

CURVE, MARK, MUTED = "#1f5fa8", "#c8421f", "#5f6670"
"""Blue for curves, red for the point that matters, grey for all the rest."""

CONDITIONS = (CURVE, "#e0902b", MARK, "#3c8a4f", "#7b4fa3")
"""For several curves in one picture, in order."""

CURVES_TO_FAH = 2.0


def det_figure(curve: DetCurve, path: Path) -> None:
    """Write the DET curve as a picture, the equal error rate marked; the file's suffix names the format."""
    # A probit axis has no 0 and no 100 %: half a trial stands for none, and all but half a one for all.
    lowest_alarm, lowest_miss = 0.5 / curve.negatives, 0.5 / curve.positives
    alarms = np.clip(curve.false_alarm_rate, lowest_alarm, 1 - lowest_alarm)
    misses = np.clip(curve.miss_rate, lowest_miss, 1 - lowest_miss)
    eer = equal_error_rate(curve)
    highest = max(0.6, min(2 * eer, 0.99))
    figure, axes = canvas((6.4, 6.2))
    axes.plot(ndtri(alarms), ndtri(misses), color=CURVE, linewidth=2)
    axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    at = float(ndtri(np.clip(eer, max(lowest_alarm, lowest_miss), highest)))
    axes.plot([at], [at], "o", color=MARK, markersize=8, label=f"equal error rate {100 * eer:.2f} %")
    axes.set_xticks(ndtri(DET_TICKS), [f"{100 * tick:g}" for tick in DET_TICKS])
    axes.set_yticks(ndtri(DET_TICKS), [f"{100 * tick:g}" for tick in DET_TICKS])
    axes.set_xlim(_det_limits(lowest_alarm, highest))
    axes.set_ylim(_det_limits(lowest_miss, highest))
    axes.set_xlabel("false-alarm rate, % of negative clips")
    axes.set_ylabel("miss rate, % of positive clips")
    axes.set_title(f"Clip-level DET: {curve.positives:,} positives, {curve.negatives:,} negatives")
    axes.legend(loc="upper right", framealpha=1, edgecolor="none")
    figure.savefig(path)


def event_curve_figure(curve: EventCurve, operating_point: OperatingPoint, path: Path) -> None:
    """Write miss rate against FAH as a picture: thresholds, the attainable staircase, the operating point.

    `operating_point` may come from another split than `curve`; its own rates and intervals are drawn.
    """
    point = operating_point
    furthest_fah = max(4 * point.target_fah, 1.5 * point.fah, 2.0)
    fah, miss_rate = attainable(curve)
    # The staircase goes on as a level line to the right edge of the picture.
    fah, percent = np.append(fah, max(fah[-1], furthest_fah)), 100 * np.append(miss_rate, miss_rate[-1])
    figure, axes = canvas((7.6, 5.6))
    dots = axes.plot(curve.fah, 100 * curve.miss_rate, "o", color=CURVE, alpha=0.35, markersize=4)[0]
    dots.set_label("single thresholds")
    axes.step(fah, percent, where="post", color=CURVE, linewidth=2, label="lowest attainable miss rate")
    axes.axvline(point.target_fah, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)), label="target FAH")
    _draw_point(axes, point)
    axes.set_xlim(-0.02 * furthest_fah, furthest_fah)
    axes.set_ylim(-3, 103)
    axes.set_xlabel("false alarms per hour (detector events)")
    axes.set_ylabel("miss rate, % of positives")
    axes.set_title(f"Detector on streams: {curve.positives:,} positives, {curve.hours:,.1f} h of negatives")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path)


def event_curves_figure(curves: Mapping[str, EventCurve], title: str, path: Path) -> None:
    """Write miss rate against FAH as a picture, the attainable staircase of each condition in a colour of its own."""
    figure, axes = canvas((7.6, 5.6))
    for (name, curve), colour in zip(curves.items(), itertools.cycle(CONDITIONS), strict=False):
        fah, miss_rate = attainable(curve)
        fah, percent = np.append(fah, max(fah[-1], CURVES_TO_FAH)), 100 * np.append(miss_rate, miss_rate[-1])
        axes.step(fah, percent, where="post", color=colour, linewidth=2, label=name)
    axes.set_xlim(-0.02 * CURVES_TO_FAH, CURVES_TO_FAH)
    axes.set_ylim(-3, 103)
    axes.set_xlabel("false alarms per hour (detector events)")
    axes.set_ylabel("miss rate, % of positives")
    positives, hours = (max(getattr(curve, of) for curve in curves.values()) for of in ("positives", "hours"))
    axes.set_title(f"{title}: {positives:,} positives, {hours:,.1f} h of negatives")
    figure.legend(loc="outside lower center", ncols=len(curves), frameon=False)
    figure.savefig(path)


def save_event_curves_csv(curves: Mapping[str, EventCurve], path: Path) -> None:
    """Write the curves as CSV: condition, threshold, miss_rate, fah, detected, false_alarms."""
    rows = ["condition,threshold,miss_rate,fah,detected,false_alarms"]
    for name, curve in curves.items():
        columns = (curve.thresholds, curve.miss_rate, curve.fah, curve.detected, curve.false_alarms)
        rows += [",".join([name, *map(repr, row)]) for row in zip(*(c.tolist() for c in columns), strict=True)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def save_det_csv(curve: DetCurve, path: Path) -> None:
    """Write the DET curve as CSV: threshold, miss_rate, false_alarm_rate, misses, false_alarms.

    Every digit of a float is kept, so that reading the file gives the curve again.
    """
    rows = ["threshold,miss_rate,false_alarm_rate,misses,false_alarms"]
    columns = (curve.thresholds.tolist(), curve.miss_rate.tolist(), curve.false_alarm_rate.tolist())
    for threshold, miss_rate, alarm_rate in zip(*columns, strict=True):
        misses, alarms = round(miss_rate * curve.positives), round(alarm_rate * curve.negatives)
        rows.append(f"{threshold!r},{miss_rate!r},{alarm_rate!r},{misses},{alarms}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def canvas(size_inches: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty picture in the style of all of them."""
    figure = Figure(figsize=size_inches, dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Give one panel the look of all pictures."""
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelsize=10)
    axes.xaxis.label.set_fontsize(11)
    axes.yaxis.label.set_fontsize(11)
    axes.title.set_fontsize(12)


def _det_limits(lowest: float, highest: float) -> tuple[float, float]:
    # A little air around the curve's end; at most down to the lowest labelled rate.
    return float(ndtri(max(0.8 * lowest, DET_TICKS[0]))), float(ndtri(highest))


def _draw_point(axes: Axes, point: OperatingPoint) -> None:
    miss, alarm = point.miss_interval, point.fah_interval
    alarms = f"{point.false_alarms} false alarm{'s' if point.false_alarms != 1 else ''}"
    axes.errorbar(
        [point.fah],
        [100 * point.miss_rate],
        xerr=[[point.fah - alarm.low], [alarm.high - point.fah]],
        yerr=[[100 * (point.miss_rate - miss.low)], [100 * (miss.high - point.miss_rate)]],
        fmt="o",
        color=MARK,
        markersize=8,
        capsize=4,
        label=f"threshold {point.threshold:.4f}: {point.misses} of {point.positives} missed,\n"
        f"{alarms} in {point.hours:.1f} h, 95 % intervals" + ("" if point.met else "\ntarget not met"),
    )
