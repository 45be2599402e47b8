"""What may be said of a measured rate, in words: with its denominator, its bound, and a refusal where hours are few.

No alarm in a few hours is not a rate of zero: without one in H hours the 95 % bound is 3 / H. It computes
nothing that `intervals` does not.
"""

import math
from collections.abc import Mapping
from typing import Any

from uyan.data.recording import is_synthetic
from uyan.evaluation.intervals import Interval, poisson_rate, wider
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


def voices_claim(speakers: Mapping[str, tuple[int, int]]) -> str:
    """Whose word was judged, where machines spoke it: misses and recordings by speaker in, a sentence out.

    >>> voices_claim({"tts:espeak:tr+f2": (0, 2), "tts:piper:joe": (1, 3)})
    'no real voice has been heard: synthetic ones spoke all 5 recordings of the keyword that judge'
    >>> voices_claim({"ada": (0, 2), "tts:piper:joe": (1, 3)})
    'synthetic voices spoke 3 of the 5 recordings of the keyword that judge'
    >>> voices_claim({"ada": (0, 2)})
    ''
    """
    total = sum(count for _, count in speakers.values())
    synthetic = sum(count for speaker, (_, count) in speakers.items() if is_synthetic(speaker))
    if not synthetic:
        return ""
    if synthetic == total:
        return f"no real voice has been heard: synthetic ones spoke all {total} recordings of the keyword that judge"
    return f"synthetic voices spoke {synthetic} of the {total} recordings of the keyword that judge"


def at_fah_text(at: Mapping[str, Any]) -> str:
    """A cell of a table: MR@FAH as in `metrics.json`, with the alarms it allowed, and whether it may be quoted.

    >>> at_fah_text({"miss_rate": 0.0959, "false_alarms": 0, "hours": 1.536, "met": True, "supported": False})
    '9.6% (0 in 1.54 h), not claimed'
    >>> at_fah_text({"miss_rate": 0.5, "false_alarms": 9, "hours": 8.0, "met": False, "supported": False})
    '50.0% (9 in 8.00 h), not met'
    """
    verdict = "" if at["supported"] else ", not claimed" if at["met"] else ", not met"
    return f"{at['miss_rate']:.1%} ({at['false_alarms']} in {at['hours']:.2f} h){verdict}"


def miss_bounds(judged: Mapping[str, Any]) -> Interval:
    """The 95 % interval to show of a condition's miss rate: over speakers, or over recordings where that is wider.

    >>> few = {"miss_interval": {"low": 0.16, "high": 0.84}, "speaker_interval": {"low": 0.5, "high": 0.5}}
    >>> miss_bounds(few)
    Interval(low=0.16, high=0.84)
    """
    return wider(Interval(**judged["miss_interval"]), Interval(**judged["speaker_interval"]))


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


def at_fah_refusal(found: MissRateAtFah) -> str:
    """Why MR@FAH may not be quoted as such; empty where the alarms themselves show the rate, bound and all."""
    if too_short := refusal(found.target_fah, found.hours):
        return too_short
    if not found.met:
        return f"no threshold keeps to {found.target_fah:g} alarms per hour"
    if found.fah_interval.high > found.target_fah:
        return (
            f"{fah_claim(found.false_alarms, found.hours)}: more than the {found.target_fah:g} "
            "per hour that it was to show is not ruled out"
        )
    return ""


def at_fah_claim(found: MissRateAtFah) -> str:
    """MR@FAH as it may be quoted, or why it may not. Its threshold was chosen on the test: it is no detector's."""
    refused = at_fah_refusal(found)
    return (
        refused or f"{share_claim(found.misses, found.positives, found.miss_interval)}, at this test's best threshold"
    )
