"""Every rule a row must keep, seen through `load_manifests`, which is how a user meets it."""

from pathlib import Path

import polars as pl
import pytest

from uyan.data import manifest_table
from uyan.data.manifest import load_manifests, save_manifest
from uyan.errors import ManifestError

HEADER = "path,label,speaker_id,duration_s,kind,license,source\n"


def write_csv(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "manifest.csv"
    path.write_text(header + rows, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ("/a.wav,uyan,ali,1,keyword,,", "path", "absolute"),
        ("../a.wav,uyan,ali,1,keyword,,", "path", "leads out"),
        ("x/../../a.wav,uyan,ali,1,keyword,,", "path", "leads out"),
        ("..,uyan,ali,1,keyword,,", "path", "leads out"),
        (r"x\a.wav,uyan,ali,1,keyword,,", "path", "Windows"),
        ("c:/a.wav,uyan,ali,1,keyword,,", "path", "Windows"),
        (",uyan,ali,1,keyword,,", "path", "empty"),
        ("x/..,uyan,ali,1,keyword,,", "path", "empty"),
        ("a\0.wav,uyan,ali,1,keyword,,", "path", "NUL"),
        ("good.wav,uyan,ali,1,keyword,,", "path", "twice"),
        ("x/../good.wav,uyan,ali,1,keyword,,", "path", "twice"),
        ("a.wav,uyan,ali,1,word,,", "kind", "'word' is none of keyword, negative, noise, rir"),
        ("a.wav,uyan,ali,1,,,", "kind", "none of"),
        ("a.wav, ,ali,1,keyword,,", "label", "no word"),
        ("a.wav,uyan,ali,,keyword,,", "duration_s", "positive"),
        ("a.wav,uyan,ali,0,keyword,,", "duration_s", "positive"),
        ("a.wav,uyan,ali,-1,keyword,,", "duration_s", "positive"),
        ("a.wav,uyan,ali,nan,keyword,,", "duration_s", "positive"),
        ("a.wav,uyan,ali,inf,keyword,,", "duration_s", "positive"),
        ('a.wav,uyan,ali,"1,5",keyword,,', "duration_s", "'1,5'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, field: str, problem: str) -> None:
    path = write_csv(tmp_path, f"good.wav,uyan,ali,1,keyword,,\n\n{row}\n")
    with pytest.raises(ManifestError) as caught:
        load_manifests([path])
    message = str(caught.value)
    number = 2 if problem == "twice" else 4
    assert message.startswith(f"{path}: row {number}: {field}: ")
    assert problem in message


def test_the_number_of_further_bad_rows_is_said(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "".join(f"{i}.wav,uyan,ali,x,keyword,,\n" for i in range(5)))
    with pytest.raises(ManifestError, match=r"row 2: duration_s: 'x' .* \(and 4 more rows\)"):
        load_manifests([path])


def test_missing_columns_are_listed_with_those_there_are(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "a.wav,1\n", "path,length\n")
    with pytest.raises(ManifestError, match="no column label, speaker_id, duration_s, kind; there are path, length"):
        load_manifests([path])


def test_semicolons_are_recognised(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "a.wav;uyan;ali;1;keyword\n", "path;label;speaker_id;duration_s;kind\n")
    with pytest.raises(ManifestError, match="separate the columns by commas"):
        load_manifests([path])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (HEADER.encode(), "no recordings"),
        (HEADER.encode() + b"\n\n", "no recordings"),
        (HEADER.encode() + b"a.wav,uyan,Zo\xeb,1,keyword,,\n", "row 2: not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\xff", "row 1: not UTF-8"),
        (HEADER.encode() + b"a.wav,uyan,ali,1,keyword,,\nb.wav,x,y,uyan,ali,1,keyword,,\n", "row 3: not CSV"),
        (HEADER.encode() + b'a.wav,uyan,ali,1,keyword,,\nb.wav,"uyan,ali,1,keyword,,\n', "row 3: not CSV"),
        (
            HEADER.encode() + "a.wav,u\u2028y,ali,1,keyword,,\nb.wav,x,y,uyan,ali,1,keyword,,\n".encode(),
            "row 3: not CSV",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=problem) as caught:
        load_manifests([path])
    assert str(path) in str(caught.value)


def test_what_cannot_be_a_manifest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 nothing PAR1")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    cases = {
        tmp_path / "manifest.json": "a .csv or a .parquet",
        tmp_path / "absent.csv": "No such file",
        folder: "cannot be read",
        torn: "not a Parquet table",
    }
    for path, problem in cases.items():
        with pytest.raises(ManifestError, match=problem):
            load_manifests([path])
    with pytest.raises(ManifestError, match="no manifest given"):
        load_manifests([])
    path = write_csv(tmp_path, "a.wav,uyan,ali,1,keyword,,\n")
    monkeypatch.setattr(manifest_table, "MAX_MANIFEST_BYTES", 10)
    with pytest.raises(ManifestError, match="at most 1e-05 MB"):
        load_manifests([path])


def test_parquet_with_numbers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    columns = {"path": ["a.wav", "b.wav"], "label": ["uyan"] * 2, "speaker_id": [7, None], "kind": ["keyword"] * 2}
    pl.DataFrame({**columns, "duration_s": [1.25, 2]}).write_parquet(path)
    first, second = load_manifests([path])
    assert (first.speaker_id, first.duration_s, first.source) == ("7", 1.25, "")
    assert not second.speaker_known
    pl.DataFrame({**columns, "duration_s": [1.25, -2]}).write_parquet(path)
    with pytest.raises(ManifestError, match="row 2: duration_s: '-2"):
        load_manifests([path])


def test_a_parquet_column_of_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    columns = {"path": ["a.wav"], "label": ["uyan"], "speaker_id": ["ali"], "kind": ["keyword"]}
    pl.DataFrame({**columns, "duration_s": [[1.0, 2.0]]}).write_parquet(path)
    with pytest.raises(ManifestError, match=r"manifest\.parquet"):
        load_manifests([path])


LISTED = {
    "path": ["a.wav", "b.wav"],
    "label": ["x"] * 2,
    "speaker_id": ["s"] * 2,
    "kind": ["noise"] * 2,
    "duration_s": [1.0] * 2,
}


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        pytest.fail("read before it was refused")

    for name in ("read_parquet", "read_csv"):
        monkeypatch.setattr(pl, name, fails)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_more_rows_than_a_manifest_has_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"manifest{suffix}"
    table = pl.DataFrame(LISTED)
    table.write_csv(path) if suffix == ".csv" else table.write_parquet(path)
    monkeypatch.setattr(manifest_table, "MAX_ROWS", 1)
    with pytest.raises(ManifestError, match=r"manifest\..*: 2 rows; a manifest has at most 1, split it"):
        load_manifests([path])


@pytest.mark.usefixtures("unread")
def test_a_small_parquet_that_unpacks_to_more_than_a_manifest_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest.parquet"
    pl.DataFrame(LISTED | {"label": ["x" * 1_000_000, "y"]}).write_parquet(path)
    monkeypatch.setattr(manifest_table, "MAX_MANIFEST_BYTES", 500_000)
    assert path.stat().st_size < 10_000
    with pytest.raises(ManifestError, match=r"manifest\.parquet: 1\.\d+ MB unpacked; .* at most 0\.5 MB, split it"):
        load_manifests([path])


def test_long_words_in_every_row_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has a word once, however many rows repeat it."""
    path = tmp_path / "manifest.parquet"
    rows = {name: [values[0]] * 1_000 for name, values in LISTED.items()}
    rows |= {"path": [f"{n}.wav" for n in range(1_000)], "label": ["x" * 10_000] * 1_000}
    pl.DataFrame(rows).write_parquet(path)
    monkeypatch.setattr(manifest_table, "MAX_MANIFEST_BYTES", 5_000_000)
    with pytest.raises(ManifestError, match=r"manifest\.parquet: 10\.\d+ MB unpacked; .* at most 5 MB, split it"):
        load_manifests([path])
    monkeypatch.setattr(manifest_table, "MAX_MANIFEST_BYTES", 20_000_000)
    assert len(load_manifests([path])) == 1_000


def test_a_column_that_nobody_reads_may_be_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.parquet"
    pl.DataFrame(LISTED | {"notes": ["x" * 1_000_000, "y"]}).write_parquet(path)
    monkeypatch.setattr(manifest_table, "MAX_MANIFEST_BYTES", 500_000)
    assert len(load_manifests([path])) == 2


def test_no_more_rows_are_written_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.csv"
    pl.DataFrame(LISTED).write_csv(path)
    recordings = load_manifests([path])
    monkeypatch.setattr(manifest_table, "MAX_ROWS", 1)
    with pytest.raises(ManifestError, match=r"again\.parquet: 2 rows; a manifest has at most 1"):
        save_manifest(recordings, tmp_path / "again.parquet")
