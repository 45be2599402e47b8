from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uyan.evaluation.intervals import Interval
from uyan.evaluation.shift import CELLS, CellResult, ShiftResult
from uyan.evaluation.shift_figure import BLACK, COLOURS, LINES, SCALE, SHOWN_HZ, _ink, heat_map, responses_figure


def _result(misses: list[int], samples: int = 200) -> ShiftResult:
    doubt = Interval(0.0, 1.0)
    cells = tuple(
        CellResult(cell, samples, 30, 6, count, count / samples, doubt, doubt, {"ada": (count, samples)})
        for cell, count in zip(CELLS, misses, strict=False)
    )
    total = samples * len(cells)
    rate = sum(misses) / total
    return ShiftResult("günaydın", 0.98, 42, cells, total, 30, 6, sum(misses), rate, doubt, ())


def _pixels(path: Path) -> NDArray[np.int_]:
    """Shape (height, width, 3), 0–255."""
    return np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)


def _area(pixels: NDArray[np.int_], percent: float) -> int:
    """Pixels of exactly the colour of a miss rate."""
    colour = np.round(np.array(COLOURS(SCALE(percent))[:3]) * 255).astype(int)
    return int((abs(pixels - colour) <= 1).all(axis=-1).sum())


def test_a_cell_is_as_dark_as_its_miss_rate(tmp_path: Path) -> None:
    """One cell of 30 %, two of 60 %, the rest none: areas of colour as one to two."""
    path = tmp_path / "shift.png"
    heat_map(_result([0] * 10 + [60] + [0] * 5 + [120, 120] + [0] * 6), path)
    pixels = _pixels(path)
    one, two, none = (_area(pixels, percent) for percent in (30, 60, 0))
    assert one > 10_000
    assert two == pytest.approx(2 * one, rel=0.1)
    assert none == pytest.approx(21 * one, rel=0.1)


def test_rows_are_devices_and_columns_go_from_little_noise_to_much(tmp_path: Path) -> None:
    """The first cell of the suite is the phone's at 8 kHz and 0 dB: top right."""
    path = tmp_path / "shift.png"
    heat_map(_result([200] + [0] * 23), path)
    pixels = _pixels(path)
    colour = np.round(np.array(COLOURS(1.0)[:3]) * 255).astype(int)
    rows, columns = np.argwhere((abs(pixels[:, : int(0.85 * pixels.shape[1])] - colour) <= 1).all(axis=-1)).T
    assert np.median(rows) < 0.2 * pixels.shape[0]
    assert np.median(columns) > 0.6 * pixels.shape[1]


def test_cells_that_were_not_measured_stay_empty(tmp_path: Path) -> None:
    path = tmp_path / "shift.png"
    heat_map(_result([60]), path)
    assert _area(_pixels(path), 30) > 10_000


@given(st.floats(0, 100))
def test_text_stands_out_from_its_cell(percent: float) -> None:
    """A contrast of 4.5 to 1 at least (WCAG AA)."""

    def luminance(channels: NDArray[np.float64]) -> float:
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])

    ink = np.array(list(bytes.fromhex(_ink(percent)[1:]))) / 255
    light, dark = sorted((luminance(ink), luminance(np.array(COLOURS(SCALE(percent))[:3]))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_colours_grow_darker_in_grey_too() -> None:
    grey = [np.dot(COLOURS(SCALE(percent))[:3], [0.299, 0.587, 0.114]) for percent in range(0, 101, 2)]
    assert (np.diff(grey) < 0).all()
    assert _ink(0.0) == BLACK != _ink(100.0)


def test_responses_have_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "responses.png"
    flat = np.zeros_like(SHOWN_HZ)
    responses_figure({"phone": flat - 20, "laptop": flat - 10, "mic": flat}, path)
    pixels = _pixels(path)
    at = {}
    for device, (colour, _) in LINES.items():
        found = np.argwhere((pixels[: int(0.85 * len(pixels))] == list(bytes.fromhex(colour[1:]))).all(axis=-1))
        assert len(found) > 100
        at[device] = found[:, 0].mean()
    assert at["mic"] < at["laptop"] < at["phone"]
