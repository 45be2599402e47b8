"""Programs as engines: placeholders, no shell, and every way in which a program can fail."""

import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.errors import ConfigError, VoiceError
from uyan.voices.command_engine import CommandEngine, command_arguments
from uyan.voices.speech import Speech

WRITER = (
    "import sys, wave, math, struct\n"
    "out, text, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])\n"
    "wav = wave.open(out, 'wb'); wav.setnchannels(1); wav.setsampwidth(2); wav.setframerate(8000)\n"
    "count = int(800 * len(text) / rate)\n"
    "wav.writeframes(b''.join(struct.pack('<h', int(9000 * math.sin(i / 5))) for i in range(count)))\n"
)


def command(program: str, *arguments: str, limit_s: float = 20.0) -> CommandEngine:
    return CommandEngine((sys.executable, "-c", program, *arguments), "en", limit_s)


def say(engine: CommandEngine, text: str = "jarvis", rate: float = 1.0) -> Speech:
    return engine.say(text, engine.voices()[0], rate, 0.0, np.random.default_rng(0))


def test_what_a_program_does_not_say_is_not_announced() -> None:
    engine = CommandEngine(command_arguments("sh -c 'exit 3' {out} {text}"), "en")
    with pytest.raises(VoiceError, match=r"ended with code 3$"):
        engine.say("hello", engine.voices()[0], 1.0, 0.0, np.random.default_rng(0))


def test_its_sound_is_read_and_named_after_it() -> None:
    engine = command(WRITER, "{out}", "{text}", "{rate}")
    assert say(engine, rate=2.0).samples.size == pytest.approx(0.3 * SAMPLE_RATE, rel=0.01)
    assert engine.voices()[0].name.startswith(f"{Path(sys.executable).name}-")


def test_another_command_line_is_another_voice() -> None:
    lines = ("say -v one -o {out} {text}", "say -v two -o {out} {text}", "/bin/say -v one -o {out} {text}")
    one, two, elsewhere = (CommandEngine(command_arguments(line), "en").voices()[0].name for line in lines)
    assert one == elsewhere != two


def test_without_a_rate_the_sound_is_made_faster() -> None:
    assert say(command(WRITER, "{out}", "{text}", "1"), rate=2.0).samples.size == pytest.approx(4800, rel=0.02)


@pytest.mark.parametrize("text", ["a; touch hacked", "$(touch hacked)", "{out}", "`x`", '"quoted" {rate}'])
def test_no_shell_sees_the_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert say(command(WRITER, "{out}", "{text}", "1"), text).samples.size == pytest.approx(1600 * len(text), rel=0.02)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_writes_no_file() -> None:
    with pytest.raises(VoiceError, match="wrote no file for 'jarvis'"):
        say(command("pass", "{out}", "{text}"))


def test_a_program_that_writes_no_sound() -> None:
    with pytest.raises(VoiceError, match="wrote no sound"):
        say(command("import sys; open(sys.argv[1], 'w').write('hello')", "{out}", "{text}"))


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(VoiceError, match="ended with code 3: no such voice"):
        say(command("import sys; print('no such voice'); sys.exit(3)", "{out}", "{text}"))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(VoiceError, match="cannot be started"):
        say(CommandEngine(("no-such-program", "{out}", "{text}"), "en"))


def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child.pid"
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child)!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    with pytest.raises(VoiceError, match=r"^took longer than 2 s and was cut off$"):
        say(command(program, "{out}", "{text}", limit_s=2.0))
    state = Path(f"/proc/{child.read_text()}/stat")
    for _ in range(100):
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    os.kill(int(child.read_text()), 9)
    pytest.fail("the child lives on")


@pytest.mark.parametrize("line", ["say {text}", "say -o {out}", "say '{out} {text}", ""])
def test_command_lines_that_will_not_do(line: str) -> None:
    with pytest.raises(ConfigError, match="command"):
        command_arguments(line)


def test_quotes_are_a_shells() -> None:
    arguments = ("my say", "-o", "{out}", "{text} please")
    assert command_arguments(shlex.join(arguments)) == arguments
