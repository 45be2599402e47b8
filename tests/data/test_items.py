"""Items come back from the arrays they are kept in, and segments cover their recording."""

from uyan.data.items import Items, Positive, Segment, segments
from uyan.data.locate import Span


def name(number: int) -> str:
    return f"{number:040x}"


def test_positives_and_segments_come_back_from_their_arrays() -> None:
    positives = [Positive(name(1), Span(0, 5)), Positive(name(2), Span(7, 9), 8)]
    cut = [Segment(name(3), 0), Segment(name(4), 10**7, 1), Segment(f"{name(5)}-2", -40)]
    for given_items in (positives, cut, []):
        kept = Items(given_items)
        assert len(kept) == len(given_items)
        assert list(kept) == given_items
    assert Items(positives)[1].word == Span(7, 9)


def test_a_segments_variants_are_its_recordings() -> None:
    assert segments(name(1), 400, 150, 2) == [Segment(name(1), start, 2) for start in (0, 150, 300)]
    assert segments(name(1), 400, 150)[0].variants == 0
