"""Who is missed and what sets the detector off, a row each, with the interval that the count allows.

A voice with one recording and a source with a minute look as uncertain as they are. It counts nothing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from markupsafe import Markup

from uyan.evaluation.false_alarms import SourceRate
from uyan.evaluation.intervals import clopper_pearson
from uyan.report.contents import PerSpeaker
from uyan.report.svg import WIDTH, Picture, shortened, svg, words
from uyan.report.words import count, hours, rate, rate_bounds

ROWS = 24
"""In one picture at most: two stand side by side, and each fits on a printed page."""
SPEAKER_ROW, RATE_ROW = 21, 42
NAME_END, BAR_END = 122, 336
NAME_CHARACTERS, LONG_NAME_CHARACTERS = 15, 24
RATE_START, RATE_END = 6, WIDTH - 6
AXIS = 30
"""Below the last row."""

Row = TypeVar("Row")
Counts = tuple[str, tuple[int, int]]
"""speaker_id; misses, positives."""


def ranked(speakers: PerSpeaker) -> list[Counts]:
    """Most missed first: by share, then by count, then by name.

    >>> ranked({"ada": (0, 9), "cem": (1, 1), "eda": (2, 4), "ela": (5, 5)})
    [('ela', (5, 5)), ('cem', (1, 1)), ('eda', (2, 4)), ('ada', (0, 9))]
    """
    return sorted(speakers.items(), key=lambda item: (-item[1][0] / max(1, item[1][1]), -item[1][0], item[0]))


def speaker_pictures(speakers: PerSpeaker, title: str) -> list[Picture]:
    """Misses of every speaker, most missed first."""
    untouched = sum(misses == 0 for misses, _ in speakers.values())
    caption = (
        f"Misses of all recordings of each of {count(len(speakers), 'speaker')}, most missed first; {untouched} of "
        "them were never missed. Thin lines: 95 % intervals (Clopper–Pearson)."
    )
    rows = [row for row in ranked(speakers) if row[1][1]]
    return _numbered([_speaker_rows(page) for page in _pages(rows)], title, caption)


def rate_pictures(rates: Mapping[str, SourceRate], title: str) -> list[Picture]:
    """False alarms per hour of each kind of negative audio, most first."""
    rows, decades = list(rates.items()), _decades(list(rates.values()))
    return _numbered([_rate_rows(page, decades) for page in _pages(rows)], title, "")


def _pages(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """In order, as even as can be, with at most `ROWS` each."""
    size = -(-len(rows) // -(-len(rows) // ROWS)) if rows else 1
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _numbered(drawings: Sequence[Markup], title: str, caption: str) -> list[Picture]:
    several = len(drawings) > 1
    return [
        Picture(drawing, f"{title}, {number} of {len(drawings)}" if several else title, "" if number > 1 else caption)
        for number, drawing in enumerate(drawings, 1)
    ]


def _speaker_rows(rows: Sequence[Counts]) -> Markup:
    across, bottom = BAR_END - NAME_END, len(rows) * SPEAKER_ROW + 4
    parts = []
    for quarter in range(5):
        x = NAME_END + across * quarter / 4
        parts.append(f'<path class="grid" d="M{x:g} 0V{bottom}"/>')
        if quarter % 2 == 0:
            parts.append(words(x, bottom + 15, f"{25 * quarter} %", "middle"))
    for number, (name, (misses, positives)) in enumerate(rows):
        middle = number * SPEAKER_ROW + SPEAKER_ROW / 2 + 2
        bounds = clopper_pearson(misses, positives)
        low, high = (NAME_END + across * end for end in (bounds.low, bounds.high))
        parts.append(words(NAME_END - 6, middle + 4, shortened(name, NAME_CHARACTERS), "end", "name"))
        if misses:
            place = f'x="{NAME_END}" y="{middle - 6:g}" width="{across * misses / positives:.1f}" height="12"'
            parts.append(f'<rect class="bar" {place}/>')
        parts.append(f'<path class="whisker" d="M{low:.1f} {middle:g}H{high:.1f}"/>')
        parts.append(words(WIDTH, middle + 4, f"{misses} / {positives}", "end", "name" if misses else "tick"))
    missed = "; ".join(f"{name} {misses} of {positives}" for name, (misses, positives) in rows if misses)
    return svg(parts, bottom + 22, f"Misses by speaker: {missed or 'nobody was missed'}")


def _rate_rows(rows: Sequence[tuple[str, SourceRate]], decades: range) -> Markup:
    bottom = len(rows) * RATE_ROW + 2
    parts = []
    for decade in decades:
        x = _place(10.0**decade, decades)
        parts.append(f'<path class="grid" d="M{x:.1f} 0V{bottom}"/>')
        anchor = "start" if decade == decades[0] else "end" if decade == decades[-1] else "middle"
        parts.append(words(x, bottom + 15, f"{10.0**decade:g}", anchor))
    for number, (name, found) in enumerate(rows):
        top = number * RATE_ROW
        counted = f"{found.events} in {hours(found.hours)}: {_rate_text(found)}"
        parts.append(words(RATE_START, top + 16, shortened(name, LONG_NAME_CHARACTERS), "start", "name halo"))
        parts.append(words(RATE_END, top + 16, counted, "end", "note halo"))
        parts += _rate_marks(found, top + 29, decades)
    summary = "; ".join(f"{name} {found.events} in {hours(found.hours)}, {_rate_text(found)}" for name, found in rows)
    return svg(parts, bottom + AXIS - 8, f"False alarms per hour: {summary}")


def _rate_text(found: SourceRate) -> str:
    if not found.events:
        return f"≤ {rate(found.fah_interval.high)}"
    return f"{rate(found.fah)} ({rate_bounds(found.fah_interval, found.events)})"


def _rate_marks(found: SourceRate, middle: float, decades: range) -> list[str]:
    low, high = (_place(end, decades) for end in (found.fah_interval.low, found.fah_interval.high))
    kind = "whisker strong" if found.events else "whisker open"
    marks = [
        f'<path class="{kind}" d="M{low:.1f} {middle:g}H{high:.1f}"/>',
        f'<path class="whisker strong" d="M{high:.1f} {middle - 4:g}V{middle + 4:g}"/>',
    ]
    if found.events:
        marks.append(f'<circle class="dot alarm" cx="{_place(found.fah, decades):.1f}" cy="{middle:g}" r="4.5"/>')
    return marks


def _decades(rates: Sequence[SourceRate]) -> range:
    """Powers of ten around all intervals; those from zero reach to the left edge."""
    ends = [end for r in rates for end in (r.fah_interval.low, r.fah_interval.high) if 0 < end < math.inf]
    low, high = math.floor(math.log10(min(ends, default=1.0))), math.ceil(math.log10(max(ends, default=1.0)))
    return range(low, max(low + 1, high) + 1)


def _place(per_hour: float, decades: range) -> float:
    """Where a rate lies, in the drawing's units."""
    power = math.log10(per_hour) if per_hour > 0 else -math.inf
    share = (min(max(power, decades[0]), decades[-1]) - decades[0]) / (decades[-1] - decades[0])
    return RATE_START + share * (RATE_END - RATE_START)
