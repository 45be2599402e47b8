"""What an import would write over is looked at before anything is measured."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.data.importers import catalogue
from uyan.data.importers.catalogue import import_data_set
from uyan.data.manifest import load_manifests
from uyan.errors import DataError, ManifestError

Tree = Callable[..., Path]
HEADER = "path,label,speaker_id,duration_s,kind,license,source\n"
EDITED = {
    "label": (",evet,", ",hayır,"),
    "speaker": ("cv:ab12", "ada"),
    "split": ("mswc,train", "mswc,test"),
    "licence": ("CC BY 4.0", "CC0"),
}


@pytest.fixture
def words(tree: Tree) -> Path:
    table = "SET,LINK,WORD,VALID,SPEAKER\nTRAIN,a.opus,evet,True,ab12\nTEST,b.opus,bir,True,NA\n"
    table += "DEV,c.opus,i\u0307ki,True,Zoe\u0308\n"
    return tree("clips/a.opus", "clips/b.opus", "clips/c.opus", texts={"tr_splits.csv": table})


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        pytest.fail("measured before it was refused")

    monkeypatch.setattr(catalogue, "run_tasks", fails)


def test_an_import_again_writes_the_same(words: Path) -> None:
    before = import_data_set("mswc", words).manifest.read_bytes()
    assert import_data_set("mswc", words).manifest.read_bytes() == before
    assert len(import_data_set("mswc", words, "bır").recordings) == 2


@pytest.mark.usefixtures("unmeasured")
def test_a_manifest_of_other_recordings_is_not_written_over(words: Path) -> None:
    manifest = words / "manifest.csv"
    manifest.write_text(HEADER + "a.wav,evet,ada,1,keyword,,mswc\nb.wav,evet,ada,1,keyword,,mine\n", encoding="utf-8")
    before = manifest.read_bytes()
    with pytest.raises(
        DataError, match=r"manifest\.csv: lists 1 recordings that are not of mswc, b\.wav .* another --out"
    ):
        import_data_set("mswc", words)
    manifest.write_text("my notes", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.csv: row 1: no column"):
        import_data_set("mswc", words)
    manifest.write_bytes(before)


@pytest.mark.parametrize("field", EDITED)
def test_what_somebody_changed_in_it_is_kept(words: Path, request: pytest.FixtureRequest, field: str) -> None:
    manifest = import_data_set("mswc", words).manifest
    text = manifest.read_text(encoding="utf-8")
    edited = text.replace(*EDITED[field], 1)
    assert edited != text
    manifest.write_text(edited, encoding="utf-8")
    request.getfixturevalue("unmeasured")
    with pytest.raises(
        DataError, match=r"manifest\.csv: lists 1 recordings otherwise .*clips/a\.opus .* another --out"
    ):
        import_data_set("mswc", words)
    assert manifest.read_text(encoding="utf-8") == edited


def test_when_a_word_is_said_is_kept(words: Path, request: pytest.FixtureRequest) -> None:
    manifest = import_data_set("mswc", words).manifest
    header, first, *rest = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join([f"{header},start_s,end_s", f"{first},0.1,0.3", *rest]), encoding="utf-8")
    assert load_manifests([manifest])[0].said_s == (0.1, 0.3)
    request.getfixturevalue("unmeasured")
    with pytest.raises(DataError, match="lists 1 recordings otherwise"):
        import_data_set("mswc", words)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("out", "problem"),
    [
        ("elsewhere/manifest.csv", "save the manifest in a folder above it"),
        ("data set/manifest.json", r"a \.csv or a \.parquet"),
        ("folder.csv", r"folder\.csv: cannot be written \(it is a folder\); name another --out"),
    ],
)
def test_an_impossible_place_is_refused_at_once(words: Path, out: str, problem: str) -> None:
    (words.parent / "folder.csv").mkdir()
    with pytest.raises(DataError, match=problem):
        import_data_set("mswc", words, out=words.parent / out)


@pytest.mark.usefixtures("unmeasured")
def test_a_folder_that_takes_no_files_is_refused_at_once(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuses)
    with pytest.raises(DataError, match=r"manifest\.csv: cannot be written \(Read-only file system\)"):
        import_data_set("mswc", words)


def test_a_place_above_is_taken(words: Path) -> None:
    made = import_data_set("mswc", words, out=words.parent / "all.parquet")
    assert [r.path for r in load_manifests([made.manifest])] == [f"data set/clips/{name}.opus" for name in "abc"]
    import_data_set("mswc", words, out=words.parent / "all.parquet")
    assert sorted(file.name for file in words.parent.iterdir()) == ["all.parquet", "data set"]
