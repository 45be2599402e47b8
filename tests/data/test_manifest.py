import tempfile
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.data.manifest import load_manifests, save_manifest
from uyan.data.recording import Recording, normal_word, unknown_speaker_id, unknown_speakers
from uyan.errors import ManifestError
from uyan.storage.location import locate

HEADER = "path,label,speaker_id,duration_s,kind,license,source\n"


def write_csv(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "manifest.csv"
    path.write_text(header + rows, encoding="utf-8")
    return path


def recording(root: Path, path: str = "a.wav", **changes: Any) -> Recording:
    plain = Recording(path, root, "uyan", "ali", True, 1.25, "keyword", "CC0", "here")
    return replace(plain, **changes)


def test_every_column_is_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "uyan/a.wav,uyan,ali,1.25,keyword,CC0,here\nhiss.wav,fan,,60,noise,,\n")
    first, second = load_manifests([path])
    assert first == recording(tmp_path, "uyan/a.wav")
    assert first.file == tmp_path / "uyan/a.wav"
    assert (second.kind, second.label, second.duration_s, second.speaker_known) == ("noise", "fan", 60.0, False)


def test_a_missing_speaker_gets_one_of_its_own(tmp_path: Path) -> None:
    rows = "a.wav,uyan,,1,keyword\nb.wav,uyan, ,1,keyword\nc.wav,uyan,ali,1,keyword\nn.wav,fan,,1,noise\n"
    path = write_csv(tmp_path, rows, "path,label,speaker_id,duration_s,kind\n")
    loaded = load_manifests([path])
    assert loaded[0].speaker_id == "unknown:" + sha1(b"a.wav").hexdigest()[:12]
    assert len({r.speaker_id for r in loaded}) == 4
    assert [r.speaker_known for r in loaded] == [False, False, True, False]
    assert unknown_speakers(loaded) == 2  # noise has no voice that could leak


def test_extra_columns_order_blank_lines_and_spaces_do_not_matter(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path, '9,keyword, uyan ,ali ,"x,y/ü.wav",1\n\n', "age,kind,label,speaker_id, path,duration_s\n"
    )
    (only,) = load_manifests([path])
    assert (only.label, only.speaker_id, only.path, only.license) == ("uyan", "ali", "x,y/ü.wav", "")


def test_one_speaker_in_two_unicode_spellings_is_one(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "a.wav,uyan,Zo\u00eb,1,keyword,,\nb.wav,uyan,Zoe\u0308,1,keyword,,\n")
    assert {r.speaker_id for r in load_manifests([path])} == {"Zo\u00eb"}


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"a.wav,uyan,ali,1.25,keyword,CC0,here\r\n")
    assert load_manifests([path]) == [recording(tmp_path)]


def test_paths_are_made_normal(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "./x//y/../a.wav,uyan,ali,1,keyword,,\n")
    assert load_manifests([path])[0].path == "x/a.wav"


