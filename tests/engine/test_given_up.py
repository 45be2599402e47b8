"""What was given up is not tried again: until the file changes, or its line is gone."""

from pathlib import Path

import pytest

from uyan.engine.given_up import NAME, GivenUp
from uyan.engine.task_map import Lost
from uyan.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name in "abc":
        (tmp_path / f"{name}, 1.wav").write_text(name)
    return sorted(tmp_path.glob("*.wav"))


def test_reasons_are_kept_until_the_file_changes(tmp_path: Path, files: list[Path]) -> None:
    listed = tmp_path / "cache" / NAME
    known = GivenUp(listed)
    assert known.among(files) == {} and not listed.exists()
    known.add(files[0], Lost("its process died 3 times", "n1"))
    known.add(files[1], Lost('its process died 3 times, "at once"', "n2"))
    assert listed.read_text(encoding="utf-8").splitlines()[0] == "path,size,version,reason,node"
    again = GivenUp(listed)
    assert (
        again.among(files)
        == known.among(files)
        == {
            str(files[0]): "its process died 3 times",
            str(files[1]): 'its process died 3 times, "at once"',
        }
    )
    files[0].write_text("mended")
    files[1].unlink()
    assert GivenUp(listed).among(files) == {}


def test_two_at_once_keep_what_the_other_has_found(tmp_path: Path, files: list[Path]) -> None:
    one, other = GivenUp(tmp_path / NAME), GivenUp(tmp_path / NAME)
    one.add(files[0], Lost("first"))
    other.add(files[1], Lost("second"))
    assert GivenUp(tmp_path / NAME).among(files) == {str(files[0]): "first", str(files[1]): "second"}


def test_a_line_that_is_deleted_is_forgotten(tmp_path: Path, files: list[Path]) -> None:
    listed = tmp_path / NAME
    known = GivenUp(listed)
    for file in files:
        known.add(file, Lost("died"))
    lines = listed.read_text(encoding="utf-8").splitlines()
    listed.write_text("\n".join([lines[0], lines[2]]) + "\n", encoding="utf-8")
    assert GivenUp(listed).among(files) == {str(files[1]): "died"}
    listed.unlink()
    assert GivenUp(listed).among(files) == {}


def test_without_a_file_nothing_is_remembered(files: list[Path]) -> None:
    known = GivenUp(None)
    known.add(files[0], Lost("died"))
    assert known.among(files) == {str(files[0]): "died"}
    assert GivenUp(None).among(files) == {}


@pytest.mark.parametrize("content", ["path,size\na,b\n", "path,size,version,reason,node\na,big,1,no,n\n"])
def test_another_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"given-up\.csv: not a list of files that were given up .*; delete it"):
        GivenUp(tmp_path / NAME)
