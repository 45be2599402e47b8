"""A folder's files are listed and read in parts, behind a URL as on disk; what changed since or is gone is refused."""

from pathlib import Path
from typing import Any

import pytest

from uyan.errors import MissingFileError, StorageError
from uyan.storage import remote
from uyan.storage.folder import Listed, list_folder, read_part, require_unchanged
from uyan.storage.location import Location, locate

CONTENT = bytes(range(200))


class Place:
    """A folder to write to, as its owner does."""

    def __init__(self, kind: str, tmp_path: Path, s3: Any) -> None:
        self.root: Location = tmp_path / "store" if kind == "disk" else locate("s3://words/store")
        self._s3 = s3

    def write(self, name: str, content: bytes) -> None:
        if isinstance(self.root, Path):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / f"{name}.new").write_bytes(content)
            (self.root / f"{name}.new").rename(self.root / name)
        else:
            self._s3.pipe(f"{self.root}/{name}", content)

    def delete(self, name: str) -> None:
        if isinstance(self.root, Path):
            (self.root / name).unlink()
        else:
            self._s3.rm(f"{self.root}/{name}")


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, s3: Any) -> Place:
    made = Place(request.param, tmp_path, s3)
    for name in ("b.f16", "a.index", ".hidden", "below/c.f16"):
        made.write(name, CONTENT)
    return made


def one(place: Place) -> Listed:
    return list_folder(place.root)["b.f16"]


def test_files_of_the_folder_itself_by_name_and_any_part_of_them(place: Place) -> None:
    found = list_folder(place.root)
    assert list(found) == [".hidden", "a.index", "b.f16"]
    assert {str(entry.file) for entry in found.values()} == {f"{place.root}/{name}" for name in found}
    assert {entry.version.size for entry in found.values()} == {len(CONTENT)}
    assert read_part(one(place), 7, 19) == CONTENT[7:19] and read_part(one(place), 0, 200) == CONTENT
    require_unchanged(one(place))


def test_no_folder_has_no_files(place: Place) -> None:
    assert list_folder(place.root / "none") == {}


def test_a_file_that_was_replaced(place: Place) -> None:
    was = one(place)
    place.write("b.f16", CONTENT[::-1])
    with pytest.raises(StorageError, match=r"store/b\.f16: changed while it was read"):
        require_unchanged(was)


def test_a_file_that_was_replaced_by_a_shorter_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT_S", 0.01)
    was = one(place)
    place.write("b.f16", CONTENT[:100])
    with pytest.raises(StorageError, match=r"store/b\.f16: changed while it was read"):
        read_part(was, 90, 150)


def test_a_file_that_is_gone(place: Place) -> None:
    was = one(place)
    place.delete("b.f16")
    for ask in (lambda: read_part(was, 0, 10), lambda: require_unchanged(was)):
        with pytest.raises(MissingFileError, match=r"store/b\.f16: no such file"):
            ask()


def test_a_bucket_that_does_not_exist_is_no_empty_folder(s3: Any) -> None:
    with pytest.raises(StorageError, match="the bucket s3://wrods does not exist"):
        list_folder(locate("s3://wrods/store"))


def test_a_web_server_lists_nothing() -> None:
    with pytest.raises(StorageError, match="http://here/store: a web server does not list its folders; use object"):
        list_folder(locate("http://here/store"))


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file: cannot be read \(Not a directory\)"):
        list_folder(tmp_path / "file")
