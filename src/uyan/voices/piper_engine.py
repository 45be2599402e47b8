"""Piper as an engine: any voice on disk (`NAME.onnx` with `NAME.onnx.json` beside), every speaker of it.

Noise comes from the clip's own generator, words are timed by the lengths that the network gives each phoneme. It knows
nothing of where voices are kept or come from. The package piper-tts, which is GPL-3.0-or-later, does the phonemes.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uyan.errors import VoiceError
from uyan.voices.seeded_session import SeededSession, first_line
from uyan.voices.speech import EngineVoice, Speech, SpokenWord, at_16_khz

MAX_JSON_BYTES = 10_000_000
MAX_SPEAKERS = 100_000
RATES_HZ = range(8_000, 192_001)
NOISE_SCALES, LENGTH_NOISE_SCALES = (0.5, 0.8), (0.6, 1.0)
"""How freely the voice speaks, drawn for every utterance; Piper's own values lie between."""
CLAUSE_END = re.compile(r"[,.;:!?…]+")
SILENT_PHONEMES = frozenset("^$")


@dataclass(frozen=True)
class PiperEngine:
    """Voices in files."""

    files: tuple[Path, ...]
    """The .onnx of each."""

    @property
    def name(self) -> str:
        """Part of every speaker_id."""
        return "piper"

    def voices(self) -> list[EngineVoice]:
        """Every speaker of every file. Raises VoiceError, naming it, for a file that cannot be read."""
        voices, problems = self.readable()
        if problems:
            raise problems[0]
        return voices

    def readable(self) -> tuple[list[EngineVoice], list[VoiceError]]:
        """Every speaker of the files that can be read, and what is wrong with each of the others."""
        short = Counter(_short_name(file) for file in self.files)
        voices, problems = list[EngineVoice](), list[VoiceError]()
        for file in self.files:
            try:
                voices += self._speakers(file, file.stem if short[_short_name(file)] > 1 else _short_name(file))
            except VoiceError as problem:
                problems.append(problem)
        return voices, problems

    def check(self, voice: EngineVoice) -> None:
        """Raises VoiceError where the voice's network cannot be loaded."""
        _loaded(_file(voice))

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        """See `Engine.say`."""
        piper, session = _loaded(_file(voice))
        from piper import SynthesisConfig

        session.rng = rng
        noise, length_noise = float(rng.uniform(*NOISE_SCALES)), float(rng.uniform(*LENGTH_NOISE_SCALES))
        try:
            config = SynthesisConfig(voice.number, piper.config.length_scale / rate, noise, length_noise)
            chunks = list(piper.synthesize(text, config, include_alignments=True))
        except Exception as reason:  # onnxruntime's, espeak's and Python's errors have no base in common
            raise VoiceError(f"voice {voice.name} cannot say {text!r}: {first_line(reason)}") from reason
        if not chunks:
            raise VoiceError(f"voice {voice.name} has no sound for {text!r}")
        samples = np.concatenate([chunk.audio_float_array.reshape(-1) for chunk in chunks]).astype(np.float32)
        speech = Speech(samples, piper.config.sample_rate, _words(text, chunks, piper.config.sample_rate))
        return at_16_khz(speech, pitch_semitones)

    def _speakers(self, file: Path, name: str) -> list[EngineVoice]:
        config = _config(file)
        try:
            count = int(config["num_speakers"])
            language = str(config["espeak"]["voice"])
            code = config.get("language", {}).get("code", "") or language
            rate_hz = config["audio"]["sample_rate"]
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            raise VoiceError(f"{file}.json: is not the description of a Piper voice ({reason!r} is wrong)") from reason
        if not 1 <= count <= MAX_SPEAKERS:
            raise VoiceError(f"{file}.json: num_speakers is {count}; fetch the voice again")
        if rate_hz not in RATES_HZ:
            raise VoiceError(f"{file}.json: audio.sample_rate is {rate_hz!r}; fetch the voice again")
        license_ = _license(file)
        return [
            EngineVoice(self.name, f"{name}:{number}", str(code).replace("_", "-").lower(), license_, file, number)
            for number in range(count)
        ]


