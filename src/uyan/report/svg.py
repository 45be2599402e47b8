"""Line drawings as inline SVG: axes that warp, and marks on them; colours are left to the page's style sheet.

Written by hand rather than by matplotlib: a tenth of the size, text that stays text, and the same drawing is legible on
white, on black and on paper, since every mark has a class and no colour. All text is escaped here. The same numbers
give the same characters. It knows nothing of what is drawn.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit, ndtri

WIDTH = 400
"""Of every drawing, in its own units; the page scales it."""
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 42

Warp = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Picture:
    """A drawing with the words around it."""

    svg: Markup
    title: str
    caption: str
    legend: tuple[tuple[str, str], ...] = ()
    """Class of a mark, what it stands for."""


@dataclass(frozen=True)
class Axis:
    """What one direction of a drawing means."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    warp: Warp = field(default=lambda values: values)
    """Value → where the axis is linear."""

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """How far along the axis values of any shape lie, 0 at `low` and 1 at `high`; those beyond are at the ends."""
        low, high = self.warp(np.array([self.low, self.high], np.float64))
        clipped = np.clip(np.asarray(values, np.float64), self.low, self.high)
        return np.asarray((self.warp(clipped) - low) / (high - low), np.float64)


def probit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal deviates of shares."""
    return np.asarray(ndtri(values), np.float64)


def log_odds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of scores, which crowd at both ends."""
    return np.asarray(logit(values), np.float64)


def log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of rates that span decades."""
    return np.log10(values)


def linear_ticks(high: float, most: int = 6) -> list[tuple[float, str]]:
    """Round numbers from 0 to `high`.

    >>> [text for _, text in linear_ticks(9.2)]
    ['0', '2', '4', '6', '8']
    """
    decade = 10.0 ** math.floor(math.log10(high))
    steps = (decade / 10 * size for size in (1, 2, 5, 10, 20, 50))
    step = next(s for s in steps if high / s <= most)
    return [(n * step, f"{n * step:g}") for n in range(int(high / step + 1e-9) + 1)]


class Drawing:
    """Axes, and what is put on them, in the order in which it was put there."""

    def __init__(self, x: Axis, y: Axis, height: int = 290) -> None:
        self._x, self._y, self._height = x, y, height
        self._across, self._down = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM
        self._parts: list[str] = []

    def at(self, xs: ArrayLike, ys: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Data → places in the drawing."""
        return LEFT + self._across * self._x.share(xs), TOP + self._down * (1 - self._y.share(ys))

    def line(self, xs: ArrayLike, ys: ArrayLike, kind: str) -> None:
        """A line through points of shape (points,)."""
        self._parts.append(f'<path class="line {kind}" d="{_path(*self.at(xs, ys))}"/>')

    def steps(self, xs: ArrayLike, ys: ArrayLike, kind: str) -> None:
        """A staircase: ys[i] holds from xs[i] to xs[i + 1], and the last to the right edge; both (points,)."""
        ends = np.append(np.asarray(xs, np.float64), self._x.high)
        self.line(np.repeat(ends, 2)[1:-1], np.repeat(np.asarray(ys, np.float64), 2), kind)

    def area(self, edges: ArrayLike, tops: ArrayLike, kind: str) -> None:
        """A filled histogram: tops (bins,) above the lower end of y, between edges (bins + 1,)."""
        xs = np.repeat(np.asarray(edges, np.float64), 2)
        ys = np.concatenate([[self._y.low], np.repeat(np.asarray(tops, np.float64), 2), [self._y.low]])
        self._parts.append(f'<path class="area {kind}" d="{_path(*self.at(xs, ys))}Z"/>')

    def band(self, start: float, stop: float, kind: str) -> None:
        """The whole height between two values of x."""
        (left, right), _ = self.at([start, stop], [self._y.low] * 2)
        size = f'width="{_n(right - left)}" height="{self._down}"'
        self._parts.append(f'<rect class="{kind}" x="{_n(left)}" y="{TOP}" {size}/>')

    def upright(self, x: float, kind: str) -> None:
        """A line at one value of x, from bottom to top."""
        self.line([x, x], [self._y.low, self._y.high], kind)

    def dot(self, x: float, y: float, kind: str) -> None:
        """A point."""
        across, down = (float(v) for v in self.at(x, y))
        self._parts.append(f'<circle class="dot {kind}" cx="{_n(across)}" cy="{_n(down)}" r="4.5"/>')

    def write(self, x: float, y: float, text: str, anchor: str = "start", dx: float = 0, dy: float = 0) -> None:
        """Words at a place, moved by so many units."""
        across, down = (float(v) for v in self.at(x, y))
        self._parts.append(words(across + dx, down + dy, text, anchor, "note"))

    def render(self, says: str) -> Markup:
        """The drawing; `says` is what it shows, for those who do not see it."""
        return svg([*self._grid(), *self._parts, *self._titles()], self._height, says)

    def _grid(self) -> list[str]:
        bottom, right = TOP + self._down, WIDTH - RIGHT
        found = []
        for value, text in self._x.ticks:
            x = float(self.at(value, self._y.low)[0])
            found.append(f'<path class="grid" d="M{_n(x)} {TOP}V{bottom}"/>')
            found.append(words(x, bottom + 16, text, "middle"))
        for value, text in self._y.ticks:
            y = float(self.at(self._x.low, value)[1])
            found.append(f'<path class="grid" d="M{LEFT} {_n(y)}H{right}"/>')
            found.append(words(LEFT - 6, y + 4, text, "end"))
        return [*found, f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>']

    def _titles(self) -> list[str]:
        return [
            words(4, 14, f"↑ {self._y.title}", "start", "title"),
            words(WIDTH - RIGHT, self._height - 6, f"{self._x.title} →", "end", "title"),
        ]


def svg(parts: Sequence[str], height: float, says: str) -> Markup:
    """Parts of a drawing as one image with a text alternative; `parts` are markup, `says` is text."""
    head = f'<svg viewBox="0 0 {WIDTH} {_n(height)}" role="img" aria-label="{escape(says)}">'
    return Markup("".join([head, *parts, "</svg>"]))


def words(x: float, y: float, text: str, anchor: str = "start", kind: str = "tick") -> str:
    """Text at a place, escaped."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}"{where}>{escape(text)}</text>'


def shortened(text: str, most: int) -> str:
    """Text that fits: the end of a long one is left out.

    >>> shortened("gc-pt-Jo_o_Filipe_Oliveira", 12)
    'gc-pt-Jo_o_…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def _path(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    """Points as a path, to a tenth of a unit; those between others on one level or upright line are left out.

    Which changes nothing where such a line never turns back, and no curve here does.
    """
    points = [(round(x, 1), round(y, 1)) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
    kept: list[tuple[float, float]] = []
    for point in points:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and any(kept[-2][i] == kept[-1][i] == point[i] for i in (0, 1)):
            kept.pop()
        kept.append(point)
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in kept)


def _n(value: float) -> str:
    """A coordinate with as few characters as a tenth of a unit needs."""
    return f"{round(value, 1) + 0.0:g}"
