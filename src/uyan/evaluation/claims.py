"""What may be said of a measured rate, in words: with its denominator, its bound, and a refusal where hours are few.

No alarm in a few hours is not a rate of zero: without one in H hours the 95 % bound is 3 / H. It computes
nothing that `intervals` does not.
"""

import math

from uyan.evaluation.intervals import Interval, poisson_rate
from uyan.evaluation.metrics import MissRateAtFah


def fah_claim(events: int, hours: float) -> str:
    """A false-alarm rate as it may be quoted.

    >>> fah_claim(0, 7.8)
    '0 alarms in 7.80 h: ≤ 0.38 per hour (95 %)'
    >>> fah_claim(4, 8.0)
    '4 alarms in 8.00 h: 0.50 per hour (95 % 0.14 – 1.28)'
    """
    bounds = poisson_rate(events, hours)
    alarms = f"{events} alarm{'' if events == 1 else 's'} in {hours:.2f} h"
    if not events:
        return f"{alarms}: ≤ {bounds.high:.2f} per hour (95 %)"
    return f"{alarms}: {events / hours:.2f} per hour (95 % {bounds.low:.2f} – {bounds.high:.2f})"


def share_claim(misses: int, positives: int, interval: Interval) -> str:
    """A miss rate as it may be quoted.

    >>> share_claim(3, 60, Interval(0.01, 0.14))
    '3 of 60 missed: 5.0 % (95 % 1.0 – 14.0)'
    """
    return (
        f"{misses} of {positives} missed: {100 * misses / positives:.1f} % "
        f"(95 % {100 * interval.low:.1f} – {100 * interval.high:.1f})"
    )


def refusal(target_fah: float, hours: float) -> str:
    """Why so few hours cannot show a rate; empty where they can.

    >>> refusal(0.1, 7.8)
    '7.8 h of negatives cannot show 0.1 alarms per hour: 30.0 h without an alarm are needed'
    >>> refusal(0.5, 7.8)
    ''
    """
    needed_h = poisson_rate(0, 1.0).high / target_fah
    if hours >= needed_h:
        return ""
    return (
        f"{hours:.1f} h of negatives cannot show {target_fah:g} alarms per hour: "
        f"{math.ceil(10 * needed_h) / 10:.1f} h without an alarm are needed"
    )


def at_fah_claim(found: MissRateAtFah) -> str:
    """MR@FAH as it may be quoted, or why it may not."""
    if refused := refusal(found.target_fah, found.hours):
        return refused
    if not found.met:
        return f"no threshold keeps to {found.target_fah:g} alarms per hour"
    return share_claim(found.misses, found.positives, found.miss_interval)
