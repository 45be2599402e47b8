from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from uyan.evaluation.calibration import choose_operating_point, threshold_grid
from uyan.evaluation.figures import CONDITIONS, det_figure, event_curve_figure, event_curves_figure, save_det_csv
from uyan.evaluation.metrics import DetCurve, EventCurve, det_curve

RED, BLUE = (0xC8, 0x42, 0x1F), (0x1F, 0x5F, 0xA8)


def _scores(shift: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(42)
    return 1 / (1 + np.exp(-rng.normal(shift, 1.5, 60))), 1 / (1 + np.exp(-rng.normal(-2, 1.5, 300)))


def _event_curve(shift: float, hours: float) -> EventCurve:
    positive, negative = _scores(shift)
    grid = threshold_grid(negative)
    detected = (positive[:, None] >= grid).sum(axis=0)
    return EventCurve(grid, detected, (negative[:, None] >= grid).sum(axis=0), 60, hours)


def _pixels(path: Path, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of exactly that colour, shape (pixels, 2)."""
    picture = np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)
    return np.argwhere((picture == colour).all(axis=-1))


@pytest.mark.parametrize("shift", [3.0, 12.0, -6.0])  # usual, perfectly separable, worse than chance
def test_det_figure_shows_the_curve_and_the_equal_error_rate(tmp_path: Path, shift: float) -> None:
    path = tmp_path / "det.png"
    det_figure(det_curve(*_scores(shift)), path)
    height, width = matplotlib.image.imread(path).shape[:2]
    assert (width, height) == (960, 930)
    assert len(_pixels(path, RED)) > 100
    assert len(_pixels(path, BLUE)) > 100


def test_det_figure_of_one_clip_each(tmp_path: Path) -> None:
    det_figure(det_curve([0.9], [0.1]), tmp_path / "det.png")
    assert len(_pixels(tmp_path / "det.png", RED)) > 100


def test_det_curve_falls_from_left_to_right(tmp_path: Path) -> None:
    path = tmp_path / "det.png"
    det_figure(det_curve(*_scores(1.0)), path)
    rows, columns = _pixels(path, BLUE).T
    left, right = columns < np.quantile(columns, 0.1), columns > np.quantile(columns, 0.9)
    assert rows[left].mean() < rows[right].mean()


@pytest.mark.parametrize(
    ("shift", "hours"),
    [(3.0, 8.0), (3.0, 0.5), (-9.0, 8.0)],  # usual, too few hours, hears nothing
)
def test_event_figure_shows_the_curve_and_the_operating_point(tmp_path: Path, shift: float, hours: float) -> None:
    curve, path = _event_curve(shift, hours), tmp_path / "events.png"
    event_curve_figure(curve, choose_operating_point(curve, 0.5), path)
    assert len(_pixels(path, RED)) > 100
    assert len(_pixels(path, BLUE)) > 100


def test_event_figure_of_an_unmet_target(tmp_path: Path) -> None:
    curve = EventCurve(np.array([0.5, 0.9]), np.array([4, 3]), np.array([90, 40]), positives=4, hours=8.0)
    event_curve_figure(curve, choose_operating_point(curve, 0.5), tmp_path / "events.png")
    assert len(_pixels(tmp_path / "events.png", RED)) > 100


def test_csv_gives_the_curve_again(tmp_path: Path) -> None:
    curve, path = det_curve(*_scores(1.0)), tmp_path / "det.csv"
    save_det_csv(curve, path)
    assert path.read_text(encoding="utf-8").startswith("threshold,miss_rate,false_alarm_rate,misses,false_alarms\n")
    columns = np.loadtxt(path, delimiter=",", skiprows=1).T
    again = DetCurve(columns[0], columns[1], columns[2], curve.positives, curve.negatives)
    assert (again.thresholds == curve.thresholds).all()
    assert (again.miss_rate == curve.miss_rate).all()
    assert (again.false_alarm_rate == curve.false_alarm_rate).all()
    assert (columns[3] == np.round(curve.miss_rate * 60)).all()
    assert (columns[4, 0], columns[4, -1]) == (300, 0)


def test_pooled_figure_has_a_line_of_its_own_for_each_condition(tmp_path: Path) -> None:
    path = tmp_path / "kfold.png"
    names = ["clean", "10 dB SNR", "5 dB SNR", "telephone"]
    curves = {name: _event_curve(3.0 - number, 20.0) for number, name in enumerate(names)}
    event_curves_figure(curves, "All folds", path)
    rows = []
    for colour in CONDITIONS[: len(names)]:
        found = _pixels(path, tuple(bytes.fromhex(colour[1:])))
        assert len(found) > 100
        rows.append(int(found[np.argmax(found[:, 1]), 0]))
    assert rows == sorted(rows, reverse=True)  # at the right edge: the harder, the higher up
