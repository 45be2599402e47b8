"""Which voices are meant: by engine, name, file and language; what is missing is said with the way to get it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from uyan.errors import ConfigError, VoiceError
from uyan.voices import installed
from uyan.voices.installed import Wish, check_files, choose
from uyan.voices.listing import espeak_names, installed_rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two Piper voices and a Kokoro model, their networks empty; every engine's package is there."""
    monkeypatch.setattr(installed, "importable", lambda engine: True)
    monkeypatch.setattr("uyan.voices.listing.importable", lambda engine: True)
    for name, code, speakers in (("en_US-many-medium", "en_US", 3), ("tr_TR-dfki-medium", "tr_TR", 1)):
        (tmp_path / f"{name}.onnx").write_bytes(b"")
        description = {
            **{"num_speakers": speakers, "espeak": {"voice": code[:2]}, "language": {"code": code}},
            "audio": {"sample_rate": 22_050},
        }
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(description))
    (tmp_path / "tr_TR-dfki-medium.MODEL_CARD").write_text("# card\n* License: CC-BY\n")
    (tmp_path / "kokoro").mkdir()
    (tmp_path / "kokoro" / "kokoro.onnx").write_bytes(b"")
    np.savez(tmp_path / "kokoro" / "voices.npz", af_one=np.zeros((3, 1, 256), np.float32))
    return tmp_path


def chosen(folder: Path, **wish: object) -> set[str]:
    return {f"{voice.engine}:{voice.name}" for voice in choose(folder, Wish(**wish))[1]}  # type: ignore[arg-type]


def test_neural_voices_are_taken_where_they_speak_the_language(folder: Path) -> None:
    assert chosen(folder) == {"piper:many:0", "piper:many:1", "piper:many:2", "kokoro:af_one"}
    assert chosen(folder, languages=("tr",)) == {"piper:dfki:0"}
    finnish = chosen(folder, languages=("fi",))
    assert len(finnish) > 40
    assert all(name.startswith("espeak:fi+") for name in finnish)


def test_names_of_voices_speakers_files_and_engines(folder: Path) -> None:
    assert chosen(folder, voices=("many:1",)) == {"piper:many:1"}
    assert chosen(folder, voices=("many", "tr+f2")) == {"piper:many:0", "piper:many:1", "piper:many:2", "espeak:tr+f2"}
    assert chosen(folder, voices=("tr_TR-dfki-medium",)) == {"piper:dfki:0"}
    assert chosen(folder, voices=(str(folder / "tr_TR-dfki-medium.onnx"),)) == {"piper:dfki:0"}
    assert chosen(folder, engines=("kokoro",), languages=("es",)) == {"kokoro:af_one"}
    assert all(name.startswith("espeak:en") for name in chosen(folder, engines=("espeak",)))


def test_accents(folder: Path) -> None:
    """Of several languages each has its voices; one that speaks two of them gets one."""
    assert chosen(folder, languages=("en", "tr")) == chosen(folder) | {"piper:dfki:0"}
    spoken = {voice.language for voice in choose(folder, Wish(engines=("espeak",), languages=("sw", "tr", "az")))[1]}
    assert spoken == {"sw", "tr", "az"}
    styles = choose(folder, Wish(engines=("kokoro",), languages=("es", "it")))[1]
    assert [(voice.name, voice.language) for voice in styles] == [("af_one", "es")]
    with pytest.raises(VoiceError, match="speaks 'tlh'"):
        chosen(folder, languages=("en", "tlh"))


def test_a_file_elsewhere_needs_no_folder(folder: Path, tmp_path: Path) -> None:
    assert chosen(tmp_path / "none", voices=(str(folder / "en_US-many-medium.onnx"),)) == {
        "piper:many:0", "piper:many:1", "piper:many:2",
    }  # fmt: skip


def test_a_file_has_one_name_however_it_is_spelt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for spelt in ("tr_TR-dfki-medium.onnx", "kokoro/../tr_TR-dfki-medium.onnx", str(folder / "tr_TR-dfki-medium.onnx")):
        assert chosen(folder, voices=(spelt,)) == {"piper:dfki:0"}
        assert chosen(folder, voices=(spelt, "dfki")) == {"piper:dfki:0"}


def test_a_kokoro_model_that_is_named_is_taken_before_the_folders(folder: Path) -> None:
    other = folder / "zoo" / "kokoro"
    shutil.copytree(folder / "kokoro", other)
    np.savez(other / "voices.npz", bf_other=np.zeros((3, 1, 256), np.float32))
    model = other / "kokoro.onnx"
    assert chosen(folder, voices=(str(model),)) == {"kokoro:bf_other"}
    assert chosen(folder, engines=("kokoro",)) == {"kokoro:af_one"}
    with pytest.raises(VoiceError, match=r"kokoro\.onnx: no chosen engine speaks with it"):
        chosen(folder, voices=(str(model), str(folder / "kokoro" / "kokoro.onnx")))
    with pytest.raises(VoiceError, match="no chosen engine speaks with it"):
        chosen(folder, voices=(str(model),), engines=("espeak",))


def test_a_command_is_taken_alone(folder: Path) -> None:
    (voice,) = chosen(folder, command="/bin/say -o {out} {text}", languages=("fi",))
    assert voice.startswith("command:say-")


