"""The import itself: what is not there, not audio or outside is left out and said; nothing half is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.data.importers.catalogue import import_data_set
from uyan.data.manifest import load_manifests
from uyan.errors import DataError, ManifestError

Tree = Callable[..., Path]
HEADER = "filename,category,esc10,src_file\n"


def esc50(tree: Tree, rows: str, *audio: str) -> Path:
    return tree(*audio, texts={"meta/esc50.csv": HEADER + rows})


def test_what_cannot_be_used_is_left_out_with_its_reason(tree: Tree, tmp_path: Path) -> None:
    folder = esc50(
        tree,
        "good.wav,dog,True,1\ngone.wav,dog,True,2\n../../outside.wav,dog,True,3\nbad.wav,dog,True,4\nlink.wav,dog,True,5\n",
        "audio/good.wav",
    )
    (folder / "audio" / "bad.wav").write_bytes(b"RIFF no audio")
    (tmp_path / "outside.wav").write_bytes((folder / "audio" / "good.wav").read_bytes())
    (folder / "audio" / "link.wav").symlink_to(tmp_path / "outside.wav")
    made = import_data_set("esc-50", folder)
    assert [r.path for r in made.recordings] == ["audio/good.wav"]
    reasons = {Path(path).name: reason.split(" (")[0] for path, reason in made.left_out}
    assert reasons == {
        "gone.wav": "is not there",
        "outside.wav": "leads out of the folder",
        "bad.wav": "cannot be read",
        "link.wav": "leads out of the folder",
    }


def test_nothing_readable_writes_nothing(tree: Tree) -> None:
    folder = esc50(tree, "gone.wav,dog,True,1\n")
    with pytest.raises(DataError, match=r"no recording of esc-50 that can be read; audio/gone\.wav: is not there"):
        import_data_set("esc-50", folder)
    assert not (folder / "manifest.csv").exists()


def test_nothing_but_the_keyword_is_said_so(tree: Tree) -> None:
    folder = tree("clips/1.mp3", texts={"validated.tsv": "client_id\tpath\tsentence\na\t1.mp3\tHey Jarvis!\n"})
    with pytest.raises(DataError, match=r"no recording of common-voice .*; all 1 say 'jarvis'"):
        import_data_set("common-voice", folder, "jarvis")


def test_sentences_with_the_keyword_are_counted(tree: Tree) -> None:
    header = "client_id\tpath\tsentence\n"
    rows = "a\t1.mp3\tHey Jarvis!\nb\t2.mp3\tjarvish hats\nc\t3.mp3\tgood morning\n"
    folder = tree("clips/1.mp3", "clips/2.mp3", "clips/3.mp3", texts={"validated.tsv": header + rows})
    made = import_data_set("common-voice", folder, "jarvis")
    assert made.saying_the_keyword == 1
    assert [r.path for r in made.recordings] == ["clips/2.mp3", "clips/3.mp3"]


def test_the_keyword_spelt_with_other_dots_is_no_negative(tree: Tree) -> None:
    words = ("i\u0307yi", "işık", "ışık", "bir")
    rows = [f"TRAIN,{n}.opus,{word},True,s{n}" for n, word in enumerate(words)]
    table = "\n".join(["SET,LINK,WORD,VALID,SPEAKER", *rows, ""])
    folder = tree(*(f"clips/{n}.opus" for n in range(4)), texts={"tr_splits.csv": table})
    good = import_data_set("mswc", folder, "iyi")
    assert [r.label for r in load_manifests([good.manifest])] == ["iyi", "işık", "ışık", "bir"]
    assert good.saying_the_keyword == 0
    light = import_data_set("mswc", folder, "ışık")
    assert [r.label for r in light.recordings] == ["iyi", "ışık", "bir"]
    assert light.saying_the_keyword == 1


def test_a_table_without_its_columns_is_named(tree: Tree) -> None:
    folder = tree("clips/1.mp3", texts={"validated.tsv": "client\tfile\nx\ty\n"})
    with pytest.raises(ManifestError, match=r"validated\.tsv: row 1: no column client_id"):
        import_data_set("common-voice", folder)


def test_an_unknown_name_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set 'timit' to import; there are speech-commands"):
        import_data_set("timit", tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        import_data_set("musan", tmp_path / "nowhere")
