"""`uyan voices`: a corpus from a word, killed and gone on with; one sentence; what there is; bad input."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from uyan.cli.main import main
from uyan.data.check import check
from uyan.data.manifest import load_manifests


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of `uyan voices ARGUMENTS`, on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["uyan", "voices", *map(str, arguments)])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.fixture(autouse=True)
def nobody_elses_voices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def test_a_word_becomes_recordings_that_pass_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "günaydın"
    options = ("--out", out, "--count", 24, "--language", "tr", "--workers", 2, "--format", "flac")
    assert call(monkeypatch, "generate", "günaydın", *options) == 0
    assert "24 clips, 6 speakers" in capsys.readouterr().out
    recordings = load_manifests([out / "manifest.csv"])
    report = check(recordings, workers=1)
    assert len(report.good) == 24
    assert not report.quarantined
    assert {finding.kind for finding in report.findings()} <= {"duplicate"}
    assert call(monkeypatch, "generate", "günaydın", *options) == 0


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_ends_with_the_same_files(tmp_path: Path) -> None:
    def start(out: Path) -> subprocess.Popen[bytes]:
        command = f"generate uyan --out {shlex.quote(str(out))} --count 120 --language tr --workers 2"
        return subprocess.Popen(
            [sys.executable, "-m", "uyan.cli.main", "voices", *shlex.split(command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "share")},
        )

    assert start(tmp_path / "whole").wait(120) == 0
    killed = 0
    for patience_s in (0.6, 0.9, 1.1, 1.3, 1.5):
        process = start(tmp_path / "killed")
        time.sleep(patience_s)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        manifest = tmp_path / "killed" / "manifest.csv"
        assert not manifest.exists() or len(load_manifests([manifest])) == 120
    assert killed > 0
    assert start(tmp_path / "killed").wait(120) == 0
    whole, gone_on = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.suffix in (".wav", ".csv")}
        for folder in (tmp_path / "whole", tmp_path / "killed")
    )
    assert whole == gone_on


def test_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "merhaba.wav"
    assert call(monkeypatch, "say", "merhaba evim", "--voice", "tr+f2", "--out", out) == 0
    assert "by espeak tr+f2 (tr)" in capsys.readouterr().out
    assert 0.4 < soundfile.info(out).duration < 2.0


def test_a_program_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = tmp_path / "given.wav", tmp_path / "out.wav"
    assert call(monkeypatch, "say", "hello", "--engine", "espeak", "--out", given) == 0
    script = f"import shutil, sys; shutil.copy({str(given)!r}, sys.argv[1])"
    command = shlex.join([sys.executable, "-c", script, "{out}", "{text}"])
    assert call(monkeypatch, "say", "hello", "--command", command, "--out", out) == 0
    assert soundfile.info(out).duration == pytest.approx(soundfile.info(given).duration, abs=0.03)


def test_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "list", "--language", "tr") == 0
    assert "tr+m1" in capsys.readouterr().out
    assert call(monkeypatch, "list", "--engine", "espeak") == 0
    shown = capsys.readouterr().out
    assert "LANGUAGE+VARIANT, such as en+m1" in shown and "tr Turkish" in shown
    assert call(monkeypatch, "list", "--fetchable", "--language", "tr") == 0
    assert "tr_TR-dfki-medium" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["say", "", "--out", "x.wav"], "nothing to say"),
        (["say", "a" * 10_000, "--out", "x.wav"], "10000 characters to say"),
        (["say", "hello", "--out", "x.mp3"], "ends in neither .wav nor .flac"),
        (["say", "hello", "--language", "tlh", "--out", "x.wav"], "speaks 'tlh'"),
        (["say", "hello", "--voice", "m1", "--out", "x.wav"], "name its language, too: en+m1"),
        (["say", "hello", "--engine", "espeak", "--out", "/proc/none/x.wav"], "cannot be written: "),
        (["list", "--language", "xx"], "no voice speaks 'xx'; they speak af"),
        (["say", "hello", "--voice", "missing.onnx", "--out", "x.wav"], "no such voice"),
        (["say", "hello", "--command", "true {out} {text}", "--out", "x.wav"], "wrote no file"),
        (["say", "hello", "--command", "sleep 60{out}{text}", "--out", "x.wav"], "ended with code"),
        (["generate", "  ", "--out", "x", "--count", "2"], "nothing to say"),
        (["generate", "uyan", "--out", "x", "--count", "2", "--carrier", "no place"], "needs one {}"),
        (["generate", "uyan", "--out", "x", "--count", "2", "--engine", "festival"], "no engine 'festival'"),
        (["generate", "uyan", "--out", "x", "--count", "2", "--texts", "none.txt"], "cannot be read"),
        (["fetch", "nobody"], "no voice 'nobody' to fetch"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *arguments) == 2
    shown = capsys.readouterr().err
    assert problem in shown
    assert shown.count("error:") == 1
    assert "goes on where it stopped" not in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "x" / "manifest.csv").exists()


def test_a_program_that_hangs_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hang = shlex.join([sys.executable, "-c", "import time; time.sleep(600)", "{out}", "{text}"])
    arguments = ("say", "hello", "--command", hang, "--limit-s", 0.5, "--out", tmp_path / "x.wav")
    assert call(monkeypatch, *arguments) == 2
    assert "longer than 0.5 s and was cut off" in capsys.readouterr().err


def test_after_a_mistyped_command_the_right_one_goes_into_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = tmp_path / "given.wav", tmp_path / "c4"
    assert call(monkeypatch, "say", "hello", "--engine", "espeak", "--out", given) == 0
    generate = ("generate", "hello", "--out", out, "--count", 1, "--command")
    assert call(monkeypatch, *generate, "nosuchprog -o {out} {text}") == 2
    assert "no clip could be made: command 'nosuchprog' cannot be started" in capsys.readouterr().err
    script = f"import shutil, sys; shutil.copy({str(given)!r}, sys.argv[1])"
    assert call(monkeypatch, *generate, shlex.join([sys.executable, "-c", script, "{out}", "{text}"])) == 0
    shown = capsys.readouterr()
    assert "1 clip, 1 speaker, " in shown.out
    assert "1 voice of command" in shown.out + shown.err
