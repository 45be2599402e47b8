import json
import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from uyan.detector import Detection
from uyan.errors import ConfigError
from uyan.runtime.commands import AT_ONCE, Commands
from uyan.runtime.listener import Heard

FOUND = Detection("günaydın", 12.3456, 0.98765)


@pytest.fixture
def told() -> list[str]:
    return []


def python(program: str, *arguments: object) -> str:
    return shlex.join([sys.executable, "-c", program, *map(str, arguments)])


WRITE = """
import json, os, sys
told = {name: os.environ[name] for name in ("UYAN_WORD", "UYAN_TIME_S", "UYAN_SCORE")}
open(sys.argv[1], "w", encoding="utf-8").write(json.dumps([told, sys.argv[2:]]))
"""


def test_the_command_is_told_in_its_environment_and_gets_its_words_as_written(tmp_path: Path, told: list[str]) -> None:
    out = tmp_path / "told.json"
    commands = Commands(python(WRITE, out, "a b", "$HOME;`id`", "*", "$UYAN_WORD"), told.append)
    commands.heard(Heard(np.zeros(0, np.float32), 0, [], [FOUND]))
    commands.close()
    environment, arguments = json.loads(out.read_text(encoding="utf-8"))
    assert environment == {"UYAN_WORD": "günaydın", "UYAN_TIME_S": "12.346", "UYAN_SCORE": "0.9877"}
    assert arguments == ["a b", "$HOME;`id`", "*", "$UYAN_WORD"]
    assert told == []


@pytest.mark.parametrize("word", ["$(touch hacked)", "; touch hacked", "--help", "a\u2028b", "{}", "%s"])
def test_a_word_is_never_more_than_a_value(
    tmp_path: Path, told: list[str], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = Commands(python(WRITE, "told.json", "fixed"), told.append)
    commands.start(Detection(word, 1.0, 0.5))
    commands.close()
    environment, arguments = json.loads(Path("told.json").read_text(encoding="utf-8"))
    assert (environment["UYAN_WORD"], arguments) == (word, ["fixed"])
    assert [path.name for path in tmp_path.iterdir()] == ["told.json"]
    assert told == []


WAIT_FOR = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"


def test_the_stream_goes_on_while_commands_run_and_only_so_many_run_at_once(tmp_path: Path, told: list[str]) -> None:
    commands = Commands(python(WAIT_FOR, tmp_path / "go"), told.append)
    for _ in range(AT_ONCE + 3):
        commands.start(FOUND)
    assert commands.left_out == 3
    assert told == [f"--exec: {AT_ONCE} commands are still running; none is started for this detection"]
    (tmp_path / "go").touch()
    commands.close()
    commands.start(FOUND)
    commands.close()
    assert (commands.left_out, commands.failed, len(told)) == (3, 0, 1)


COUNT = "import sys, tempfile\ntempfile.mkstemp(dir=sys.argv[1])"


def test_a_file_waits_so_that_every_detection_is_answered(tmp_path: Path, told: list[str]) -> None:
    commands = Commands(python(COUNT, tmp_path), told.append, patient=True)
    for _ in range(AT_ONCE + 2):
        commands.start(FOUND)
    commands.close()
    assert len(list(tmp_path.iterdir())) == AT_ONCE + 2
    assert (commands.left_out, told) == (0, [])


def test_the_first_failure_is_told_and_the_others_are_counted(told: list[str]) -> None:
    commands = Commands(python("raise SystemExit(3)"), told.append, patient=True)
    for _ in range(4):
        commands.start(FOUND)
    commands.close()
    assert told == [
        f"--exec: {sys.executable} ended with exit code 3; further failures are counted, not told",
        "--exec: 4 commands failed",
    ]


def test_a_program_that_vanishes_is_a_failure_not_an_end(tmp_path: Path, told: list[str]) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    commands = Commands(str(program), told.append)
    program.unlink()
    commands.start(FOUND)
    commands.start(FOUND)
    assert commands.failed == 2
    assert len(told) == 1
    assert "cannot be started (" in told[0]


def test_one_that_does_not_end_is_left_to_itself(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uyan.runtime.commands.PATIENCE_S", 0.05)
    commands = Commands(python(WAIT_FOR, tmp_path / "go"), told.append)
    commands.start(FOUND)
    commands.close()
    assert told == ["--exec: 1 commands are still running and go on without uyan"]
    (tmp_path / "go").touch()
    monkeypatch.setattr("uyan.runtime.commands.PATIENCE_S", 60)
    commands.close()


SESSION = "import os, sys\nopen(sys.argv[1], 'w').write(str(os.getsid(0)))"


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="sessions are POSIX")
def test_ctrl_c_does_not_reach_it(tmp_path: Path, told: list[str]) -> None:
    commands = Commands(python(SESSION, tmp_path / "sid"), told.append)
    commands.start(FOUND)
    commands.close()
    assert int((tmp_path / "sid").read_text()) != os.getsid(0)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "empty command"),
        ("  ", "empty command"),
        ("echo 'half", "close the quotes"),
        ("no-such-program-here x", "no program 'no-such-program-here'"),
        ("/", "no program '/'"),
    ],
)
def test_a_command_that_cannot_be_is_refused_before_anything_is_heard(command: str, said: str, told: list[str]) -> None:
    with pytest.raises(ConfigError, match=said):
        Commands(command, told.append)


def test_ended_commands_are_collected_while_listening(told: list[str]) -> None:
    commands = Commands(python("pass"), told.append)
    commands.start(FOUND)
    deadline = time.monotonic() + 60
    while commands.running and time.monotonic() < deadline:
        commands.heard(Heard(np.zeros(0, np.float32), 0, [], []))
    assert commands.running == 0
