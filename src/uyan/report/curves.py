"""The curves of an evaluation as pictures: DET, misses against alarms, scores, and how the training went.

Where the hours of negatives are too few to show so low a rate, the picture says so. It computes nothing beyond the
axes. DET: Martin et al. 1997.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from uyan.evaluation.intervals import poisson_rate
from uyan.evaluation.metrics import DetCurve, EventCurve, attainable, equal_error_rate
from uyan.report.svg import Axis, Drawing, Picture, linear_ticks, log10, log_odds, probit
from uyan.report.words import count, hours, percent, rate, score

SERIES = 5
"""Classes s0 … s4: each a colour and a dash of its own."""
DET_TICKS = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99)
SCORE_TICKS = ((1e-6, "10⁻⁶"), (1e-4, "10⁻⁴"), (0.01, "0.01"), (0.5, "0.5"), (0.99, "0.99"), (0.9999, "0.9999"))
SCORE_ENDS = 1e-7, 1 - 1e-6
SCORE_BINS = 44
AT_LEAST_TO_FAH = 2.0


def det_picture(curve: DetCurve, shipped: tuple[float, float] | None = None) -> Picture:
    """The clip-level DET; `shipped` is (false-alarm rate, miss rate) at the bundle's threshold."""
    # A probit axis has no 0 and no 100 %: half a trial stands for none, and all but half a one for all.
    lowest_alarm, lowest_miss = 0.5 / curve.negatives, 0.5 / curve.positives
    eer = equal_error_rate(curve)
    highest = max(0.6, min(2 * eer, 0.99))
    drawing = Drawing(
        _det_axis("false alarms, % of negative clips", lowest_alarm, highest),
        _det_axis("missed, % of positives", lowest_miss, highest),
    )
    drawing.line([0.001, highest], [0.001, highest], "guide")
    drawing.line(curve.false_alarm_rate, curve.miss_rate, "s0")
    drawing.dot(eer, eer, "mark")
    legend = [("s0", "every threshold"), ("dot mark", f"equal error rate {percent(eer)}")]
    if shipped:
        drawing.dot(*shipped, "s0")
        legend.append(("dot s0", "as shipped"))
    trials = f"{count(curve.positives, 'positive')}, {count(curve.negatives, 'clip')} of negatives"
    says = f"Detection error trade-off of {trials}: equal error rate {percent(eer)}"
    if shipped:
        says += f"; as shipped {percent(shipped[1])} missed at {percent(shipped[0])} false alarms"
    caption = f"Clip level, {trials} (2 s each). Down and to the left is better; both axes are normal deviates."
    return Picture(drawing.render(says), "Detection error trade-off", caption, tuple(legend))


def fah_picture(curves: Mapping[str, EventCurve], shipped: Mapping[str, tuple[float, float]]) -> Picture:
    """Miss rate against FAH on streams, the attainable staircase of each condition.

    `shipped`, by condition: (FAH, miss rate) at the bundle's own threshold.
    """
    hours_h = max(curve.hours for curve in curves.values())
    blind = poisson_rate(0, hours_h).high
    furthest = furthest_fah(hours_h, [fah for fah, _ in shipped.values()])
    highest = _highest_miss(curves.values(), [miss for _, miss in shipped.values()])
    drawing = Drawing(
        Axis("false alarms per hour", 0, furthest, linear_ticks(furthest)),
        _percent_axis("missed, % of positives", highest),
    )
    drawing.band(0, blind, "blind")
    if blind / furthest > 0.4:
        drawing.write(blind, highest, "too few hours to tell", "end", -6, 14)
    legend = []
    for number, (name, curve) in enumerate(curves.items()):
        fah, miss_rate = attainable(curve)
        shown = fah <= furthest
        if shown.any():
            drawing.steps(fah[shown], miss_rate[shown], f"s{number % SERIES}")
        legend.append((f"s{number % SERIES}", name))
    for number, name in enumerate(curves):
        if name in shipped:
            drawing.dot(*shipped[name], f"s{number % SERIES}")
    legend += [("dot s0", "as shipped")] if shipped else []
    legend.append(("blind", f"below {rate(blind)} per hour: {hours(hours_h)} cannot tell"))
    points = "; ".join(
        f"{name} {percent(miss)} missed at {rate(fah)} per hour" for name, (fah, miss) in shipped.items()
    )
    says = f"Miss rate against false alarms per hour, on {hours(hours_h)} of negatives: {points or 'no point shipped'}"
    caption = (
        f"The shipping detector on streams, {hours(hours_h)} of negatives. Each step is the lowest miss rate that a "
        "threshold could reach at that rate of alarms, chosen on these very recordings."
    )
    return Picture(drawing.render(says), "Misses against false alarms", caption, tuple(legend))


def furthest_fah(hours_h: float, shipped_fah: Sequence[float]) -> float:
    """The right end of `fah_picture`: beyond what so few hours cannot tell, and beyond the points that ship."""
    return max(AT_LEAST_TO_FAH, 1.2 * max([poisson_rate(0, hours_h).high, *shipped_fah]))


