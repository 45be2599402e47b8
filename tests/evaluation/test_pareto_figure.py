"""The picture of a search: a PNG, with a front alone and with everything in it."""

from pathlib import Path

from uyan.evaluation.intervals import Interval
from uyan.evaluation.pareto_figure import TrialPoint, pareto_figure

PNG = b"\x89PNG\r\n"


def point(name: str, cost: float, miss_rate: float | None, on_front: bool = False, own: bool = False) -> TrialPoint:
    interval = None if miss_rate is None else Interval(max(0.0, miss_rate - 0.1), min(1.0, miss_rate + 0.1))
    return TrialPoint(name, cost, miss_rate, interval, on_front, own)


def test_all_kinds_of_points(tmp_path: Path) -> None:
    front = [point("2", 30_000, 0.4, on_front=True), point("0", 65_000, 0.2, on_front=True, own=True)]
    others = [point("1", 65_000, 0.7), point("3", 260_000, None), point("4", 260_000, None)]
    pareto_figure([*others, *front], "parameters", 100_000, "“uyan”", tmp_path / "all.png")
    pareto_figure(front[:1], "parameters", None, "“uyan”", tmp_path / "one.png")
    for name in ("all.png", "one.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert (tmp_path / "all.png").stat().st_size > (tmp_path / "one.png").stat().st_size
