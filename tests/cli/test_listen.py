import csv
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_sounddevice import Plug
from uyan.audio_file import read, write
from uyan.bundle import Bundle, load
from uyan.detector import Detection, Detector

Listen = Callable[..., tuple[int, str, str]]


@pytest.fixture
def listen(uyan: Listen) -> Listen:
    """listen(*arguments): exit code, standard output and standard error of `uyan listen`."""
    return partial(uyan, "listen")


@pytest.fixture
def sound(changing_sound: Any, tmp_path: Path) -> Path:
    path = tmp_path / "oda günlüğü.wav"
    write(path, changing_sound(12.0, seed=1))
    return path


@pytest.fixture
def expected(bundle: Bundle, sound: Path) -> list[Detection]:
    found = Detector(bundle, tta=True).push(read(sound))
    assert len(found) >= 3
    return found


def assert_one_line(text: str) -> None:
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert "Traceback" not in text


def test_one_line_a_detection(listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection]) -> None:
    code, out, err = listen(bundle.path, sound)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{sound}  {found.time_s:9.3f} s  günaydın  score {found.score:.3f}" for found in expected
    ]


def test_json_has_one_object_a_line(listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection]) -> None:
    code, out, err = listen(bundle.path, sound, "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"file": str(sound), "time_s": found.time_s, "label": "günaydın", "score": found.score} for found in expected
    ]
    assert "günaydın" in out


def test_the_threshold_can_be_given(listen: Listen, bundle: Bundle, sound: Path) -> None:
    assert listen(bundle.path, sound, "--threshold", "1") == (0, "", "")
    found = Detector(bundle, 0.8, tta=True).push(read(sound))
    assert [
        json.loads(line)["time_s"] for line in listen(bundle.path, sound, "--json", "--threshold", 0.8)[1].splitlines()
    ] == [each.time_s for each in found]


@pytest.mark.parametrize("threshold", ["1.5", "-0.1", "nan", "inf"])
def test_a_threshold_out_of_range_is_one_line(listen: Listen, bundle: Bundle, sound: Path, threshold: str) -> None:
    code, out, err = listen(bundle.path, sound, f"--threshold={threshold}")
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert "threshold" in err
    assert "[0, 1]" in err


def test_a_missing_bundle_is_one_line(listen: Listen, sound: Path, tmp_path: Path) -> None:
    code, out, err = listen(tmp_path / "none.onnx", sound)
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert "none.onnx" in err


@pytest.mark.parametrize("size", [0, 100, 60_000, -1])
def test_a_torn_bundle_is_one_line(listen: Listen, bundle: Bundle, sound: Path, tmp_path: Path, size: int) -> None:
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(bundle.data[:size])
    code, out, err = listen(torn, sound)
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert "torn.onnx" in err


def test_the_others_are_heard_when_one_file_is_unreadable(
    listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection], tmp_path: Path
) -> None:
    broken, missing, again = tmp_path / "broken.wav", tmp_path / "missing.wav", tmp_path / "again.wav"
    broken.write_bytes(b"RIFF of no kind")
    again.write_bytes(sound.read_bytes())
    code, out, err = listen(bundle.path, broken, sound, missing, again, "--json")
    assert code == 2
    assert_one_line(err)
    assert "broken.wav" in err
    assert "missing.wav" in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["file"], row["time_s"]) for row in rows] == [
        (str(file), found.time_s) for file in (sound, again) for found in expected
    ]


def test_without_averaging_the_plain_operating_point_is_used(listen: Listen, bundle: Bundle, sound: Path) -> None:
    times_s = [json.loads(line)["time_s"] for line in listen(bundle.path, sound, "--json", "--no-tta")[1].splitlines()]
    assert times_s == [each.time_s for each in Detector(bundle).push(read(sound))]


@pytest.fixture
def other(bundle: Bundle, network: Any, tmp_path: Path) -> Bundle:
    """The same network under another word."""
    from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle

    path = tmp_path / "other.onnx"
    info = replace(bundle.info, label="merhaba")
    save_bundle(make_bundle(network_to_onnx(network, mels=64), info, path))
    return load(path)


def test_arguments_that_end_in_onnx_are_bundles_wherever_they_stand(
    listen: Listen, bundle: Bundle, other: Bundle, sound: Path, expected: list[Detection]
) -> None:
    code, out, err = listen(sound, bundle.path, other.path, "--json")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    for label in ("günaydın", "merhaba"):
        assert [row["time_s"] for row in rows if row["label"] == label] == [found.time_s for found in expected]


def test_without_a_bundle_it_says_what_one_is(listen: Listen, sound: Path) -> None:
    for arguments in ([], [sound]):
        code, out, err = listen(*arguments)
        assert (code, out) == (2, "")
        assert_one_line(err)
        assert ".onnx" in err


def test_a_file_and_a_microphone_are_not_heard_at_once(listen: Listen, bundle: Bundle, sound: Path) -> None:
    code, _, err = listen(bundle.path, sound, "--device", "0")
    assert code == 2
    assert_one_line(err)


def test_each_detection_in_a_file_runs_the_command(
    listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection], tmp_path: Path
) -> None:
    program = "import os, sys; open(os.path.join(sys.argv[1], os.environ['UYAN_TIME_S']), 'w').close()"
    (tmp_path / "out").mkdir()
    command = shlex.join([sys.executable, "-c", program, str(tmp_path / "out")])
    code, out, err = listen(bundle.path, sound, "--exec", command)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == len(expected)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{d.time_s:.3f}" for d in expected)


