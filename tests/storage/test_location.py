"""Names of files behind URLs: what they are made of, what they refuse, and that nothing below one leaves it."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.errors import ManifestError, StorageError
from uyan.storage.local_copies import LocalCopies
from uyan.storage.location import Remote, is_url, locate
from uyan.storage.remote import _path

PARTS = st.text("ab./\\%2eE?#: \0ş", max_size=20)


def test_paths_stay_paths_and_file_urls_become_ones(tmp_path: Path) -> None:
    assert locate("set/manifest.csv") == Path("set/manifest.csv")
    assert locate("../set/manifest.csv", tmp_path / "recipes") == tmp_path / "set/manifest.csv"
    assert locate("/data/manifest.csv", tmp_path) == Path("/data/manifest.csv")
    assert locate("file:///data/my%20set/manifest.csv", tmp_path) == Path("/data/my set/manifest.csv")
    assert not is_url("C:/set") and not is_url("set:a/b")


def test_a_url_has_the_parts_of_a_path() -> None:
    file = locate("S3://words/set//a.wav")
    assert isinstance(file, Remote)
    assert str(file) == file.as_posix() == "s3://words/set/a.wav"
    assert (file.scheme, file.name, file.suffix) == ("s3", "a.wav", ".wav")
    assert file.parent == Remote("s3://words/set") and file.parent / "a.wav" == file
    assert file.parent.parent == file.parent.parent.parent == Remote("s3://words")


def test_it_is_small_whole_and_the_same_elsewhere() -> None:
    copies = LocalCopies(Path("/cache"), 100)
    file = locate("s3://words/a.wav", copies=copies)
    again = pickle.loads(pickle.dumps(file))
    assert again == file and again.copies == copies and len(pickle.dumps(file)) < 500
    assert {file, Remote("s3://words/a.wav")} == {file}  # where copies lie does not matter


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "names nothing"),
        ("s3://words/../other/manifest.csv", "'..'"),
        ("http://here/a/%2e%2e/manifest.csv", "'..'"),
        ("http://here/manifest.csv?token=hunter2", "a query"),
        ("http://ada:hunter2@here/manifest.csv", "credentials"),
        ("s3://AKIA:hunter2@words/manifest.csv", "credentials"),
        ("simplecache::s3://words/manifest.csv", "within a URL"),
        ("file://elsewhere/manifest.csv", "absolute path"),
    ],
)
def test_what_a_url_may_not_be(url: str, said: str) -> None:
    with pytest.raises(StorageError, match=said) as raised:
        locate(url)
    assert "hunter2" not in str(raised.value)


@given(PARTS)
def test_nothing_below_a_url_leaves_it(relative: str) -> None:
    for root in (Remote("s3://words/set"), Remote("http://here/set")):
        try:
            file = root / relative
        except StorageError:
            continue
        assert str(file).startswith(f"{root}/")
        assert not {"", ".", ".."} & set(str(file).removeprefix(f"{root}/").split("/"))


@given(PARTS)
def test_what_a_web_server_is_asked_for_lies_below(relative: str) -> None:
    yarl = pytest.importorskip("yarl")
    root = Remote("http://here/set")
    try:
        file = root / relative
    except StorageError:
        return
    asked = yarl.URL(_path(file))
    assert asked.host == "here" and not asked.query_string and not asked.fragment
    assert asked.path == f"/set/{relative}"


@given(PARTS)
def test_what_a_manifest_may_name_lies_below_it(relative: str) -> None:
    import polars as pl

    from uyan.data.manifest_table import validated

    row = {"row": [2], "path": [relative], "label": ["uyan"], "speaker_id": [""], "duration_s": ["1"]}
    try:
        table = validated(pl.DataFrame({**row, "kind": ["keyword"]}), Remote("s3://words/set/manifest.csv"))
    except ManifestError as reason:
        assert str(reason).startswith("s3://words/set/manifest.csv: row 2: path: ")
        return
    assert str(Remote("s3://words/set") / table["path"][0]).startswith("s3://words/set/")
