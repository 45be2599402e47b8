"""Numbers as a reader wants them: shares, intervals, moments, each with its unit.

It knows nothing of pages or pictures, and computes nothing.
"""

import math

from uyan.evaluation.intervals import Interval


def percent(share: float) -> str:
    """A share with one digit after the point; below 1 % with two, since there 0.05 and 0.1 are not the same.

    >>> percent(0.0909), percent(0.0048), percent(0.0), percent(1.0)
    ('9.1 %', '0.48 %', '0 %', '100 %')
    """
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def percent_bounds(interval: Interval) -> str:
    """An interval of shares.

    >>> percent_bounds(Interval(0.0373, 0.1784))
    '3.7 – 17.8 %'
    """
    return f"{100 * interval.low:.1f} – {100 * interval.high:.1f} %"


def rate(per_hour: float) -> str:
    """A rate per hour with three digits that say something.

    >>> rate(0.1326), rate(10.8), rate(437.505), rate(math.inf)
    ('0.13', '10.8', '438', '∞')
    """
    if not math.isfinite(per_hour):
        return "∞"
    return f"{per_hour:.2f}" if per_hour < 10 else f"{per_hour:.1f}" if per_hour < 100 else f"{per_hour:,.0f}"


def rate_bounds(interval: Interval, events: int) -> str:
    """An interval of a rate per hour; without an event only its upper bound says something.

    >>> rate_bounds(Interval(0.36, 10.8), 2), rate_bounds(Interval(0.0, 4.478), 0)
    ('0.36 – 10.8', '≤ 4.48')
    """
    return f"{rate(interval.low)} – {rate(interval.high)}" if events else f"≤ {rate(interval.high)}"


def hours(duration_h: float) -> str:
    """A duration in the unit that fits it.

    >>> hours(7.837), hours(0.0568), hours(0.004)
    ('7.84 h', '3.4 min', '14 s')
    """
    if duration_h >= 0.5:
        return f"{duration_h:,.2f} h"
    return f"{60 * duration_h:.1f} min" if duration_h >= 1 / 60 else f"{3600 * duration_h:.0f} s"


def moment(time_s: float) -> str:
    """A place in a recording.

    >>> moment(24.6), moment(430.9), moment(3661.25)
    ('0:24.6', '7:10.9', '1:01:01.2')
    """
    tenths = round(10 * max(0.0, time_s))
    minutes, tenths = divmod(tenths, 600)
    clock = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else f"{minutes}"
    return f"{clock}:{tenths // 10:02d}.{tenths % 10}"


def seconds(duration_s: float) -> str:
    """A delay.

    >>> seconds(0.1673), seconds(-0.04)
    ('0.17 s', '−0.04 s')
    """
    return f"{duration_s:.2f} s".replace("-", "−")


def score(value: float) -> str:
    """A score between 0 and 1: where it nears an end, as many digits as tell it from that end.

    >>> score(0.9999845), score(0.981602), score(0.5), score(1e-9)
    ('0.999985', '0.9816', '0.5', '1e-09')
    """
    rest = min(value, 1 - value)
    if not 0 < rest < 0.01:
        return f"{value:.4g}"
    return f"{value:.{min(12, 1 - math.floor(math.log10(rest)))}f}" if value > 0.5 else f"{value:.2g}"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "alarm"), count(1240, "speaker")
    ('1 alarm', '1,240 speakers')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
