from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from uyan.evaluation.comparison import Difference, fit_power_law
from uyan.evaluation.comparison_figures import CurveLine, differences_figure, learning_curve_figure
from uyan.evaluation.intervals import Interval

RED, BLUE = (0xC8, 0x42, 0x1F), (0x1F, 0x5F, 0xA8)
WORSE = Difference(0.05, Interval(0.02, 0.08))
UNSURE = Difference(-0.01, Interval(-0.05, 0.03))
SINGLE = Difference(0.02, None)


def _pixels(path: Path, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of exactly that colour, shape (pixels, 2)."""
    picture = np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)
    return np.argwhere((picture == colour).all(axis=-1))


def test_a_difference_that_leaves_zero_out_is_red_and_the_others_blue(tmp_path: Path) -> None:
    path = tmp_path / "differences.png"
    differences_figure({"clean": {"no rir": UNSURE}, "telephone": {"no rir": WORSE}}, "title", path)
    red, blue = _pixels(path, RED), _pixels(path, BLUE)
    assert len(red) > 100 and len(blue) > 100
    assert red[:, 0].mean() > blue[:, 0].mean()  # in the order given, from the top
    assert red[:, 1].mean() > blue[:, 1].mean()  # worse is right


def test_a_wider_interval_is_a_wider_line(tmp_path: Path) -> None:
    path = tmp_path / "differences.png"
    wide = Difference(0.0, Interval(-0.2, 0.2))
    differences_figure({"clean": {"wide": wide, "real": WORSE}}, "title", path)
    assert np.ptp(_pixels(path, BLUE)[:, 1]) > 4 * np.ptp(_pixels(path, RED)[:, 1])


def test_without_intervals_there_are_only_points(tmp_path: Path) -> None:
    path = tmp_path / "differences.png"
    differences_figure({"clean": {"no rir": SINGLE}}, "title", path)
    assert np.ptp(_pixels(path, BLUE)[:, 1]) < 30


@pytest.mark.parametrize("sizes", [[30, 60, 120], [30, 30]])
def test_the_curve_falls_and_goes_on_as_a_power_law(tmp_path: Path, sizes: list[int]) -> None:
    path = tmp_path / "curve.png"
    rates = [0.4, 0.2, 0.1][: len(sizes)]
    intervals = [Interval(rate - 0.05, rate + 0.08) for rate in rates]
    law = fit_power_law(sizes, rates) if len(set(sizes)) > 1 else None
    lines = {"clean": CurveLine(rates, intervals), "5 dB SNR": CurveLine([2 * rate for rate in rates])}
    learning_curve_figure(sizes, lines, law, "positives", "title", path)
    blue, red = _pixels(path, BLUE), _pixels(path, RED)
    assert len(blue) > 100
    assert bool(len(red)) == (law is not None)
    if law is not None:
        assert red[:, 1].max() > blue[:, 1].max()
        left, right = (blue[:, 1] < np.quantile(blue[:, 1], 0.1)), (blue[:, 1] > np.quantile(blue[:, 1], 0.9))
        assert blue[left, 0].mean() < blue[right, 0].mean()


def test_an_interval_of_rounding_below_its_rate_is_drawn(tmp_path: Path) -> None:
    line = CurveLine([0.1, 0.0], [Interval(0.1000001, 0.2), Interval(0.0, 0.1)])
    learning_curve_figure([1, 2], {"clean": line}, None, "speakers", "title", tmp_path / "curve.png")
    assert len(_pixels(tmp_path / "curve.png", BLUE)) > 100
