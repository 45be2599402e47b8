"""Any program that writes a WAV as an engine: a list of arguments with placeholders, run without a shell.

{text}, {language}, {rate} (1.0 is natural), {pitch} (semitones), {seed} and {out} (the file to write) are replaced in
every argument; without {rate} or {pitch} the sound is changed afterwards. It knows nothing of what the program does.
"""

import hashlib
import os
import shlex
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read
from uyan.data.voice_change import change_voice
from uyan.errors import AudioError, ConfigError, VoiceError
from uyan.voices.speech import EngineVoice, Speech

NEEDED = ("{text}", "{out}")
SHOWN_CHARS = 300
DIGEST_CHARS = 6


def command_arguments(line: str) -> tuple[str, ...]:
    """A command line split as a shell would, and nothing else of a shell. Raises ConfigError for one without {out}.

    >>> command_arguments("say -o {out} '{text}!'")
    ('say', '-o', '{out}', '{text}!')
    """
    try:
        arguments = tuple(shlex.split(line))
    except ValueError as reason:
        raise ConfigError(f"command {line!r}: {reason}") from reason
    missing = [name for name in NEEDED if not any(name in argument for argument in arguments)]
    if missing:
        raise ConfigError(f"command {line!r}: needs {' and '.join(missing)}; for example: say -o {{out}} {{text}}")
    return arguments


@dataclass(frozen=True)
class CommandEngine:
    """A program."""

    arguments: tuple[str, ...]
    language: str
    limit_s: float = 60.0
    """After this it is killed, with all that it started."""

    @property
    def name(self) -> str:
        """Part of every speaker_id."""
        return "command"

    def voices(self) -> list[EngineVoice]:
        """One, named after the program and, in short, all that it is told: `say -v one` is not `say -v two`."""
        program, *told = self.arguments
        digest = hashlib.sha256("\0".join(told).encode()).hexdigest()[:DIGEST_CHARS]
        return [EngineVoice(self.name, f"{Path(program).name}-{digest}", self.language)]

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        """See `Engine.say`."""
        with tempfile.TemporaryDirectory(prefix="uyan-voice-") as folder:
            out = Path(folder) / "out.wav"
            values = {
                "{text}": text,
                "{language}": voice.language,
                "{rate}": f"{rate:.4f}",
                "{pitch}": f"{pitch_semitones:.3f}",
                "{seed}": str(rng.integers(1 << 31)),
                "{out}": str(out),
            }
            self._run([_filled(argument, values) for argument in self.arguments], Path(folder))
            if not out.is_file() or not out.stat().st_size:
                raise VoiceError(f"command {self.arguments[0]!r} ended well and wrote no file for {text!r}")
            try:
                samples = read(out)
            except AudioError as reason:
                detail = str(reason).removeprefix(f"{out}: ")
                raise VoiceError(f"command {self.arguments[0]!r} wrote no sound for {text!r}: {detail}") from reason
        speed = 0.0 if self._knows("{rate}") else 100 * (rate - 1)
        pitch = 0.0 if self._knows("{pitch}") else pitch_semitones
        return Speech(change_voice(samples, speed_percent=speed, pitch_semitones=pitch), SAMPLE_RATE)

    def _knows(self, name: str) -> bool:
        return any(name in argument for argument in self.arguments)

    def _run(self, arguments: list[str], folder: Path) -> None:
        """Run it to its end in a session of its own, so that what it started ends with it."""
        program = arguments[0]
        with (folder / "said.txt").open("w+b") as said:
            try:
                process = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
                )
            except (OSError, ValueError) as reason:
                raise VoiceError(f"command {program!r} cannot be started: {reason}") from reason
            try:
                code = process.wait(self.limit_s)
            except subprocess.TimeoutExpired as reason:
                raise VoiceError(f"took longer than {self.limit_s:g} s and was cut off") from reason
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if code:
                said.seek(0)
                detail = said.read(SHOWN_CHARS).decode(errors="replace").strip()
                raise VoiceError(f"command {program!r} ended with code {code}{detail and f': {detail}'}")


def _filled(argument: str, values: dict[str, str]) -> str:
    """Placeholders replaced once each: what the text itself holds in braces stays."""
    pieces = [argument]
    for name, value in values.items():
        pieces = [
            part
            for at, piece in enumerate(pieces)
            for part in (_interleaved(piece.split(name), value) if at % 2 == 0 else [piece])
        ]
    return "".join(pieces)


def _interleaved(parts: list[str], value: str) -> list[str]:
    """Literal parts at even places, values at odd ones.

    >>> _interleaved(["a", "b"], "x")
    ['a', 'x', 'b']
    """
    return [piece for part in parts for piece in (value, part)][1:]