@pytest.mark.parametrize(
    ("wish", "kind", "problem"),
    [
        ({"engines": ("festival",)}, ConfigError, "there are espeak, piper, kokoro, command"),
        ({"engines": ("command",)}, VoiceError, "needs a program"),
        ({"voices": ("nobody",)}, VoiceError, "no voice 'nobody'"),
        ({"voices": ("m1",)}, VoiceError, r"no voice 'm1'; name its language, too: en\+m1"),
        ({"voices": ("m1",), "languages": ("tr",)}, VoiceError, r"name its language, too: tr\+m1"),
        ({"voices": ("many",), "engines": ("espeak",)}, VoiceError, "it is one of piper: add --engine piper"),
        ({"languages": ("turkish",)}, VoiceError, r"speaks 'turkish'; did you mean tr \(Turkish\)"),
        ({"languages": ("english",)}, VoiceError, r"did you mean en \(English \(Great Britain\)\) or "),
        ({"languages": ("en-uk",)}, VoiceError, r"did you mean en-us"),
        ({"languages": ("xx",)}, VoiceError, r"speaks 'xx'; they speak af, am, .* more; `uyan voices list"),
        ({"voices": ("none.onnx",)}, VoiceError, "no such voice"),
        ({"voices": ("many",), "languages": ("tr",)}, VoiceError, "no chosen voice speaks 'tr'; they speak en-us"),
        ({"engines": ("kokoro",), "languages": ("tr",)}, VoiceError, "speaks 'tr'; they speak cmn, en-gb"),
        ({"languages": ("tlh",)}, VoiceError, "speaks 'tlh'"),
    ],
)
def test_wishes_that_cannot_be_met(folder: Path, wish: dict[str, object], kind: type[Exception], problem: str) -> None:
    with pytest.raises(kind, match=problem):
        chosen(folder, **wish)


def test_a_missing_package_is_named_with_its_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "importable", lambda engine: engine == "espeak")
    for engine, extra in (("piper", "voices"), ("kokoro", "kokoro")):
        with pytest.raises(VoiceError, match=rf"pip install 'uyan\[{extra}\]'"):
            chosen(folder, engines=(engine,))
    with pytest.raises(VoiceError, match=r"uyan\[voices\]"):
        chosen(folder, voices=(str(folder / "en_US-many-medium.onnx"),))
    monkeypatch.setattr(installed, "importable", lambda engine: False)
    with pytest.raises(VoiceError, match="no engine is installed"):
        chosen(folder)


def test_voices_without_their_engine_are_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed.not_installed(folder) == []
    monkeypatch.setattr(installed, "importable", lambda engine: engine != "piper")
    (told,) = installed.not_installed(folder)
    assert told == f"voices of piper lie in {folder}, but the engine piper is not installed; pip install 'uyan[voices]'"
    assert installed.not_installed(tmp_path / "empty") == []
    for file in folder.glob("*.json"):
        file.unlink()
    assert installed.not_installed(folder) == [], "no Piper voice is one file"


def test_no_voice_of_an_engine_says_how_to_get_one(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(VoiceError, match="uyan voices fetch"):
        chosen(tmp_path / "empty", engines=("piper",))


def test_damaged_networks_are_told_before_anything_is_made(folder: Path) -> None:
    pytest.importorskip("piper", reason="needs uyan[voices]")
    with pytest.raises(VoiceError, match=r"many-medium\.onnx: is no voice"):
        check_files(*choose(folder, Wish(voices=("many",))))


def test_rows_of_the_list(folder: Path) -> None:
    rows, problems = installed_rows(folder)
    assert problems == []
    by_name = {row[0]: row for row in rows}
    assert by_name["en_US-many-medium"] == ("en_US-many-medium", "piper", "en-us", 3, "not stated")
    assert by_name["tr_TR-dfki-medium"][4] == "CC-BY"
    assert {row[0] for row in installed_rows(folder, "tr")[0]} == {"tr+m1 …", "tr_TR-dfki-medium"}
    assert by_name["en+m1 …"][2].startswith("af, am, an, ") and by_name["en+m1 …"][2].endswith(" more")
    (folder / "tr_TR-dfki-medium.onnx.json").write_text("{")
    rows, (problem,) = installed_rows(folder)
    assert "tr_TR-dfki-medium.onnx.json: cannot be read" in problem
    assert {row[0] for row in rows} == set(by_name) - {"tr_TR-dfki-medium"}, "the others are listed"
    with pytest.raises(VoiceError, match=r"dfki-medium\.onnx\.json: cannot be read"):
        chosen(folder)


def test_one_engine_alone_is_listed(folder: Path) -> None:
    rows, problems = installed_rows(folder, only="espeak")
    assert [row[:2] for row in rows] == [("en+m1 …", "espeak")] and problems == []
    naming, spoken, variants = espeak_names()
    assert "en+m1" in naming and variants.startswith("variants: m1, m2, ")
    codes = [language.split()[0] for language in spoken.removeprefix("languages: ").split("; ")]
    assert codes == sorted(codes) and {"af", "tr", "yue"} <= set(codes)
    assert "tr Turkish" in spoken and "//" not in spoken
    with pytest.raises(ConfigError, match="no engine 'festival'"):
        installed_rows(folder, only="festival")
    with pytest.raises(VoiceError, match=r"no voice speaks 'turkish'; did you mean tr \(Turkish\)"):
        installed_rows(folder, "turkish")
    with pytest.raises(VoiceError, match="no voice speaks 'xx'; they speak af, "):
        installed_rows(folder, "xx")
