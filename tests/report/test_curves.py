import re

import numpy as np
import pytest

from uyan.evaluation.metrics import DetCurve, EventCurve, det_curve
from uyan.report.curves import det_picture, fah_picture, furthest_fah, score_picture, training_pictures
from uyan.report.svg import Picture


def marks(picture: Picture, pattern: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, found)) for found in re.findall(pattern, str(picture.svg))]


def scores(shift: float) -> DetCurve:
    rng = np.random.default_rng(42)
    return det_curve(rng.normal(shift, 1.5, 60), rng.normal(-2, 1.5, 300))


@pytest.mark.parametrize("shift", [2.0, 30.0, -9.0])  # usual, perfectly separable, worse than chance
def test_det_falls_and_stays_inside(shift: float) -> None:
    picture = det_picture(scores(shift), (0.01, 0.05))
    path = re.search(r'<path class="line s0" d="M([^"]+)"', str(picture.svg))
    assert path is not None
    points = np.array([point.split() for point in path[1].split("L")], float)
    assert (np.diff(points[:, 0]) <= 0).all()  # thresholds rise: fewer alarms, more misses
    assert (np.diff(points[:, 1]) <= 0).all()
    assert points.min() >= 0
    assert points.max() <= 400
    assert len(marks(picture, r'<circle class="dot mark" cx="([\d.]+)" cy="([\d.]+)"')) == 1


def test_the_equal_error_rate_lies_on_the_diagonal() -> None:
    picture = det_picture(det_curve([0.2, 0.4, 0.6, 0.8], [0.1, 0.3, 0.5, 0.7]))
    assert ("dot mark", "equal error rate 50.0 %") in picture.legend
    assert "as shipped" not in dict(picture.legend).values()


def curve(hours: float) -> EventCurve:
    return EventCurve(np.array([0.2, 0.5, 0.8]), np.array([10, 8, 6]), np.array([5, 1, 0]), 10, hours)


def test_hours_that_cannot_tell_are_shaded_up_to_three_by_hours() -> None:
    picture = fah_picture({"clean": curve(10.0)}, {"clean": (0.1, 0.2)})
    left, width = marks(picture, r'class="blind" x="([\d.]+)" y="26" width="([\d.]+)"')[0]
    assert left == 46
    assert width / 340 == pytest.approx(2.9957 / 10 / 2, abs=1e-3)  # the axis goes to 2 alarms per hour
    assert ("blind", "below 0.30 per hour: 10.00 h cannot tell") in picture.legend


def test_the_axis_reaches_beyond_what_ships_and_what_few_hours_cannot_tell() -> None:
    assert furthest_fah(100.0, [0.5]) == 2.0
    assert furthest_fah(100.0, [10.0]) == 12.0
    assert furthest_fah(1.0, [0.5]) == pytest.approx(1.2 * 2.9957, abs=1e-3)


def test_each_condition_has_its_line_and_its_point() -> None:
    picture = fah_picture(
        {"clean": curve(10.0), "5 dB SNR": curve(10.0)}, {"clean": (0.1, 0.2), "5 dB SNR": (0.1, 0.4)}
    )
    assert [kind for kind, _ in picture.legend[:2]] == ["s0", "s1"]
    (x0, y0), (x1, y1) = marks(picture, r'<circle class="dot s\d" cx="([\d.]+)" cy="([\d.]+)"')
    assert x0 == x1
    assert y1 < y0  # more misses are higher up
    assert "clean 20.0 % missed at 0.10 per hour; 5 dB SNR 40.0 % missed at 0.10 per hour" in str(picture.svg)


def test_scores_are_counted_on_their_side_of_the_threshold() -> None:
    picture = score_picture([0.2, 0.99, 1.0], [0.0, 0.001, 0.999999999], 0.9999)
    assert "2 of 3 positives below the threshold 0.99990" in str(picture.svg)
    assert "1 of 3 stretches of negatives at or above it" in str(picture.svg)
    assert "nan" not in str(picture.svg)


def test_training_without_a_log_has_no_pictures() -> None:
    assert training_pictures({}, 1) == []


def test_training_of_one_epoch_can_be_drawn() -> None:
    pictures = training_pictures({"loss": {1: 0.4}, "val_miss_rate": {1: 0.0}}, 1)
    assert [picture.title for picture in pictures] == ["Loss", "Validation misses"]
    assert all("nan" not in str(picture.svg) for picture in pictures)