def test_clips_of_a_file_are_kept_and_detections_are_the_same(
    listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection], tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    code, out, err = listen(bundle.path, sound, "--json", "--save-clips", clips)
    assert code == 0
    assert [json.loads(line)["time_s"] for line in out.splitlines()] == [found.time_s for found in expected]
    with (clips / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["event"], row["source"]) for row in rows} == {("detection", str(sound)), ("near miss", str(sound))}
    assert err == f"clips saved in {clips}: {len(rows)}; label them with: uyan data label {clips}\n"
    assert listen(bundle.path, sound, "--save-clips", clips, "--near", "1.5")[0] == 2


def test_microphones_are_listed(listen: Listen, plug_in: Any) -> None:
    plug_in(Plug("built in"), Plug("Jabra", host=1, rate_hz=16_000), default=1)
    assert listen("--list-devices") == (
        0,
        "  0  built in  ALSA, 1 channels, 48000 Hz\n  1  Jabra  JACK, 1 channels, 16000 Hz  (default)\n",
        "",
    )
    plug_in()
    assert listen("--list-devices") == (0, "", "no microphone; connect one\n")


def microphone_of(sound: Path) -> Plug:
    """It hears the sound and is gone."""
    return Plug("Jabra", np.round(read(sound) * 32768).astype(np.int16)[:, None], quiet_end=False)


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is pressed while the microphone is gone."""

    def press(microphone: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uyan.runtime.microphone.Microphone._wait_for_it", press)


@pytest.mark.usefixtures("ctrl_c")
def test_without_a_file_the_microphone_is_heard_until_ctrl_c(
    listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection], plug_in: Any, tmp_path: Path
) -> None:
    plug_in(Plug("built in"), microphone_of(sound))
    clips = tmp_path / "clips"
    code, out, err = listen(bundle.path, "--json", "--device", "jabra", "--save-clips", clips)
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["time_s"], row["label"]) for row in rows] == [(found.time_s, found.label) for found in expected]
    first, *_, detections, saved = err.splitlines()
    assert first == "listening to Jabra for günaydın; Ctrl-C ends it"
    assert detections == f"detections: {len(expected)}"
    assert saved.startswith(f"clips saved in {clips}: ")


def test_sigterm_ends_it_as_ctrl_c_does_and_waiting_clips_are_saved(
    listen: Listen,
    bundle: Bundle,
    sound: Path,
    expected: list[Detection],
    plug_in: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plug = microphone_of(sound)
    end = round((expected[-1].time_s + 0.05) * 16_000)  # before the rest of the last clip has been heard
    plug.sound = plug.sound[:end]
    plug_in(plug)
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        "uyan.runtime.microphone.Microphone._wait_for_it", lambda microphone: signal.raise_signal(signal.SIGTERM)
    )
    clips = tmp_path / "clips"
    code, out, _ = listen(bundle.path, "--save-clips", clips, "--near", "1")
    assert code == 0
    assert len(out.splitlines()) == len(expected)
    with (clips / "clips.csv").open(encoding="utf-8", newline="") as table:
        times = [float(row["time_s"]) for row in csv.DictReader(table) if row["event"] == "detection"]
    assert times == pytest.approx([found.time_s for found in expected], abs=1e-3)
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.usefixtures("ctrl_c")
def test_a_detection_at_the_microphone_runs_the_command(
    listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection], plug_in: Any, tmp_path: Path
) -> None:
    plug_in(microphone_of(sound))
    program = "import os, sys; print('heard', os.environ['UYAN_WORD'], file=open(sys.argv[1], 'w'))"
    command = shlex.join([sys.executable, "-c", program, str(tmp_path / "told")])
    code, out, err = listen(bundle.path, "--exec", command)
    assert code == 0
    assert len(out.splitlines()) == len(expected)
    assert (tmp_path / "told").read_text() == "heard günaydın\n"
    assert "Traceback" not in err


@pytest.mark.usefixtures("ctrl_c")
def test_on_a_terminal_scores_move_above_plain_results(
    listen: Listen, bundle: Bundle, sound: Path, expected: list[Detection], plug_in: Any, monkeypatch: Any
) -> None:
    plug_in(microphone_of(sound))
    monkeypatch.setattr("uyan.cli.meter.sys.stderr.isatty", lambda: True, raising=False)
    code, out, err = listen(bundle.path)
    assert code == 0
    assert out.splitlines() == [f"{found.time_s:9.3f} s  günaydın  score {found.score:.3f}" for found in expected]
    assert "listening to Jabra" in err


@pytest.mark.parametrize(
    ("plugs", "said"), [([], "there is no microphone"), ([Plug("taken", busy=True)], "'taken' is busy or gone")]
)
def test_a_microphone_that_cannot_be_heard_is_one_line(
    listen: Listen, bundle: Bundle, plug_in: Any, plugs: list[Plug], said: str
) -> None:
    plug_in(*plugs)
    code, out, err = listen(bundle.path)
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert said in err


PROGRAM = """
import sys
from uyan.cli.main import main
try:
    main()
finally:
    print(sorted({"torch", "lightning", "polars", "scipy"} & set(sys.modules)))
"""


def test_as_a_process_it_exits_with_two_and_loads_nothing_of_training(bundle: Bundle, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "listen", str(bundle.path), str(tmp_path / "missing.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert_one_line(done.stderr)
    assert done.stdout == "[]\n"
