"""Pools are merged by hand, come back from disk to the last bit, and damaged files are named to the field."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data import pool as pool_module
from uyan.data.pool import (
    HardNegative,
    Scan,
    composition,
    joined,
    load_pool,
    merge,
    pool_warnings,
    save_pool,
    windows_per_file,
)
from uyan.errors import DataError

MODEL = "0123456789abcdef"
HEADER = "key,start,path,offset_s,score,round,model"
ROW = f"a0,150,talk/a.wav,1.50,0.75,1,{MODEL}"


def window(key: str, start: int, score: float = 0.5, number: int = 1, path: str = "") -> HardNegative:
    return HardNegative(key, start, path or f"{key}.wav", score, number, MODEL)


windows = st.builds(
    HardNegative,
    st.sampled_from(["a0", "b-1", "C_2"]),
    st.integers(-500, 2_000),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    st.floats(0, 1),
    st.integers(1, 99),
    st.just(MODEL),
)


@given(found=st.lists(windows, unique_by=lambda w: (w.key, w.start)))
def test_a_pool_comes_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, found: list[HardNegative]) -> None:
    path = tmp_path_factory.getbasetemp() / "pool.csv"
    save_pool(tuple(found), path)
    assert load_pool(path) == tuple(found)


def test_the_file_is_for_people_too(tmp_path: Path) -> None:
    save_pool((HardNegative("a0", 150, "talk/a, b.wav", 0.75, 1, MODEL),), tmp_path / "pool.csv")
    text = (tmp_path / "pool.csv").read_text(encoding="utf-8")
    assert text.splitlines() == [HEADER, f'a0,150,"talk/a, b.wav",1.50,0.75,1,{MODEL}']


def test_a_new_window_replaces_old_ones_within_a_window_of_the_same_recording() -> None:
    old = (window("a", 0, 0.9), window("a", 100, 0.8), window("a", 250, 0.7), window("b", 90, 0.6))
    merged = merge(old, [window("a", 190, 0.4, 2)], 10, window_frames=100)
    assert merged == (window("a", 190, 0.4, 2), window("a", 0, 0.9), window("b", 90, 0.6))


def test_what_the_newest_network_hears_comes_first_and_the_rest_while_there_is_room() -> None:
    old = (window("a", 0, 0.99, 1), window("b", 0, 0.95, 2), window("c", 0, 0.97, 2))
    new = [window("e", 0, 0.3, 3), window("d", 200, 0.4, 3), window("d", 0, 0.4, 3)]
    ranked = (*sorted(new, key=lambda w: (-w.score, w.start)), old[2], old[1], old[0])
    for most in range(1, 7):
        assert merge(old, new, most, 100) == ranked[:most]
    assert merge((), (), 5, 100) == ()


def test_the_same_audio_in_two_files_gives_one_window() -> None:
    new = [window("a", 0, 0.4, 1, "b.wav"), window("a", 0, 0.4, 1, "a.wav")]
    assert merge((), new, 5, 100) == (new[1],)


@given(st.lists(windows, max_size=8), st.lists(windows, max_size=8), st.integers(1, 9))
def test_the_order_in_which_windows_come_makes_no_difference(
    old: list[HardNegative], new: list[HardNegative], most: int
) -> None:
    assert merge(old[::-1], new[::-1], most, 100) == merge(old, new, most, 100)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"row 1: header: '' is not key,start,path"),
        ("key,start\n", r"row 1: header: 'key,start' is not"),
        (f"{HEADER}\n{ROW}\na0,1\n", r"row 3: 2 fields, not 7"),
        (f"{HEADER}\n{ROW}\n\n", r"row 3: 0 fields, not 7"),
        (f"{HEADER}\n{ROW.replace('a0', '../a0')}\n", r"row 2: key: '\.\./a0' is not a name"),
        (f"{HEADER}\n{ROW.replace('a0', '', 1)}\n", r"row 2: key: '' is not a name"),
        (f"{HEADER}\n{ROW.replace(',150,', ',1.5,')}\n", r"row 2: start: '1\.5' is no number"),
        (f"{HEADER}\n{ROW.replace(',150,', ',99999999999,')}\n", r"row 2: start: '99999999999' is no number"),
        (f"{HEADER}\n{ROW.replace('talk/a.wav', '')}\n", r"row 2: path: '' names no recording"),
        (f"{HEADER}\n{ROW.replace('1.50', '2.50')}\n", r"row 2: offset_s: '2\.50' is not where frame 150 is, 1\.50 s"),
        (f"{HEADER}\n{ROW.replace('0.75', '1.75')}\n", r"row 2: score: '1\.75' is no number in \[0, 1\]"),
        (f"{HEADER}\n{ROW.replace('0.75', 'nan')}\n", r"row 2: score: 'nan' is no number"),
        (f"{HEADER}\n{ROW.replace('0.75', 'high')}\n", r"row 2: score: 'high' is no number"),
        (f"{HEADER}\n{ROW.replace(',1,', ',0,')}\n", r"row 2: round: '0' is no number"),
        (f"{HEADER}\n{ROW.replace(MODEL, MODEL[1:])}\n", r"row 2: model: '123456789abcdef' is not a name"),
        (f"{HEADER}\n{ROW}\n{ROW}\n", r"row 3: start: '150' is listed twice"),
        (f'{HEADER}\n"a0"x,{ROW}\n', r"not a readable hard-negative pool"),
    ],
)
def test_damage_is_named_to_row_and_field(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "pool.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"pool\.csv: {problem}.*to mine again"):
        load_pool(tmp_path / "pool.csv")


def test_other_files_are_no_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pool.csv"
    with pytest.raises(DataError, match=r"pool\.csv: not a readable hard-negative pool .*No such file"):
        load_pool(path)
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match="not a readable hard-negative pool"):
        load_pool(path)
    path.write_text(f"{HEADER}\n{ROW}\n{ROW.replace('a0', 'b1')}\n", encoding="utf-8")
    monkeypatch.setattr(pool_module, "MAX_POOL_WINDOWS", 1)
    with pytest.raises(DataError, match="more than 1 windows is no pool"):
        load_pool(path)
    monkeypatch.setattr(pool_module, "MAX_POOL_BYTES", 100)
    with pytest.raises(DataError, match="0 MB is no hard-negative pool"):
        load_pool(path)


def test_the_composition_says_what_was_scanned_and_what_stayed() -> None:
    pool = (
        window("a", 0, 0.9, 2, "a.wav"),
        window("a2", 0, 0.8, 2, "a.wav (variant 1)"),
        window("b", 0, 0.7, 1, "b.wav"),
    )
    scans = [
        Scan((), 40, 7200.0, 1800.0, 30, (5, 1), 1, MODEL),
        Scan(pool[:2], 2, 3600.0, 0.0, 30, (6, 0), 2, MODEL),
    ]
    made = composition(pool, scans)
    assert json.loads(json.dumps(made)) == made
    assert made["windows"] == 3
    assert made["files"] == [{"path": "a.wav", "windows": 2}, {"path": "b.wav", "windows": 1}]
    assert made["file_count"] == 2
    assert made["largest_file_share"] == pytest.approx(2 / 3)
    columns = ("round", "hours_scanned", "hours_of_variants", "windows_found", "windows_in_pool")
    rounds = [tuple(scanned[column] for column in columns) for scanned in made["rounds"]]
    assert rounds == [(1, 2.0, 0.5, 40, 1), (2, 1.0, 0.0, 2, 2)]
    assert made["rounds"][0]["score_histogram"] == [5, 1]
    assert composition((), [])["largest_file_share"] == 0.0


def test_two_passes_of_one_network_are_one() -> None:
    high, middle, low = window("a", 0, 0.9), window("b", 0, 0.6), window("c", 0, 0.5)
    first = Scan((high, low), 40, 3600.0, 60.0, 30, (5, 1), 1, MODEL)
    second = Scan((middle,), 2, 1800.0, 0.0, 7, (6, 2), 1, MODEL)
    assert joined([first, second], 2) == Scan((high, middle), 42, 5400.0, 60.0, 37, (11, 3), 1, MODEL)


def test_only_the_largest_files_are_listed() -> None:
    pool = tuple(window("k", 200 * n, path=f"{n % 25:02}.wav") for n in range(26))
    made = composition(pool, [])
    assert [entry["path"] for entry in made["files"]] == [f"{n:02}.wav" for n in range(20)]
    assert made["file_count"] == 25
    assert windows_per_file(pool)[0] == ("00.wav", 2)


def test_an_empty_pool_and_a_pool_of_one_file_are_warned_of() -> None:
    (empty,) = pool_warnings(())
    assert "nothing scored above mining.threshold" in empty
    one = [window("a", 200 * n, path=f"talk.wav (variant {n})" if n else "talk.wav") for n in range(8)]
    (warning,) = pool_warnings(tuple(one))
    assert warning.startswith("all 8 windows of the hard-negative pool come from talk.wav")
    assert "add other negatives" in warning
    assert pool_warnings((*one, window("b", 0), window("c", 0))) == []
    (most,) = pool_warnings((*one, window("b", 0)))
    assert most.startswith("89 % of 9 windows")
