"""Ranges make the file they are of, in any order of reading, with few of them in memory; failures are kept."""

import io
import threading
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import StorageError
from uyan.storage import range_reader
from uyan.storage.range_reader import AHEAD, KEPT, RangeReader

SIZE = 1_000
CONTENT = np.random.default_rng(1).bytes(SIZE)


def reader(fetched: Counter[tuple[int, int]] | None = None, content: bytes = CONTENT) -> RangeReader:
    lock = threading.Lock()

    def fetch(start: int, stop: int) -> bytes:
        with lock:
            if fetched is not None:
                fetched[start, stop] += 1
        return content[start:stop]

    return RangeReader("s3://words/a", len(content), fetch, lambda: None)


@given(st.lists(st.tuples(st.integers(-50, SIZE + 50), st.integers(0, 400)), max_size=12), st.integers(7, 600))
def test_any_reading_is_that_of_a_file(steps: list[tuple[int, int]], range_bytes: int) -> None:
    plain = io.BytesIO(CONTENT)
    with patch.object(range_reader, "RANGE_BYTES", range_bytes), reader() as ranged:
        for at, count in steps:
            plain.seek(max(0, at))
            assert ranged.seek(at) == plain.tell()
            assert ranged.read(count) == plain.read(count)
            assert ranged.tell() == plain.tell()
            assert len(ranged._held) <= KEPT and len(ranged._coming) <= AHEAD
        assert ranged.seek(-10, io.SEEK_END) == SIZE - 10 and ranged.read() == CONTENT[-10:]


def test_from_front_to_back_every_range_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_reader, "RANGE_BYTES", 64)
    fetched: Counter[tuple[int, int]] = Counter()
    with reader(fetched) as ranged:
        assert b"".join(iter(lambda: ranged.read(10), b"")) == CONTENT
        ranged.verify()
    assert fetched == Counter({(at, min(at + 64, SIZE)): 1 for at in range(0, SIZE, 64)})


def test_the_first_range_alone_is_fetched_where_no_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_reader, "RANGE_BYTES", 64)
    fetched: Counter[tuple[int, int]] = Counter()
    with reader(fetched) as ranged:
        ranged.begin()
        assert ranged.read(60) == CONTENT[:60]
    assert fetched == {(0, 64): 1}


def test_an_empty_file_has_nothing() -> None:
    with reader(content=b"") as ranged:
        ranged.begin()
        assert ranged.read() == b""


def test_a_failure_ends_the_file_and_is_raised_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_reader, "RANGE_BYTES", 100)

    def fetch(start: int, stop: int) -> bytes:
        if start >= 300:
            raise StorageError("broke off")
        return CONTENT[start:stop]

    with RangeReader("s3://words/a", SIZE, fetch, lambda: None) as ranged:
        assert ranged.read(250) == CONTENT[:250]
        assert ranged.read(250) == CONTENT[250:300]
        assert ranged.read(250) == b""
        with pytest.raises(StorageError, match="broke off"):
            ranged.verify()


def test_another_content_is_the_better_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed() -> None:
        raise StorageError("changed")

    ranged = RangeReader("s3://words/a", SIZE, lambda start, stop: CONTENT[start:stop], changed)
    ranged.failure = StorageError("broke off")
    with pytest.raises(StorageError, match="changed"):
        ranged.verify()
