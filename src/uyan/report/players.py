"""The loudest false alarms as sound inside the page: short 16-bit mono WAV files, written into it as data.

Bounded in number, length and bytes, and what is left out is said: a page that nobody can open proves nothing. Only
audio below the evaluation's own folder is read, whatever the list of alarms names.
"""

import base64
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uyan.audio import INT16_SCALE, SAMPLE_RATE, Samples
from uyan.audio_file import stream
from uyan.errors import AudioError
from uyan.report.contents import Event, Loud

MOST_PLAYERS = 20
MOST_BYTES = 4_000_000
"""Of WAV in all; a third more as base64."""
LONGEST_S = 10.0


@dataclass(frozen=True)
class Player:
    """One alarm, and how it sounds."""

    alarm: Loud | Event
    source: str
    """A data: address; empty where there is nothing to play, and `missing` says why."""
    missing: str = ""


@dataclass(frozen=True)
class Players:
    """All that fit."""

    players: tuple[Player, ...]
    left_out: str
    """What does not, in words; empty where everything does."""


def embedded(alarms: Sequence[Loud | Event], folder: Path) -> Players:
    """The first alarms with their sound, from the files that their `snippet` names below `folder`."""
    players: list[Player] = []
    room = MOST_BYTES
    for alarm in alarms[:MOST_PLAYERS]:
        try:
            sound = wav_bytes(_opening(_inside(folder, alarm.snippet)))
        except AudioError as reason:
            players.append(Player(alarm, "", str(reason).replace(str(folder), folder.name)))
            continue
        if len(sound) > room:
            break
        room -= len(sound)
        players.append(Player(alarm, f"data:audio/wav;base64,{base64.b64encode(sound).decode()}"))
    return Players(tuple(players), _left_out(len(alarms), len(players)))


def wav_bytes(samples: Samples) -> bytes:
    """Mono audio of shape (samples,) as a 16-bit WAV file; values beyond ±1 are clipped.

    >>> len(wav_bytes(np.zeros(16, np.float32)))  # 44 bytes of header, 2 a sample
    76
    """
    pcm = np.clip(np.round(samples * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(pcm.tobytes())
    return file.getvalue()


def _inside(folder: Path, name: str) -> Path:
    try:
        file = (folder / name).resolve()
        if file.is_relative_to(folder.resolve()):
            return file
    except (OSError, ValueError) as reason:  # a name that is no path: too long, or with a zero byte
        raise AudioError(f"no such sound ({reason})") from reason
    raise AudioError("the sound lies outside the evaluation's folder and is not read")


def _opening(file: Path) -> Samples:
    """The first `LONGEST_S` of a file, shape (samples,)."""
    for block in stream(file, block_s=LONGEST_S):
        return block
    raise AudioError(f"{file.name}: no audio in it")


def _left_out(alarms: int, shown: int) -> str:
    if shown == alarms:
        return ""
    limits = f"{MOST_PLAYERS} players and {MOST_BYTES / 1e6:g} MB of audio"
    return f"{alarms - shown} more of the {alarms} alarms listed are left out: the page holds at most {limits}."
