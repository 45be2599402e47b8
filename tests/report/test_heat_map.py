import re

from uyan.evaluation.intervals import Interval
from uyan.evaluation.shift import CELLS, CellResult, ShiftResult
from uyan.report.heat_map import heat_map


def result(misses: dict[str, int]) -> ShiftResult:
    bounds = Interval(0.0, 1.0)
    cells = tuple(
        CellResult(c, 200, 20, 4, misses.get(c.name, 0), misses.get(c.name, 0) / 200, bounds, bounds, {}) for c in CELLS
    )
    total = sum(misses.values())
    return ShiftResult("jarvis", 0.9, 42, cells, 4800, 20, 4, total, total / 4800, bounds, ())


def test_every_cell_has_its_count_and_the_worst_is_named() -> None:
    picture = heat_map(result({"phone, 8 kHz, 0 dB SNR": 198, "mic, 16 kHz, 20 dB SNR": 2}))
    assert picture.svg.count('class="cell"') == 24
    assert "198/200" in picture.svg
    assert "most in phone, 8 kHz, 0 dB SNR: 198 of 200" in picture.svg
    assert "All 24 cells: 200 of 4,800 missed, 4.2 %" in picture.caption


def test_more_misses_are_deeper_and_written_in_white() -> None:
    svg = str(heat_map(result({"phone, 8 kHz, 0 dB SNR": 198, "mic, 16 kHz, 20 dB SNR": 8})).svg)
    depths = sorted({float(found) for found in re.findall(r'fill-opacity="([\d.]+)"', svg)})
    assert depths == [0.05, 0.2, 0.99]
    assert svg.count("deep") == 2  # the rate and the count of one cell
