from pathlib import Path

import matplotlib.image
import numpy as np

from uyan.evaluation.intervals import Interval
from uyan.evaluation.voices_figure import VoicesLine, voices_figure

RED, BLUE = (0xC8, 0x42, 0x1F), (0x1F, 0x5F, 0xA8)
SIZES = ["0", "5", "10", "27 – 29"]


def _pixels(path: Path, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of exactly that colour, shape (pixels, 2)."""
    picture = np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)
    return np.argwhere((picture == colour).all(axis=-1))


def _line(rates: list[float], first: int = 0, met: bool = True) -> VoicesLine:
    around = [Interval(rate - 0.02, rate + 0.02) for rate in rates]
    return VoicesLine(range(first, first + len(rates)), rates, around, [met] * len(rates))


def test_a_line_lies_where_its_points_and_rates_are(tmp_path: Path) -> None:
    path = tmp_path / "voices.png"
    lines = {"without": _line([0.6, 0.55, 0.5], 1), "with": _line([0.2, 0.15, 0.1, 0.1])}
    voices_figure(SIZES, {"clean": lines}, "title", path)
    red, blue = _pixels(path, RED), _pixels(path, BLUE)
    legend = 0.9 * max(red[:, 0].max(), blue[:, 0].max())
    red, blue = red[red[:, 0] < legend], blue[blue[:, 0] < legend]
    assert red[:, 0].max() < blue[:, 0].min(), "more misses are higher"
    assert blue[:, 1].min() < red[:, 1].min() - 50, "nothing was trained without at the first point"


def test_every_condition_has_its_panel(tmp_path: Path) -> None:
    lines = {"without": _line([0.5, 0.4, 0.3], 1), "with": _line([0.3, 0.2, 0.2, 0.1])}
    drawn = []
    for conditions in (["clean"], ["clean", "5 dB SNR", "telephone"]):
        path = tmp_path / f"{len(conditions)}.png"
        voices_figure(SIZES, dict.fromkeys(conditions, lines), "title", path)
        drawn.append(len(_pixels(path, BLUE)))
    assert drawn[1] > 2 * drawn[0]


def test_the_highest_miss_rate_of_any_panel_is_in_the_picture(tmp_path: Path) -> None:
    low = {"without": _line([0.1, 0.1], 1), "with": _line([0.1, 0.1])}
    high = {"without": _line([0.9, 0.1], 1), "with": _line([0.1, 0.1])}
    places = []
    for last in (low, high):
        path = tmp_path / "voices.png"
        voices_figure(SIZES, {"clean": low, "5 dB SNR": last}, "title", path)
        blue = _pixels(path, BLUE)
        places.append(np.median(blue[:, 0]))
    assert places[1] > places[0] + 50, "a higher panel leaves the low lines lower"


def test_a_point_that_does_not_keep_the_target_is_hollow(tmp_path: Path) -> None:
    drawn = []
    for met in (True, False):
        path = tmp_path / f"{met}.png"
        voices_figure(SIZES, {"clean": {"without": _line([0.5], 1), "with": _line([0.3], met=met)}}, "title", path)
        drawn.append(len(_pixels(path, BLUE)))
    assert drawn[1] < drawn[0] - 20
