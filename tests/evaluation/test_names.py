"""Names of data sets and recordings: short where that is enough, and never one name for two folders."""

from pathlib import Path

import pytest

from uyan.data.member import Member
from uyan.data.recording import Recording
from uyan.evaluation.names import data_set_names, recording_name


def member(root: str) -> Member:
    recording = Recording("talk/a.wav", Path(root), "speech", "ada", True, 1.0, "negative", "", "")
    return Member(recording, root, 1.0, "test", 0, True)


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        (["/data/one", "/data/two"], ["one", "two"]),
        (["/radio/talk", "/street/talk", "/street/song"], ["radio/talk", "street/talk", "song"]),
        (["/x/day/talk", "/y/day/talk"], ["x/day/talk", "y/day/talk"]),
        (["/talk", "/street/talk"], ["/talk", "street/talk"]),
        (["/data/one", "/data/one"], ["one", "one"]),
    ],
)
def test_folders_of_one_name_are_named_with_those_above(roots: list[str], expected: list[str]) -> None:
    members = [member(root) for root in roots]
    names = data_set_names(members)
    assert [names[m.recording.root] for m in members] == expected
    assert [recording_name(m, names) for m in members] == [f"{name}/talk/a.wav" for name in expected]


def test_no_members_have_no_names() -> None:
    assert data_set_names([]) == {}
