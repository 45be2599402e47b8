"""The domain-shift suite as one picture: a field a cell, as dark as its miss rate, with its counts.

The scale is always 0–100 %, so that two reports can be laid side by side. It counts nothing.
"""

import math

from uyan.evaluation.devices import DEVICES, RATES_HZ
from uyan.evaluation.shift import Cell, CellResult, ShiftResult
from uyan.report.svg import WIDTH, Picture, svg, words
from uyan.report.words import count, percent, percent_bounds

NAMES, HEAD, ROW = 112, 26, 44
INK_CHANGES = 0.78
"""Where white stands out more than black from a field so deep."""


def heat_map(result: ShiftResult) -> Picture:
    """Rows of device and rate, columns of signal-to-noise ratio; cells not measured stay empty."""
    rows = [(device, rate_hz) for device in DEVICES for rate_hz in RATES_HZ]
    ratios = sorted({found.cell.snr_db for found in result.cells}, reverse=True)
    by_cell = {found.cell: found for found in result.cells}
    width = (WIDTH - NAMES) / len(ratios)
    parts = [
        words(NAMES + width * (column + 0.5), HEAD - 9, f"{ratio:g} dB", "middle")
        for column, ratio in enumerate(ratios)
    ]
    for number, (device, rate_hz) in enumerate(rows):
        top = HEAD + ROW * number
        parts.append(words(NAMES - 8, top + ROW / 2 + 4, f"{device}, {rate_hz / 1000:g} kHz", "end", "name"))
        for column, ratio in enumerate(ratios):
            found = by_cell.get(Cell(rate_hz, ratio, device))
            parts += _field(found, NAMES + width * column, top, width) if found else []
    worst = max(result.cells, key=lambda found: found.miss_rate)
    says = (
        f"Domain shift, {count(len(result.cells), 'cell')}: {percent(result.miss_rate)} missed on average, most in "
        f"{worst.cell.name}: {worst.misses} of {worst.samples}"
    )
    caption = (
        f"All {len(result.cells)} cells: {result.misses:,} of {result.samples:,} missed, {percent(result.miss_rate)} "
        f"(95 % over speakers {percent_bounds(result.speaker_interval)}). Columns: voice to noise, in the air."
    )
    return Picture(svg(parts, HEAD + ROW * len(rows), says), "Misses through other devices", caption)


def _field(found: CellResult, left: float, top: float, width: float) -> list[str]:
    # A square root: 2 % and 10 % can be told apart as well as 50 % and 75 %.
    depth = math.sqrt(found.miss_rate)
    ink = "deep" if depth > INK_CHANGES else "pale"
    place = f'x="{left + 1.5:.1f}" y="{top + 1.5:g}" width="{width - 3:.1f}" height="{ROW - 3}"'
    middle = left + width / 2
    return [
        f'<rect class="cell" {place} fill-opacity="{max(0.05, depth):.2f}"/>',
        words(middle, top + 20, percent(found.miss_rate), "middle", f"name {ink}"),
        words(middle, top + 36, f"{found.misses}/{found.samples}", "middle", f"tick {ink}"),
    ]