def score_picture(positive: ArrayLike, negative: ArrayLike, threshold: float) -> Picture:
    """How votes are spread: the highest of each positive (positives,) and of each stretch of negatives (stretches,)."""
    heard, other = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    low, high = log_odds(np.array(SCORE_ENDS)).tolist()
    edges_odds = np.linspace(low, high, SCORE_BINS + 1)
    edges = 1 / (1 + np.exp(-edges_odds))
    tops = {
        name: np.histogram(log_odds(np.clip(scores, *SCORE_ENDS)), edges_odds)[0]
        for name, scores in (("bad", other), ("good", heard))
    }
    highest = 1.6 * max(int(bins.max(initial=1)) for bins in tops.values())
    decades = [10**power for power in range(math.floor(math.log10(highest)) + 1)]
    drawing = Drawing(
        Axis("highest vote (log-odds axis)", *SCORE_ENDS, SCORE_TICKS, log_odds),
        Axis("how many (log axis)", 0.6, highest, [(n, f"{n:,}") for n in decades], log10),
    )
    for name, bins in tops.items():
        drawing.area(edges, np.maximum(bins, 0.6), name)
    drawing.upright(threshold, "mark")
    missed, alarms = int((heard < threshold).sum()), int((other >= threshold).sum())
    title = "How far apart the scores are"
    says = (
        f"Score distributions: {missed} of {heard.size} positives below the threshold {score(threshold)}, "
        f"{alarms} of {other.size} stretches of negatives at or above it"
    )
    caption = (
        f"The highest vote of each of {heard.size:,} positives and of each 2 s of negatives ({other.size:,}). "
        f"{missed} positives lie below the threshold, {alarms} stretches at or above it."
    )
    legend = (("area good", "positives"), ("area bad", "negatives"), ("mark", f"threshold {score(threshold)}"))
    return Picture(drawing.render(says), title, caption, legend)


def training_pictures(epochs: Mapping[str, Mapping[int, float]], best_epoch: int) -> list[Picture]:
    """Loss, validation miss rate and area, epoch by epoch (from 1); `epochs` maps a column to its values."""
    pictures = [
        _by_epoch(
            "Loss",
            "of training batches, and of validation audio",
            {"training": epochs.get("loss", {}), "validation": epochs.get("val_loss", {})},
            best_epoch,
        ),
        _by_epoch(
            "Validation misses",
            "at the target FAH on continuous validation audio",
            {"miss rate": epochs.get("val_miss_rate", {})},
            best_epoch,
            in_percent=True,
        ),
        _by_epoch(
            "Area under misses against alarms",
            "mean miss rate over targets up to 2 false alarms per hour, on validation audio",
            {"area": epochs.get("val_area", {})},
            best_epoch,
            in_percent=True,
        ),
    ]
    return [picture for picture in pictures if picture]


def _by_epoch(
    title: str, what: str, lines: Mapping[str, Mapping[int, float]], best: int, in_percent: bool = False
) -> Picture | None:
    lines = {name: values for name, values in lines.items() if values}
    if not lines:
        return None
    highest = 1.1 * max(max(values.values()) for values in lines.values()) or 1.0
    last = max(2, *(max(values) for values in lines.values()))
    stride = -(-last // 10)
    ticks = [(n, str(n)) for n in range(stride, last + 1, stride)]
    y = _percent_axis("%", highest) if in_percent else Axis("loss", 0, highest, linear_ticks(highest))
    drawing = Drawing(Axis("epoch", min(1, last - 1), last, ticks), y, height=230)
    drawing.upright(best, "guide")
    anchor, dx = ("end", -5) if best > last / 2 else ("start", 5)
    drawing.write(best, highest, f"kept: {best}", anchor, dx, 12)
    ends = []
    for number, (name, values) in enumerate(lines.items()):
        drawing.line(list(values), list(values.values()), f"s{number}")
        end = list(values.values())[-1]
        ends.append(f"{name} ends at {percent(end) if in_percent else f'{end:.3f}'}")
    legend = tuple((f"s{number}", name) for number, name in enumerate(lines)) if len(lines) > 1 else ()
    says = f"{title} over {last} epochs: {', '.join(ends)}; weights of epoch {best} were kept"
    return Picture(drawing.render(says), title, f"{what[0].upper()}{what[1:]}.", legend)


def _highest_miss(curves: Iterable[EventCurve], shipped: Sequence[float]) -> float:
    """What must be seen: the miss rates without one alarm, and as shipped; at least 10 %."""
    silent = [float(miss_rate[fah == fah[0]].min()) for fah, miss_rate in map(attainable, curves)]
    return min(1.0, max(0.1, 1.15 * max([*silent, *shipped])))


def _det_axis(title: str, lowest: float, highest: float) -> Axis:
    ticks = [(tick, f"{100 * tick:g}") for tick in DET_TICKS if 0.8 * lowest <= tick <= highest]
    return Axis(title, max(0.8 * lowest, 1e-5), highest, ticks, probit)


def _percent_axis(title: str, highest: float) -> Axis:
    ticks: Sequence[tuple[float, str]] = [(value / 100, text) for value, text in linear_ticks(100 * highest)]
    return Axis(title, 0, highest, ticks)
