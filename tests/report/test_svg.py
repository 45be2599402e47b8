import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.report.svg import (
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Drawing,
    linear_ticks,
    log10,
    log_odds,
    probit,
    shortened,
    svg,
)

UNIT = Axis("across", 0, 1, [(0, "0"), (1, "1")])


def paths(drawing: Drawing) -> list[str]:
    tree = ElementTree.fromstring(str(drawing.render("a test")))
    return [found.attrib["d"] for found in tree.iter("path") if found.attrib["class"].startswith("line")]


def test_a_line_goes_from_corner_to_corner() -> None:
    drawing = Drawing(UNIT, UNIT, height=200)
    drawing.line([0, 1], [0, 1], "s0")
    assert paths(drawing) == [f"M{LEFT} 158L{WIDTH - RIGHT} {TOP}"]


def test_a_staircase_holds_its_value_to_the_next_step_and_the_last_to_the_edge() -> None:
    drawing = Drawing(Axis("x", 0, 340, []), Axis("y", 0, 10, []), height=78)  # one unit each, ten high
    drawing.steps([0, 100], [10, 4], "s0")
    assert paths(drawing) == ["M46 26L146 26L146 32L386 32"]


def test_points_on_one_level_are_drawn_once() -> None:
    drawing = Drawing(UNIT, UNIT)
    drawing.line(np.linspace(0, 1, 1000), np.zeros(1000), "s0")
    assert paths(drawing)[0].count("L") == 1


def test_values_beyond_the_axis_stay_at_its_end() -> None:
    assert UNIT.share([-3.0, 0.25, 7.0]).tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize(
    ("axis", "middle"),
    [
        (Axis("", 0.01, 0.99, [], probit), 0.5),
        (Axis("", 1e-6, 1 - 1e-6, [], log_odds), 0.5),
        (Axis("", 0.01, 100, [], log10), 1.0),
        (Axis("", 2, 4, []), 3.0),
    ],
)
def test_warped_axes_have_their_middle_where_it_belongs(axis: Axis, middle: float) -> None:
    assert axis.share([axis.low, middle, axis.high]) == pytest.approx([0, 0.5, 1], abs=1e-9)


@given(st.floats(0.001, 1e6))
def test_ticks_start_at_zero_are_few_and_end_within_the_axis(high: float) -> None:
    values = [value for value, _ in linear_ticks(high)]
    assert values[0] == 0
    assert 2 <= len(values) <= 7
    assert high / 2 < values[-1] <= high * 1.000001


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_any_text_stays_text(text: str) -> None:
    drawing = Drawing(Axis(text, 0, 1, [(0.5, text)]), UNIT)
    drawing.write(0, 0, text)
    tree = ElementTree.fromstring(str(drawing.render(text)))
    assert tree.attrib["aria-label"] == text
    assert {found.tag for found in tree.iter()} == {"svg", "path", "text"}
    assert sum((found.text or "") == text for found in tree.iter("text")) >= 2


def test_a_drawing_says_its_size_and_what_it_is() -> None:
    assert str(svg([], 120, 'a "b" & c')) == (
        '<svg viewBox="0 0 400 120" role="img" aria-label="a &#34;b&#34; &amp; c"></svg>'
    )


def test_long_names_are_shortened_and_short_ones_are_not() -> None:
    assert (shortened("abcdef", 4), shortened("abcd", 4)) == ("abc…", "abcd")