def test_several_manifests_are_one_data_set(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_csv(tmp_path / name, "a.wav,uyan,ali,1,keyword,,\n")
    loaded = load_manifests([tmp_path / "one/manifest.csv", tmp_path / "two/manifest.csv"])
    assert [r.file for r in loaded] == [tmp_path / "one/a.wav", tmp_path / "two/a.wav"]


def test_the_same_file_in_two_manifests_is_refused(tmp_path: Path) -> None:
    one = write_csv(tmp_path, "sub/a.wav,uyan,ali,1,keyword,,\n")
    (tmp_path / "sub").mkdir()
    two = write_csv(tmp_path / "sub", "a.wav,uyan,ali,1,keyword,,\n")
    with pytest.raises(ManifestError, match=r"listed in .* as well"):
        load_manifests([one, two])


@pytest.mark.parametrize("linked", ["a.wav", "x"])
def test_a_link_may_not_lead_out_of_the_root(tmp_path: Path, linked: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "root2" / "x"
    root.mkdir()
    outside.mkdir(parents=True)
    (outside / "a.wav").touch()
    path = write_csv(root, ("a.wav" if linked == "a.wav" else "x/y/../a.wav") + ",uyan,ali,1,keyword,,\n")
    (root / linked).symlink_to(outside if linked == "x" else outside / "a.wav")
    with pytest.raises(ManifestError, match=r"row 2: path: .* outside of the manifest's folder"):
        load_manifests([path])


def test_links_within_the_root_and_loops_are_let_pass(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").symlink_to("x")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    path = write_csv(tmp_path, "y/a.wav,uyan,ali,1,keyword,,\nloop.wav,uyan,ali,1,keyword,,\n")
    assert [r.path for r in load_manifests([path])] == ["y/a.wav", "loop.wav"]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def recordings(draw: st.DrawFn, root: Path) -> list[Recording]:
    names = draw(st.lists(st.text("aüZ0 ,\"'.\n#", min_size=1, max_size=6), min_size=1, max_size=6, unique=True))
    made = []
    for name in names:
        path = f"x/{name}.wav"
        speaker_id = normal_word(draw(WORDS))
        made.append(
            Recording(
                path=path,
                root=root,
                label=normal_word(draw(WORDS)) or "uyan",
                speaker_id=speaker_id or unknown_speaker_id(path),
                speaker_known=bool(speaker_id),
                duration_s=draw(st.floats(1e-3, 1e6)),
                kind=draw(st.sampled_from(["keyword", "negative", "noise", "rir"])),
                license=draw(WORDS),
                source=draw(WORDS),
            )
        )
    return made


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_saved_and_loaded_recordings_are_the_same(suffix: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()

        @settings(max_examples=50)
        @given(recordings(folder))
        def holds(made: list[Recording]) -> None:
            save_manifest(made, folder / f"manifest.{suffix}")
            assert load_manifests([folder / f"manifest.{suffix}"]) == made
            assert [path.name for path in folder.iterdir()] == [f"manifest.{suffix}"]

        holds()


def test_paths_are_saved_relative_to_the_manifest(tmp_path: Path) -> None:
    made = [recording(tmp_path / "one", "x/a.wav"), recording(tmp_path, "two/b.wav")]
    save_manifest(made, tmp_path / "all.csv")
    assert [r.path for r in load_manifests([tmp_path / "all.csv"])] == ["one/x/a.wav", "two/b.wav"]
    save_manifest(made[:1], tmp_path / "one/x/deep.csv")
    assert load_manifests([tmp_path / "one/x/deep.csv"])[0].file == made[0].file


def test_what_could_not_be_read_back_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "one" / "manifest.csv"
    with pytest.raises(ManifestError, match="is not below"):
        save_manifest([recording(tmp_path / "two")], path)
    with pytest.raises(ManifestError, match="twice"):
        save_manifest([recording(path.parent), recording(path.parent)], path)
    with pytest.raises(ManifestError, match="no word"):
        save_manifest([recording(path.parent, label="")], path)
    assert not path.exists()


def test_where_the_word_is_said_is_read_and_written_back(tmp_path: Path) -> None:
    header = HEADER.strip() + ",start_s,end_s\n"
    path = write_csv(tmp_path, "a.wav,uyan,ali,3.0,keyword,,,0.5,1.25\nb.wav,uyan,can,1.0,keyword,,,,\n", header)
    recordings = load_manifests([path])
    assert [r.said_s for r in recordings] == [(0.5, 1.25), None]
    for name in ("again.csv", "again.parquet"):
        save_manifest(recordings, tmp_path / name)
        assert load_manifests([tmp_path / name]) == recordings
    save_manifest(recordings[1:], tmp_path / "plain.csv")
    assert "start_s" not in (tmp_path / "plain.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("0.5,", "end_s: '' is empty"),
        ("x,1.0", "start_s: 'x' is no number of seconds"),
        ("0.5,nan", "end_s: 'nan' is no number of seconds"),
        ("1.0,0.5", "start_s: '1.0' is negative or not before end_s"),
        ("-0.1,0.5", "start_s: '-0.1' is negative"),
        ("0.5,3.2", "end_s: '3.2' lies behind the recording's end"),
    ],
)
def test_an_impossible_place_is_refused(tmp_path: Path, place: str, problem: str) -> None:
    path = write_csv(tmp_path, f"a.wav,uyan,ali,3.0,keyword,,,{place}\n", HEADER.strip() + ",start_s,end_s\n")
    with pytest.raises(ManifestError, match=f"row 2: {problem}"):
        load_manifests([path])


def test_official_splits_are_read_written_and_checked(tmp_path: Path) -> None:
    rows = [recording(tmp_path, "a.wav", split="test"), recording(tmp_path, "b.wav")]
    save_manifest(rows, tmp_path / "m.csv")
    assert load_manifests([tmp_path / "m.csv"]) == rows
    save_manifest(rows[1:], tmp_path / "n.csv")
    assert "split" not in (tmp_path / "n.csv").read_text(encoding="utf-8")
    wrong = write_csv(tmp_path, "a.wav,uyan,ali,1,keyword,dev\n", "path,label,speaker_id,duration_s,kind,split\n")
    with pytest.raises(ManifestError, match=r"row 2: split: 'dev' is none of train, validation, test"):
        load_manifests([wrong])


def test_a_manifest_behind_a_url_is_the_same_but_for_its_root(s3: Any, tmp_path: Path) -> None:
    rows = "x/a.wav,uyan,ali,1.5,keyword,CC0,here\nb.wav,speech,,2,negative,,\n"
    local = load_manifests([write_csv(tmp_path, rows)])
    s3.put_file(str(tmp_path / "manifest.csv"), "words/set/manifest.csv")
    pl.read_csv(tmp_path / "manifest.csv").write_parquet(tmp_path / "manifest.parquet")
    s3.put_file(str(tmp_path / "manifest.parquet"), "words/other/manifest.parquet")
    url = locate("s3://words/set/manifest.csv")
    remote = load_manifests([url])
    assert [str(r.file) for r in remote] == ["s3://words/set/x/a.wav", "s3://words/set/b.wav"]
    assert [replace(r, root=tmp_path) for r in remote] == local and [r.id for r in remote] == [r.id for r in local]
    assert len(load_manifests([url, locate("s3://words/other/manifest.parquet")])) == 4
    with pytest.raises(ManifestError, match=r"s3://words/set/x/a.wav is listed in s3://words/set/manifest.csv as well"):
        s3.pipe("words/set/again.csv", (tmp_path / "manifest.csv").read_bytes())
        load_manifests([url, locate("s3://words/set/again.csv")])


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../a.wav", "leads out of the manifest's folder"),
        ("/a.wav", "is absolute"),
        ("s3://other/a.wav", "is a URL; write it relative"),
        ("file:///etc/a.wav", "is a URL; write it relative"),
    ],
)
def test_a_manifest_behind_a_url_names_nothing_elsewhere(path: str, problem: str, s3: Any) -> None:
    s3.pipe("words/set/manifest.csv", f"{HEADER}a.wav,uyan,ali,1,keyword,,\n{path},uyan,ali,1,keyword,,\n".encode())
    with pytest.raises(ManifestError, match=f"^s3://words/set/manifest.csv: row 3: path: '{path}' {problem}"):
        load_manifests([locate("s3://words/set/manifest.csv")])
