import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from uyan.audio_file import read, write
from uyan.bundle import Bundle
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
    found = Detector(bundle).push(read(sound))
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
    found = Detector(bundle, 0.8).push(read(sound))
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


def test_no_file_is_a_usage_error(listen: Listen, bundle: Bundle) -> None:
    code, out, err = listen(bundle.path)
    assert (code, out) == (2, "")
    assert "FILE" in err


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