def _short_name(file: Path) -> str:
    """What the speaker_id calls it, whatever its quality; two voices of one short name go by their long ones.

    >>> _short_name(Path("en_US-joe-medium.onnx")), _short_name(Path("mine.onnx"))
    ('joe', 'mine')
    """
    parts = file.stem.split("-")
    return parts[1] if len(parts) == 3 else file.stem


def _file(voice: EngineVoice) -> Path:
    if voice.file is None:
        raise VoiceError(f"voice {voice.name}: has no file")
    return voice.file


def _config(file: Path) -> dict[str, Any]:
    """The description beside the network."""
    path = file.with_name(f"{file.name}.json")
    try:
        if not file.is_file():
            raise VoiceError(f"{file}: no such voice; `uyan voices list` shows what is there")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise VoiceError(f"{path}: too large for the description of a voice")
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as reason:
        raise VoiceError(f"{path}: is missing; a Piper voice is two files, fetch both") from reason
    except (OSError, ValueError) as reason:
        raise VoiceError(f"{path}: cannot be read ({reason}); fetch the voice again") from reason
    if not isinstance(config, dict):
        raise VoiceError(f"{path}: is not the description of a Piper voice; fetch it again")
    return config


def _license(file: Path) -> str:
    """What the MODEL_CARD beside the voice says after "License:", empty without one."""
    for card in (file.with_name(f"{file.stem}.MODEL_CARD"), file.with_name("MODEL_CARD")):
        if card.is_file():
            with card.open(encoding="utf-8", errors="replace") as lines:
                found = re.search(r"^\W*License:\s*(.+)$", lines.read(MAX_JSON_BYTES), re.MULTILINE | re.IGNORECASE)
            return found.group(1).strip() if found else ""
    return ""


@lru_cache(maxsize=4)
def _loaded(file: Path) -> tuple[Any, SeededSession]:
    """Piper's voice over a session whose noise is drawn outside."""
    config = _config(file)
    try:
        from piper import PiperConfig, PiperVoice
    except ImportError as reason:
        raise VoiceError("Piper voices need piper-tts; pip install 'uyan[voices]'") from reason
    session = SeededSession(file)
    try:
        return PiperVoice(config=PiperConfig.from_dict(config), session=session), session
    except (KeyError, TypeError, ValueError) as reason:
        raise VoiceError(f"{file}.json: is not the description of a Piper voice ({reason!r} is wrong)") from reason


def _words(text: str, chunks: list[Any], rate_hz: int) -> tuple[SpokenWord, ...]:
    """Each word of the text with its place, of those clauses in which the network said as many words as are written.

    espeak, which makes the phonemes, runs some words together and spells others out; then the counts differ.
    """
    spoken: list[list[tuple[float, float]]] = [[]]
    at = 0
    for chunk in chunks:
        if chunk.phoneme_alignments is None:
            return ()
        word: tuple[float, float] | None = None
        for part in chunk.phoneme_alignments:
            start_s, at = at / rate_hz, at + int(part.num_samples)
            ends_clause = bool(CLAUSE_END.fullmatch(part.phoneme))
            if part.phoneme == " " or part.phoneme in SILENT_PHONEMES or ends_clause:
                spoken[-1] += [word] if word else []
                word = None
                if ends_clause:
                    spoken.append([])
            else:
                word = (word[0] if word else start_s, at / rate_hz)
        spoken[-1] += [word] if word else []
        spoken.append([])
    said = [clause for clause in spoken if clause]
    written = _clauses(text)
    if len(said) != len(written):
        return ()
    return tuple(
        SpokenWord(*where, *when)
        for clause, times in zip(written, said, strict=True)
        if len(clause) == len(times)
        for where, when in zip(clause, times, strict=True)
    )


def _clauses(text: str) -> list[list[tuple[int, int]]]:
    """The words of each clause, as characters [first, end) of the text.

    >>> _clauses("oh, no way!")
    [[(0, 2)], [(4, 6), (7, 10)]]
    """
    clauses: list[list[tuple[int, int]]] = [[]]
    for token in re.finditer(r"[^\s,.;:!?…]+|[,.;:!?…]+", text):
        if CLAUSE_END.fullmatch(token.group()):
            clauses.append([])
        elif any(char.isalnum() for char in token.group()):
            clauses[-1].append(token.span())
    return [clause for clause in clauses if clause]
