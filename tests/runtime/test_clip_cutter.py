import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uyan.runtime.clip_cutter import ClipCutter, Ring

TOTAL = 600


def stream(first: int = 0, size: int = TOTAL) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Samples that say their own number."""
    return np.arange(first, first + size, dtype=np.float32)


@given(size=st.integers(1, 50), chunks=st.lists(st.integers(0, 130), max_size=12), data=st.data())
def test_the_ring_holds_exactly_the_last_samples(size: int, chunks: list[int], data: st.DataObject) -> None:
    ring, position = Ring(size), 0
    for chunk in chunks:
        ring.push(stream(position, chunk))
        position += chunk
        start = data.draw(st.integers(-5, position + 5))
        stop = data.draw(st.integers(start, position + 10))
        held = range(max(start, 0, position - size), min(stop, position))
        assert ring.part(start, stop).tolist() == list(held)


@given(
    before=st.integers(0, 40),
    after=st.integers(1, 40),
    reach=st.integers(0, 60),
    ends=st.lists(st.integers(0, TOTAL), max_size=10).map(sorted),
    moments=st.lists(st.tuples(st.integers(0, TOTAL), st.integers(0, 60)), max_size=8),
)
def test_a_clip_is_exactly_the_samples_around_its_moment_whatever_the_chunks(
    before: int, after: int, reach: int, ends: list[int], moments: list[tuple[int, int]]
) -> None:
    """Each moment becomes known up to `reach` samples late, between two chunks."""
    cutter: ClipCutter[int] = ClipCutter(before, after, reach)
    clips: dict[int, list[float]] = {}
    asked: set[int] = set()
    for chunk in np.split(stream(), ends):
        first = int(chunk[0]) if chunk.size else 0
        for number, (moment, late) in enumerate(moments):
            known = moment + min(late, reach)
            if number not in asked and chunk.size and known < first + chunk.size and first <= moment + reach:
                asked.add(number)
                cutter.want(moment, number)
        clips |= {number: samples.tolist() for number, samples in cutter.push(chunk)}
    clips |= {number: samples.tolist() for number, samples in cutter.finish()}
    assert set(clips) == asked
    for number in asked:
        moment = moments[number][0]
        assert clips[number] == list(range(max(0, moment - before), min(TOTAL, moment + after)))
    assert cutter.finish() == []


def test_a_clip_is_given_as_soon_as_it_is_complete() -> None:
    cutter: ClipCutter[str] = ClipCutter(3, 2, 0)
    cutter.push(stream(0, 10))
    cutter.want(10, "ten")
    assert cutter.push(stream(10, 1)) == []
    ((tag, samples),) = cutter.push(stream(11, 1))
    assert (tag, samples.tolist()) == ("ten", [7, 8, 9, 10, 11])


def test_no_clip_reaches_over_a_cut() -> None:
    cutter: ClipCutter[str] = ClipCutter(5, 5, 0)
    cutter.push(stream(0, 20))
    cutter.want(18, "before")
    ((_, samples),) = cutter.cut(1000)
    assert samples.tolist() == list(range(13, 20))
    cutter.want(1002, "after")
    ((_, samples),) = cutter.push(stream(1000, 20))
    assert samples.tolist() == list(range(1000, 1007))
